import * as Y from "yjs";

/** A decoded update: its elements and the ranges of elements that it deletes. */
export interface Content {
  structs: Struct[];
  ds: DeleteSet;
}

/** A block of consecutive elements of one client. */
export type Struct = Y.Item | Y.GC | Y.Skip;

/** Ranges of deleted elements by client: the delete set of Yjs. */
export interface DeleteSet {
  clients: Map<number, { clock: number; len: number }[]>;
}

/** What a server has, according to its answer to a join or a synchronisation. */
export interface ServerState {
  readonly stateVector: Uint8Array;
  /** The update of that answer. It contains all deletions that the server knows, unless `deletions` has them. */
  readonly update: Uint8Array | undefined;
  /** All deletions that the server knows, as an update, if the answer says that they are those of the request. */
  readonly deletions?: Uint8Array | undefined;
}

/** What a document has and a server lacks. */
export interface Difference extends Content {
  /** Whether recent edits from elsewhere were left out, because their authors are likely to send them. */
  readonly isHeldBack: boolean;
}

/**
 * What `doc` has and the server lacks, whoever wrote it: elements, and deletions that the server has not applied yet.
 *
 * `recent` has, by client, the first clock of the elements that are left out, because their author is likely to send them.
 */
export function differenceFrom(
  doc: Y.Doc,
  known: ServerState,
  recent: ReadonlyMap<number, number> = new Map(),
): Difference {
  const { structs, ds } = Y.decodeUpdate(Y.encodeStateAsUpdate(doc, known.stateVector));
  const heldBack: DeleteSet = { clients: new Map() };
  const kept = structs.flatMap((struct) => {
    const { client, clock } = struct.id;
    const end = clock + struct.length;
    const first = Math.max(clock, recent.get(client) ?? Infinity);
    if (end <= first) return [struct];
    heldBack.clients.set(client, [...(heldBack.clients.get(client) ?? []), { clock: first, len: end - first }]);
    if (clock === first || !(struct instanceof Y.Item)) return [];
    splitItem(struct, first - clock);
    return [struct];
  });
  const isHeldBack = heldBack.clients.size > 0;
  const deletions = isHeldBack ? subtract(ds, heldBack) : ds;
  const knownDeletions = known.deletions ?? known.update;
  if (deletions.clients.size === 0 || !knownDeletions) return { structs: kept, ds: deletions, isHeldBack };
  return { structs: kept, ds: subtract(deletions, Y.decodeUpdate(knownDeletions).ds), isHeldBack };
}

/** Of which clients a server lacks elements that `doc` has, and from which clock on, as text. */
export function lackingIn(stateVector: Uint8Array, doc: Y.Doc): string {
  const has = Y.decodeStateVector(stateVector);
  const clocks = Y.decodeStateVector(Y.encodeStateVector(doc));
  const lacking = [...clocks].filter(([client, clock]) => clock > (has.get(client) ?? 0));
  return lacking
    .map(([client]) => `${client}:${has.get(client) ?? 0}`)
    .sort()
    .join();
}

/** Whether it has neither elements nor deletions. */
export function isEmpty({ structs, ds }: Content): boolean {
  return structs.every((struct) => struct instanceof Y.Skip) && ds.clients.size === 0;
}

/** The ranges of `ds` without the elements in `known`. */
export function subtract(ds: DeleteSet, known: DeleteSet): DeleteSet {
  const rest: DeleteSet = { clients: new Map() };
  for (const [client, ranges] of ds.clients) {
    const taken = inOrder(known.clients.get(client) ?? []);
    const left: { clock: number; len: number }[] = [];
    let next = 0;
    for (const range of inOrder(ranges)) {
      const end = range.clock + range.len;
      let clock = range.clock;
      while (clock < end) {
        while (taken[next] && endOf(taken[next]) <= clock) next += 1;
        const hole = taken[next];
        const until = Math.min(end, hole?.clock ?? end);
        if (clock < until) left.push({ clock, len: until - clock });
        clock = Math.max(until, hole && hole.clock < end ? Math.min(end, endOf(hole)) : end);
      }
    }
    if (left.length > 0) rest.clients.set(client, left);
  }
  return rest;
}

/** Whether all elements of a block are in the ranges. */
export function isWhollyIn(ds: DeleteSet, { id, length }: Struct): boolean {
  const ranges = ds.clients.get(id.client) ?? [];
  return ranges.some(({ clock, len }) => clock <= id.clock && id.clock + length <= clock + len);
}

/** Splits a block that belongs to no document yet: it keeps its first `length` elements, and the rest is returned. */
export function splitItem(item: Y.Item, length: number): Y.Item {
  const { client, clock } = item.id;
  const rest = item.content.splice(length);
  item.length = length;
  const [id, origin] = [Y.createID(client, clock + length), Y.createID(client, clock + length - 1)];
  // The rest names no parent, since it has that of the element before it.
  return new Y.Item(id, null, origin, null, item.rightOrigin, null, null, rest);
}

function inOrder<T extends { clock: number }>(ranges: readonly T[]): T[] {
  return [...ranges].sort((a, b) => a.clock - b.clock);
}

function endOf(range: { clock: number; len: number } | undefined): number {
  return range ? range.clock + range.len : Infinity;
}
