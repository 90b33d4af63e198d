import { equalityDeep } from "lib0/function";
import * as Y from "yjs";
import type { Struct } from "./content.js";

/**
 * The first clock at which two replicas have different content of one client id; undefined if their content is the same. They
 * differ only if two replicas wrote under one client id. Elements that are deleted on either side cannot be compared, and count
 * as the same.
 */
export function firstDifference(ours: readonly Struct[], theirs: readonly Struct[]): number | undefined {
  let [our, their] = [0, 0];
  for (;;) {
    const [one, other] = [ours[our], theirs[their]];
    if (!one || !other) return undefined;
    const [from, to] = [Math.max(one.id.clock, other.id.clock), Math.min(endOf(one), endOf(other))];
    if (from < to && one instanceof Y.Item && other instanceof Y.Item) {
      if (!isSamePlace(one, other, from)) return from;
      const same = sameLength(one, other, from, to);
      if (from + same < to) return from + same;
    }
    if (endOf(one) === to) our += 1;
    if (endOf(other) === to) their += 1;
  }
}

function endOf({ id, length }: Struct): number {
  return id.clock + length;
}

function isSamePlace(one: Y.Item, other: Y.Item, clock: number): boolean {
  const [ours, theirs] = [originOf(one, clock), originOf(other, clock)];
  if (!Y.compareIDs(ours, theirs) || !Y.compareIDs(one.rightOrigin, other.rightOrigin)) return false;
  // An item with a left or a right neighbour has the parent of that neighbour, so only an item without both names its parent.
  return (
    ours !== null || one.rightOrigin !== null || (nameOf(one) === nameOf(other) && one.parentSub === other.parentSub)
  );
}

function originOf(item: Y.Item, clock: number): Y.ID | null {
  return clock > item.id.clock ? Y.createID(item.id.client, clock - 1) : item.origin;
}

/** A parent as a text that can be compared: the name of a root type, or the id of an element. */
function nameOf({ parent }: Y.Item): string {
  const known: unknown = parent;
  if (typeof known === "string") return `type ${known}`;
  const id = known instanceof Y.ID ? known : known instanceof Y.AbstractType ? known._item?.id : undefined;
  if (id) return `${id.client} ${id.clock}`;
  return known instanceof Y.AbstractType ? `type ${Y.findRootTypeKey(known)}` : "";
}

/** The number of elements from the clock `from` to `to` that are the same, up to the first that differs. */
function sameLength(one: Y.Item, other: Y.Item, from: number, to: number): number {
  const [ours, theirs] = [elementsOf(one, from, to), elementsOf(other, from, to)];
  if (ours === undefined || theirs === undefined) return to - from;
  // The elements are compared deeply, because the keys of objects may be in any order.
  for (let index = 0; index < to - from; index += 1) if (!isSame(ours[index], theirs[index])) return index;
  return to - from;
}

function isSame(one: unknown, other: unknown): boolean {
  // If a surrogate pair was split, its halves become replacement characters, on one side earlier than on the other.
  const isCut = (half: unknown, left: unknown) =>
    half === "\ufffd" && typeof left === "string" && /^[\ud800-\udfff]$/.test(left);
  return equalityDeep(one, other) || isCut(one, other) || isCut(other, one);
}

/** The elements of a block as values that can be compared; undefined if they are deleted. */
function elementsOf({ content, id }: Y.Item, from: number, to: number): ArrayLike<unknown> | undefined {
  const range = [from - id.clock, to - id.clock] as const;
  if (content instanceof Y.ContentDeleted) return undefined;
  if (content instanceof Y.ContentString) return content.str.slice(...range);
  if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) {
    return (content.arr as unknown[]).slice(...range).map((value) => ({ value }));
  }
  if (content instanceof Y.ContentEmbed) return [{ embed: content.embed as unknown }];
  if (content instanceof Y.ContentFormat) return [{ key: content.key, format: content.value as unknown }];
  if (content instanceof Y.ContentBinary) return [content.content];
  if (content instanceof Y.ContentDoc) return [{ doc: content.doc.guid }];
  // A shared type: its kind and its name.
  const encoder = new Y.UpdateEncoderV1();
  content.write(encoder, 0);
  return [encoder.toUint8Array()];
}
