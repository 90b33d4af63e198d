import * as Y from "yjs";
import { firstDifference } from "./compare.js";
import { lacking, subtract, type DeleteSet, type Known, type Struct } from "./content.js";
import { encodeParts } from "./split.js";

/** A server's whole document. */
export type Whole = Known & { readonly update: Uint8Array };

/** A type that a document has. */
type Shared = Y.Doc["share"] extends Map<string, infer T> ? T : never;

/** For a client: the first clock from which on its elements here are to be written anew. */
type Claims = Map<number, number>;

/** No clock is as large. */
const CLOCK_MAX = 2 ** 31;

/** Whether an update of the server has other content than `doc` where it has the same clients and clocks. */
export function isForged(doc: Y.Doc, update: Uint8Array): boolean {
  return claims(doc, Y.decodeUpdate(update).structs).size > 0;
}

/**
 * What is to be in the place of `doc`, as an update, where somebody wrote other content under clocks of its clients: all that the
 * server has, what it lacks, and what was written here under those clocks once more, under a new client id and next to where
 * it is. Undefined where nothing differs. `doc` stays as it is. What the server lacks of the clients `refused` is written once more
 * as well.
 *
 * It works on elements, so that it holds for text with its formats, for rich text, lists and maps alike. A key of a map gets the
 * value of this replica.
 */
export function reclaim(doc: Y.Doc, server: Whole, refused: Iterable<number> = []): Uint8Array | undefined {
  const from = claims(doc, Y.decodeUpdate(server.update).structs);
  const { structs, ds } = lacking(doc, server);
  for (const client of refused) {
    const first = structs.find(({ id }) => id.client === client)?.id.clock;
    if (first !== undefined) from.set(client, Math.min(from.get(client) ?? Infinity, first));
  }
  if (from.size === 0) return undefined;
  claimDependents(from, structs);
  const copy = new Y.Doc();
  Y.applyUpdate(copy, server.update);
  const claimed: DeleteSet = { clients: new Map() };
  for (const [client, clock] of from) claimed.clients.set(client, [{ clock, len: CLOCK_MAX }]);
  const others = structs.filter(({ id }) => id.clock < (from.get(id.client) ?? Infinity));
  for (const part of encodeParts({ structs: others, ds: subtract(ds, claimed) }, Infinity)) Y.applyUpdate(copy, part);
  doc.transact((transaction) => {
    // A block may begin before what is claimed.
    for (const [client, clock] of from) Y.getItemCleanStart(transaction, Y.createID(client, clock));
    copy.transact((writing) => {
      for (const [name, type] of doc.share) rewrite(type, copy.get(name) as Shared, from, writing);
    });
  });
  return Y.encodeStateAsUpdate(copy);
}

/**
 * Puts `state` in the place of all that `doc` holds. Those who observe its types see everything go and everything come; the removal
 * is kept from those who pass on or store updates, because nothing is deleted for anybody else. `doc` gets a new client id.
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

/** Where the content of clients here is another than in `theirs`. */
function claims(doc: Y.Doc, theirs: readonly Struct[]): Claims {
  const byClient = new Map<number, Struct[]>();
  for (const struct of theirs) {
    const list = byClient.get(struct.id.client) ?? [];
    byClient.set(struct.id.client, list);
    list.push(struct);
  }
  const from: Claims = new Map();
  for (const [client, list] of byClient) {
    const clock = firstDifference(doc.store.clients.get(client) ?? [], list);
    if (clock !== undefined) from.set(client, clock);
  }
  return from;
}

/** Adds what the server lacks and what depends on something claimed: there, that is something else. */
function claimDependents(from: Claims, structs: readonly Struct[]): void {
  const isClaimed = (id: unknown) => id instanceof Y.ID && id.clock >= (from.get(id.client) ?? Infinity);
  let isChanged = true;
  while (isChanged) {
    isChanged = false;
    for (const struct of structs) {
      if (!(struct instanceof Y.Item) || isClaimed(struct.id)) continue;
      if (![struct.origin, struct.rightOrigin, struct.parent].some(isClaimed)) continue;
      from.set(struct.id.client, struct.id.clock);
      isChanged = true;
    }
  }
}

/** Writes what is claimed of a type's content, and of the types in it, into the same type of another document. */
function rewrite(ours: Shared, theirs: Shared, from: Claims, writing: Y.Transaction): void {
  const isClaimed = ({ id }: Y.Item) => id.clock >= (from.get(id.client) ?? Infinity);
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
    if (!isClaimed(item)) {
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
    if (!isClaimed(item)) descend(item, find(writing, item.lastId));
    else descend(item, insert(writing, item, theirs, theirs._map.get(key) ?? null, null));
  }
}

/** The block that ends with the element of that id, where it is there. */
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
