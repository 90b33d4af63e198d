import { equalityDeep } from "lib0/function";
import * as Y from "yjs";
import type { Struct } from "./content.js";

/**
 * The first clock at which two replicas hold other content of one client, which never happens unless two wrote under one client id.
 * What is deleted on either side cannot be compared, and counts as the same.
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
  // Where one of them is there, it says the parent.
  return (
    ours !== null || one.rightOrigin !== null || (nameOf(one) === nameOf(other) && one.parentSub === other.parentSub)
  );
}

function originOf(item: Y.Item, clock: number): Y.ID | null {
  return clock > item.id.clock ? Y.createID(item.id.client, clock - 1) : item.origin;
}

/** A parent as a text: the name of one of the document's own types, or the id of an element. */
function nameOf({ parent }: Y.Item): string {
  const known: unknown = parent;
  if (typeof known === "string") return `type ${known}`;
  const id = known instanceof Y.ID ? known : known instanceof Y.AbstractType ? known._item?.id : undefined;
  if (id) return `${id.client} ${id.clock}`;
  return known instanceof Y.AbstractType ? `type ${Y.findRootTypeKey(known)}` : "";
}

/** How many elements are the same from `from` on. */
function sameLength(one: Y.Item, other: Y.Item, from: number, to: number): number {
  const [ours, theirs] = [elementsOf(one, from, to), elementsOf(other, from, to)];
  if (ours === undefined || theirs === undefined) return to - from;
  // The keys of objects may come in any order.
  for (let index = 0; index < to - from; index += 1) if (!isSame(ours[index], theirs[index])) return index;
  return to - from;
}

function isSame(one: unknown, other: unknown): boolean {
  // Half of a character that was cut in two becomes a replacement character on one side before it does on the other.
  const isCut = (half: unknown, left: unknown) =>
    half === "\ufffd" && typeof left === "string" && /^[\ud800-\udfff]$/.test(left);
  return equalityDeep(one, other) || isCut(one, other) || isCut(other, one);
}

/** The elements of a block as what can be compared; undefined where they are deleted. */
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
  // What kind of type it is, and its name.
  const encoder = new Y.UpdateEncoderV1();
  content.write(encoder, 0);
  return [encoder.toUint8Array()];
}
