import { Extension } from "@tiptap/core";
import {
  Fragment,
  type Attrs,
  type Mark,
  type MarkType,
  type Node,
  type NodeType,
  type Schema,
} from "@tiptap/pm/model";
import type { EditorState } from "@tiptap/pm/state";
import { ySyncPluginKey } from "@tiptap/y-tiptap";
import { fit } from "./fit";
import { repairTable, replacedNodes } from "./tables";
import { standIn, standsFor, unknownMark, UnknownBlock, UnknownInline } from "./unknown";

/** The nodes that the binding has made of the elements of the document. */
type Mapping = Map<unknown, Node | Node[]>;

type MappingOf = () => Mapping | undefined;

/**
 * Shows everything that is in the document, whatever its structure.
 *
 * The binding of Yjs and ProseMirror deletes from the document, for everybody, what does not fit the schema: what people have
 * written at the same time may not fit, and neither may what a newer version of the page writes. The binding makes its nodes with
 * `node`, `text` and `mark` of the schema, so these are replaced with functions that find a place for everything. What they add is
 * only shown, and written to the document with the next edit in that place.
 */
export const KeepContent = Extension.create({
  name: "keepContent",

  addExtensions() {
    return [UnknownBlock, UnknownInline];
  },

  onBeforeCreate() {
    const { editor } = this;
    keepContent(editor.schema, () => mappingOf(editor.state));
  },
});

/** Replaces the functions of the schema that throw errors for content that does not fit it. */
function keepContent(schema: Schema, mapping: MappingOf): void {
  const original = { text: schema.text.bind(schema), mark: schema.mark.bind(schema) };
  const knownMarks = new Set(Object.keys(schema.marks));
  const node = (type: string | NodeType, attrs: Attrs | null = null, content?: Content) => {
    const children = childrenOf(content);
    const name = typeof type === "string" ? type : type.name;
    const known = schema.nodes[name];
    if (!known || known.isText) return standIn(schema, name, attrs, children);
    return standsFor(schema, name, attrs) ?? whole(known, attrs, children, mapping);
  };
  schema.node = (type, attrs, content, marks) =>
    marks ? node(type, attrs, content).mark(marks) : node(type, attrs, content);
  schema.text = (text: unknown, marks) =>
    typeof text === "string" ? original.text(text, marks) : schema.node("unknownInline", { name: "embed" });
  schema.mark = (type: string | MarkType, attrs): Mark =>
    typeof type === "string" && !knownMarks.has(type)
      ? unknownMark(schema, type, attrs ?? null)
      : original.mark(type, attrs);
}

type Content = Fragment | Node | readonly Node[] | null | undefined;

function childrenOf(content: Content): readonly Node[] {
  return Fragment.from(content).content;
}

/** The node with that content: as it is if it fits the schema, otherwise fitted. */
function whole(type: NodeType, attrs: Attrs | null, children: readonly Node[], mapping: MappingOf): Node {
  const fragment = Fragment.fromArray(children);
  const isFitting = type.validContent(fragment);
  const node = isFitting ? type.create(attrs, fragment) : fit(type, attrs, children);
  if (node.type.spec.tableRole !== "table") return node;
  const repaired = repairTable(node);
  if (repaired !== node) remember(mapping(), replacedNodes(node, repaired));
  return repaired;
}

/** Lets the binding take the repaired nodes for those that it has made, so that an edit beside them does not write the repair. */
function remember(mapping: Mapping | undefined, replaced: readonly (readonly [Node, Node])[]): void {
  for (const [element, node] of mapping ?? []) {
    const pair = replaced.find(([before]) => before === node);
    if (pair) mapping?.set(element, pair[1]);
  }
}

function mappingOf(state: EditorState): Mapping | undefined {
  const binding: unknown = (ySyncPluginKey.getState(state) as { binding?: unknown } | undefined)?.binding;
  return (binding as { mapping?: Mapping } | undefined)?.mapping;
}
