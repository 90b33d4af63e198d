import * as Y from "yjs";
import type { Anchor } from "./protocol.js";

/** A place in a type of a document: an index of a text, an array or an XML node. */
export interface Place {
  type: Y.AbstractType<unknown>;
  index: number;
}

/**
 * An anchor for the text from `start` to `end`: it stays with the text when something is typed before, after or in it.
 *
 * With Tiptap or ProseMirror the kit of the editor's binding makes the places; with a `Y.Text` they are its indices.
 */
export function anchorOf(start: Place, end: Place): Anchor {
  // The start belongs to the first character, the end to the last one.
  const first = Y.createRelativePositionFromTypeIndex(start.type, start.index, 0);
  const last = Y.createRelativePositionFromTypeIndex(end.type, end.index, -1);
  return { start: encode(Y.encodeRelativePosition(first)), end: encode(Y.encodeRelativePosition(last)) };
}

/** Encodes relative positions, such as those of an editor's binding. */
export function encodeAnchor(start: Y.RelativePosition, end: Y.RelativePosition): Anchor {
  return { start: encode(Y.encodeRelativePosition(start)), end: encode(Y.encodeRelativePosition(end)) };
}

/** The relative positions of an anchor; undefined, if it is none that Yjs can read. */
export function decodeAnchor(anchor: Anchor): { start: Y.RelativePosition; end: Y.RelativePosition } | undefined {
  try {
    return { start: Y.decodeRelativePosition(decode(anchor.start)), end: Y.decodeRelativePosition(decode(anchor.end)) };
  } catch {
    return undefined;
  }
}

/** Where the text of an anchor is in `doc` now; undefined, if it is gone, or not here yet. */
export function resolveAnchor(doc: Y.Doc, anchor: Anchor): { start: Place; end: Place } | undefined {
  const { start, end } = resolveEnds(doc, anchor) ?? {};
  if (!start || !end || (start.type === end.type && start.index >= end.index)) return undefined;
  return { start, end };
}

/** Both ends of an anchor, each of which may be gone, or not here yet. Undefined, if it is no anchor that Yjs can read. */
export function resolveEnds(
  doc: Y.Doc,
  anchor: Anchor,
): { start: Place | undefined; end: Place | undefined } | undefined {
  const positions = decodeAnchor(anchor);
  if (!positions) return undefined;
  const start = Y.createAbsolutePositionFromRelativePosition(positions.start, doc);
  const end = Y.createAbsolutePositionFromRelativePosition(positions.end, doc);
  return { start: start ? placeOf(start) : undefined, end: end ? placeOf(end) : undefined };
}

function placeOf({ type, index }: Y.AbsolutePosition): Place {
  return { type, index };
}

function encode(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function decode(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
