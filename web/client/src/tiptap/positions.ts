import type { Node } from "@tiptap/pm/model";
import * as Y from "yjs";
import { resolveEnds, type Place } from "../anchors.js";
import type { Anchor } from "../protocol.js";

/** A part of the editor's document, as positions of ProseMirror. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** The nodes that the binding has made of the types of the shared document. */
export type NodeMapping = ReadonlyMap<object, Node | Node[]>;

/**
 * Where the types of a shared document are in the editor's document. It is built in one pass, so that many anchors can be resolved at
 * the cost of one walk through the document.
 */
export class PositionMap {
  readonly #doc: Y.Doc;
  readonly #texts: { readonly text: Y.XmlText; readonly range: Range }[] = [];
  readonly #ranges = new Map<object, Range>();

  constructor(doc: Y.Doc, content: Y.XmlFragment, mapping: NodeMapping) {
    this.#doc = doc;
    this.#ranges.set(content, { from: 0, to: this.#add(content, 0, mapping) });
  }

  /** Where the text of an anchor is; undefined, if it is gone or not here yet. */
  range(anchor: Anchor): Range | undefined {
    const ends = resolveEnds(this.#doc, anchor);
    const [first, last] = [this.#rangeOf(ends?.start), this.#rangeOf(ends?.end)];
    // Of a selection over several blocks, the first or the last block may be gone. The rest stays.
    const from = this.#position(ends?.start) ?? last?.from;
    const to = this.#position(ends?.end) ?? first?.to;
    return from !== undefined && to !== undefined && from < to ? { from, to } : undefined;
  }

  /** The place in the shared document of the character after a position; undefined, if there is none. */
  placeOf(position: number): Place | undefined {
    const found = this.#texts.find(({ range }) => position >= range.from && position < range.to);
    return found && placeIn(found.text, position - found.range.from);
  }

  #rangeOf(place: Place | undefined): Range | undefined {
    return place && this.#ranges.get(place.type);
  }

  #position(place: Place | undefined): number | undefined {
    const range = this.#rangeOf(place);
    if (!place || !range) return undefined;
    const { type, index } = place;
    if ((type as object) instanceof Y.XmlText) return Math.min(range.from + index, range.to);
    // An anchor of another program may be between the children of an element.
    const parent: object = type;
    const child = parent instanceof Y.XmlFragment && index < parent.length ? parent.get(index) : undefined;
    const inner = child && this.#ranges.get(child);
    return inner ? inner.from : range.to;
  }

  /** Notes the children of a type whose content begins at `start`; returns where it ends. */
  #add(parent: Y.XmlFragment, start: number, mapping: NodeMapping): number {
    let position = start;
    for (let child = parent.firstChild; child; child = nextOf(child)) {
      const size = child instanceof Y.XmlText ? child.length : sizeOf(mapping.get(child));
      const range = { from: position, to: position + size };
      if (child instanceof Y.XmlText) {
        this.#ranges.set(child, range);
        this.#texts.push({ text: child, range });
      } else if (child instanceof Y.XmlElement && !isLeaf(mapping.get(child))) {
        this.#ranges.set(child, { from: range.from + 1, to: range.to - 1 });
        this.#add(child, range.from + 1, mapping);
      }
      position += size;
    }
    return position;
  }
}

function sizeOf(node: Node | Node[] | undefined): number {
  return [node ?? []].flat().reduce((sum, { nodeSize }) => sum + nodeSize, 0);
}

/** Whether positions of the editor are not within a node: it has no content, or is not drawn. */
function isLeaf(node: Node | Node[] | undefined): boolean {
  return node === undefined || Array.isArray(node) || node.isLeaf;
}

function nextOf(type: Y.XmlText | Y.XmlElement | Y.XmlHook): Y.XmlText | Y.XmlElement | null {
  return type instanceof Y.XmlHook ? null : type.nextSibling;
}

function placeIn(text: Y.XmlText, index: number): Place {
  // The events of a text have a narrower type than those of any type.
  return { type: text as unknown as Place["type"], index };
}
