// Updates written block by block, as Yjs never would: with any client id, clock, place and content.
//
// A place is `{ root: "text" }`, `{ inside: [client, clock] }`, or `{ left, right }` with the neighbours' `[client, clock]`;
// `key` makes the block the value of a key.

import * as encoding from "lib0/encoding";
import { bytes } from "./crafted.mjs";

const HAS_LEFT = 0x80;
const HAS_RIGHT = 0x40;
const HAS_KEY = 0x20;

/** Kinds of content. */
export const KIND = {
  collected: 0,
  deleted: 1,
  text: 4,
  embed: 5,
  format: 6,
  type: 7,
  any: 8,
  subdocument: 9,
  skip: 10,
};

/** Kinds of shared types. */
export const TYPE = { array: 0, map: 1, text: 2, element: 3, fragment: 4, xmlText: 6 };

/**
 * An update in encoding v1. `sections` has one entry a client: `{ client, clock, blocks }`, where `clock` is that of the
 * first block; `deletions` one `[client, [clock, length], …]` each.
 */
export function update(sections, deletions = []) {
  return bytes((number, encoder) => {
    number(sections.length);
    for (const { client, clock, blocks } of sections) {
      for (const value of [blocks.length, client, clock]) number(value);
      for (const block of blocks) encoding.writeUint8Array(encoder, block);
    }
    number(deletions.length);
    for (const [client, ...ranges] of deletions) {
      number(client);
      number(ranges.length);
      for (const range of ranges) range.forEach(number);
    }
  });
}

/** A block of a kind of content at a place; `write` writes the content. */
export function block(kind, { root, inside, left, right, key }, write) {
  return bytes((number, encoder) => {
    const flags = (left && HAS_LEFT) | (right && HAS_RIGHT) | (key !== undefined && HAS_KEY);
    encoding.writeUint8(encoder, kind | flags);
    left?.forEach(number);
    right?.forEach(number);
    if (!left && !right) {
      number(inside ? 0 : 1);
      if (inside) inside.forEach(number);
      else encoding.writeVarString(encoder, root);
      if (key !== undefined) encoding.writeVarString(encoder, key);
    }
    write(encoder);
  });
}

/** A block of text. */
export function text(place, string) {
  return block(KIND.text, place, (encoder) => encoding.writeVarString(encoder, string));
}

/** A block of plain values. */
export function values(place, ...given) {
  return block(KIND.any, place, (encoder) => {
    encoding.writeVarUint(encoder, given.length);
    for (const value of given) encoding.writeAny(encoder, value);
  });
}

/** A shared type that is neither an XML element nor a hook. */
export function type(place, kind) {
  return block(KIND.type, place, (encoder) => encoding.writeVarUint(encoder, kind));
}

/** A subdocument with the options `options`, which stock Yjs writes as an object. */
export function subdocument(place, options) {
  return block(KIND.subdocument, place, (encoder) => {
    encoding.writeVarString(encoder, "subdocument");
    encoding.writeAny(encoder, options);
  });
}

/** `length` elements whose content has been deleted. */
export function deleted(place, length) {
  return block(KIND.deleted, place, (encoder) => encoding.writeVarUint(encoder, length));
}

/** `length` elements that have been garbage collected: without content and place. */
export function collected(length) {
  return bytes((number) => [KIND.collected, length].forEach(number));
}
