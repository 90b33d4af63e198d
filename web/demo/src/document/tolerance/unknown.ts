import { Node } from "@tiptap/core";
import {
  Schema,
  type Attrs,
  type Mark,
  type MarkSpec,
  type MarkType,
  type Node as TextNode,
  type Schema as AnySchema,
} from "@tiptap/pm/model";

/** What people see in the place of content that this version of the page cannot show. */
const EXPLANATION = "This part was written with a newer version of this page. It is kept. Reload the page to see it.";

const attributes = () => ({
  /** The name of the node for which this one stands. */
  name: { default: "", renderHTML: ({ name }: Attrs) => ({ "data-name": String(name) }) },
  /** The attributes and the children of that node as JSON, for the case that it is moved or copied. */
  content: { default: "", renderHTML: ({ content }: Attrs) => ({ "data-content": String(content) }) },
});

/** Reads a stand-in that was copied. */
const parse = (tag: string) => () => [
  {
    tag: `${tag}.unknown[data-name]`,
    priority: 60,
    getAttrs: ({ dataset }: HTMLElement) => ({ name: dataset.name ?? "", content: dataset.content ?? "" }),
  },
];

/** Stands for a block of a kind that this version of the page does not know. */
export const UnknownBlock = Node.create({
  name: "unknownBlock",
  group: "block",
  atom: true,
  addAttributes: attributes,
  parseHTML: parse("div"),
  renderHTML: ({ HTMLAttributes }) => ["div", { ...HTMLAttributes, class: "unknown" }, EXPLANATION],
  renderText: () => EXPLANATION,
});

/** Stands for something within a line that this version of the page does not know. */
export const UnknownInline = Node.create({
  name: "unknownInline",
  group: "inline",
  inline: true,
  atom: true,
  addAttributes: attributes,
  parseHTML: parse("span"),
  renderHTML: ({ HTMLAttributes }) => ["span", { ...HTMLAttributes, class: "unknown", title: EXPLANATION }, "…"],
  renderText: () => "…",
});

/** The node that stands for one of the kind `name`. */
export function standIn(schema: AnySchema, name: string, attrs: Attrs | null, children: readonly TextNode[]): TextNode {
  const content = JSON.stringify({ attrs, content: children.map((child) => child.toJSON() as unknown) });
  return schema.node("unknownBlock", { name, content });
}

/** The same stand-in within a line. */
export function inLine(schema: AnySchema, { attrs }: TextNode): TextNode {
  return schema.node("unknownInline", attrs);
}

/** The node for which a stand-in stands, if this version of the page knows its kind; otherwise undefined. */
export function standsFor(schema: AnySchema, name: string, attrs: Attrs | null): TextNode | undefined {
  if (name !== "unknownBlock" && name !== "unknownInline") return undefined;
  const original: unknown = attrs?.name;
  if (typeof original !== "string" || !schema.nodes[original]) return undefined;
  try {
    const json = JSON.parse(String(attrs?.content)) as Record<string, unknown>;
    const node = schema.nodeFromJSON({ ...json, type: original });
    node.check();
    return node;
  } catch {
    return undefined;
  }
}

const unknownMarks = new Map<string, Schema>();

/** A mark of a kind that the page does not know: it changes nothing in the look of its text, and stays on it. */
export function unknownMark(schema: AnySchema, name: string, attrs: Attrs | null): Mark {
  const keys = Object.keys(attrs ?? {}).sort();
  const key = JSON.stringify([name, keys]);
  // Mark types belong to a schema. One of another schema works as well, since ProseMirror compares types by identity.
  const own = unknownMarks.get(key) ?? markSchema(name, keys);
  unknownMarks.set(key, own);
  const mark = own.mark(name, attrs);
  // ProseMirror reads what was typed from the page, and looks up the marks of the text there by their names.
  const create = (read?: Attrs | null) => unknownMark(schema, name, read ?? null);
  const known = schema.marks as Record<string, MarkType>;
  known[name] ??= Object.assign(Object.create(mark.type) as MarkType, { create });
  return mark;
}

function markSchema(name: string, keys: readonly string[]): Schema {
  const spec: MarkSpec = {
    attrs: Object.fromEntries(keys.map((key) => [key, { default: null }])),
    toDOM: () => ["span", 0],
  };
  return new Schema({ nodes: { doc: { content: "text*" }, text: {} }, marks: { [name]: spec } });
}
