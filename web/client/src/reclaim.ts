import * as Y from "yjs";
import { firstDifference } from "./compare.js";
import { differenceFrom, subtract, type DeleteSet, type ServerState, type Struct } from "./content.js";
import { encodeParts } from "./split.js";

/** The whole document of a server. */
export type ServerDocument = ServerState & { readonly update: Uint8Array };

/** A shared type of a document. */
type Shared = Y.Doc["share"] extends Map<string, infer T> ? T : never;

/** By client id, the first clock of its elements that are to be written again. */
type FirstClocks = Map<number, number>;

/** More than any clock. */
const CLOCK_MAX = 2 ** 31;

/** Whether an update of the server has other content than `doc` under the same client ids and clocks. */
export function hasOtherContent(doc: Y.Doc, update: Uint8Array): boolean {
  return firstDifferences(doc, Y.decodeUpdate(update).structs).size > 0;
}

/**
 * The content that has to replace that of `doc`, as an update, after another replica has written under its client ids. It contains
 * what the server has and what it lacks; the elements of `doc` whose clocks have other content on the server are written again,
 * under a new client id and next to their former place. So are the elements of the client ids `refused` that the server lacks.
 * Undefined if nothing differs. `doc` does not change.
 *
 * It works on elements, and therefore for text with formats, rich text, lists and maps alike. A key of a map gets the value of this
 * replica.
 */
export function reclaim(doc: Y.Doc, server: ServerDocument, refused: Iterable<number> = []): Uint8Array | undefined {
  const from = firstDifferences(doc, Y.decodeUpdate(server.update).structs);
  const { structs, ds } = differenceFrom(doc, server);
  for (const client of refused) {
    const first = structs.find(({ id }) => id.client === client)?.id.clock;
    if (first !== undefined) from.set(client, Math.min(from.get(client) ?? Infinity, first));
  }
  if (from.size === 0) return undefined;
  addDependents(from, structs);
  const copy = new Y.Doc();
  Y.applyUpdate(copy, server.update);
  const rewritten: DeleteSet = { clients: new Map() };
  for (const [client, clock] of from) rewritten.clients.set(client, [{ clock, len: CLOCK_MAX }]);
  const others = structs.filter(({ id }) => id.clock < (from.get(id.client) ?? Infinity));
  for (const part of encodeParts({ structs: others, ds: subtract(ds, rewritten) }, Infinity)) Y.applyUpdate(copy, part);
  doc.transact((transaction) => {
    // Blocks are split where the elements to be written again begin.
    for (const [client, clock] of from) Y.getItemCleanStart(transaction, Y.createID(client, clock));
    copy.transact((writing) => {
      for (const [name, type] of doc.share) rewrite(type, copy.get(name) as Shared, from, writing);
    });
  });
  return Y.encodeStateAsUpdate(copy);
}

/**
 * Replaces the content of `doc` with `state`, and its client id with a new one. Observers of its types see the removal of
 * everything and the insertion of everything. Listeners that send or store updates do not see the removal, because nothing is
 * deleted in other replicas.
 */
export function replaceContent(doc: Y.Doc, state: Uint8Array, origin: object): void {
  const silenced = ["update", "updateV2"].map((event) => [event, doc._observers.get(event)] as const);
  for (const [event] of silenced) doc._observers.delete(event);
  try {
    doc.transact((transaction) => {
      for (const type of doc.share.values()) for (const item of itemsOf(type)) item.delete(transaction);
    }, origin);
  } finally {
    for (const [event, observers] of silenced) if (observers) doc._observers.set(event, observers);
    for (const type of doc.share.values()) empty(type);
    doc.store.clients.clear();
    doc.store.pendingStructs = null;
    doc.store.pendingDs = null;
    doc.clientID = new Y.Doc().clientID;
  }
  Y.applyUpdate(doc, state, origin);
}

function empty(type: Shared): void {
  type._start = null;
  type._map.clear();
  type._length = 0;
  if (type._searchMarker) type._searchMarker.length = 0;
}

function* itemsOf(type: Shared): Generator<Y.Item> {
  for (let item = type._start; item; item = item.right) yield item;
  yield* type._map.values();
}

/** By client id, the first clock at which the content of `doc` differs from that in `theirs`. */
function firstDifferences(doc: Y.Doc, theirs: readonly Struct[]): FirstClocks {
  const byClient = new Map<number, Struct[]>();
  for (const struct of theirs) {
    const list = byClient.get(struct.id.client) ?? [];
    byClient.set(struct.id.client, list);
    list.push(struct);
  }
  const from: FirstClocks = new Map();
  for (const [client, list] of byClient) {
    const clock = firstDifference(doc.store.clients.get(client) ?? [], list);
    if (clock !== undefined) from.set(client, clock);
  }
  return from;
}

/** Adds the elements that the server lacks and that depend on one to be written again: on the server that is another element. */
function addDependents(from: FirstClocks, structs: readonly Struct[]): void {
  const isRewritten = (id: unknown) => id instanceof Y.ID && id.clock >= (from.get(id.client) ?? Infinity);
  let isChanged = true;
  while (isChanged) {
    isChanged = false;
    for (const struct of structs) {
      if (!(struct instanceof Y.Item) || isRewritten(struct.id)) continue;
      if (![struct.origin, struct.rightOrigin, struct.parent].some(isRewritten)) continue;
      from.set(struct.id.client, struct.id.clock);
      isChanged = true;
    }
  }
}

/** Writes those elements of a type, and of the types in it, that are to be written again into the same type of another document. */
function rewrite(ours: Shared, theirs: Shared, from: FirstClocks, writing: Y.Transaction): void {
  const isRewritten = ({ id }: Y.Item) => id.clock >= (from.get(id.client) ?? Infinity);
  const descend = (item: Y.Item, counterpart: Y.Item | null) => {
    if (
      item.content instanceof Y.ContentType &&
      counterpart?.content instanceof Y.ContentType &&
      !counterpart.deleted
    ) {
      rewrite(item.content.type as Shared, counterpart.content.type as Shared, from, writing);
    }
  };
  let left: Y.Item | null = null;
  for (let item = ours._start; item; item = item.right) {
    if (!isRewritten(item)) {
      const counterpart = find(writing, item.lastId);
      left = counterpart ?? left;
      if (!item.deleted) descend(item, counterpart);
    } else if (!item.deleted) {
      left = insert(writing, item, theirs, left, left ? left.right : theirs._start);
      descend(item, left);
    }
  }
  for (const [key, item] of ours._map) {
    if (item.deleted) continue;
    if (!isRewritten(item)) descend(item, find(writing, item.lastId));
    else descend(item, insert(writing, item, theirs, theirs._map.get(key) ?? null, null));
  }
}

/** The block that ends with the element of that id; null if the document does not have it. */
function find(writing: Y.Transaction, id: Y.ID): Y.Item | null {
  const { store } = writing.doc;
  if (id.clock >= Y.getState(store, id.client)) return null;
  const found: unknown = Y.getItemCleanEnd(writing, store, id);
  return found instanceof Y.Item ? found : null;
}

function insert(
  writing: Y.Transaction,
  { content, parentSub }: Y.Item,
  parent: Shared,
  left: Y.Item | null,
  right: Y.Item | null,
): Y.Item {
  const { clientID, store } = writing.doc;
  const id = Y.createID(clientID, Y.getState(store, clientID));
  const item = new Y.Item(id, left, left?.lastId ?? null, right, right?.id ?? null, parent, parentSub, content.copy());
  item.integrate(writing, 0);
  return item;
}
