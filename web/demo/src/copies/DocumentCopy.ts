import type { Persistence } from "@realtime-server/client";
import * as Y from "yjs";
import { FIELDS, openDatabase, resultOf, TITLE, UNSENT, unsentOf, UPDATES, written, type Unsent } from "./database";
import { WrittenWords } from "./words";

/** More stored updates than that are replaced by one when the copy is opened. */
const UPDATES_MAX = 200;

/** When a failed write is repeated, in milliseconds. */
const RETRY_MS = 3_000;

/** What is known of a copy. */
export interface CopyState {
  /** The edits that were not sent, as far as the browser has confirmed that they are written. */
  readonly kept: Unsent | undefined;
  /** Whether the browser cannot write: what is written now is only in this window. */
  readonly isFailing: boolean;
}

/**
 * The copy of a document in the browser. Edits are written at once, one transaction after the other, and each counts as kept when the
 * browser has confirmed that it is on the disk. With the edits of this user, the same transaction notes that they were not sent.
 */
export class DocumentCopy implements Persistence {
  readonly whenSynced: Promise<void>;
  readonly #doc: Y.Doc;
  readonly #database: Promise<IDBDatabase>;
  readonly #words: WrittenWords;
  readonly #listeners = new Set<() => void>();
  #state: CopyState = { kept: undefined, isFailing: false };
  #queue: Uint8Array[] = [];
  /** What is to be written of the unsent edits; undefined if there are none. */
  #unsent: Unsent | undefined;
  /** The words of edits that earlier windows have not sent. */
  #earlierWords = 0;
  /** The title in the copy, as far as this window has written it. */
  #title: string | undefined;
  /** Whether the field has to be written although there is no update. */
  #isSettled = true;
  #writing: Promise<void> | undefined;
  #isClosed = false;
  #release: () => void = () => undefined;

  constructor(name: string, doc: Y.Doc) {
    this.#doc = doc;
    // By this lock other windows see that the copy is in use. Only secure pages have locks.
    const held = new Promise<void>((resolve) => (this.#release = resolve));
    (navigator.locks as LockManager | undefined)?.request(name, { mode: "shared" }, () => held).catch(() => undefined);
    this.#words = new WrittenWords(doc);
    if (doc.store.clients.size > 0) this.#queue.push(Y.encodeStateAsUpdate(doc));
    doc.on("update", this.#updated);
    doc.on("destroy", this.#docDestroyed);
    this.#database = openDatabase(name);
    this.whenSynced = this.#load();
    // The provider waits for it. It must not be an unhandled rejection where nobody does.
    this.whenSynced.catch(() => this.#setState({ ...this.#state, isFailing: true }));
    copies.set(doc, this);
  }

  get state(): CopyState {
    return this.#state;
  }

  /** Calls `changed` with every change of the state. Returns the function that ends that. */
  subscribe(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  /** Notes that the server has everything that is in the document now. */
  sent(): void {
    this.#words.reset();
    this.#earlierWords = 0;
    if (!this.#unsent) return;
    this.#unsent = undefined;
    this.#isSettled = false;
    void this.#write();
  }

  /** Notes the title of the document, with which the edits of the copy are offered while it is not open. */
  noteTitle(title = ""): void {
    if (title === this.#title) return;
    this.#title = title;
    // It is written again with the next change.
    this.set(TITLE, title).catch(() => (this.#title = undefined));
  }

  async get(key: string): Promise<unknown> {
    return await resultOf((await this.#database).transaction(FIELDS).objectStore(FIELDS).get(key));
  }

  async set(key: string, value: string): Promise<void> {
    const transaction = (await this.#database).transaction(FIELDS, "readwrite");
    transaction.objectStore(FIELDS).put(value, key);
    await written(transaction);
  }

  async clearData(): Promise<void> {
    const database = await this.#database;
    this.#close();
    await this.#writing;
    const transaction = database.transaction([UPDATES, FIELDS], "readwrite");
    for (const store of [UPDATES, FIELDS]) transaction.objectStore(store).clear();
    await written(transaction);
    database.close();
  }

  /** Closes the copy when everything is written. */
  async destroy(): Promise<void> {
    this.#doc.off("update", this.#updated);
    this.#doc.off("destroy", this.#docDestroyed);
    await this.whenSynced.catch(() => undefined);
    await this.#write();
    this.#close();
    (await this.#database.catch(() => undefined))?.close();
  }

  #close(): void {
    this.#isClosed = true;
    this.#release();
    this.#queue = [];
    this.#doc.off("update", this.#updated);
    this.#doc.off("destroy", this.#docDestroyed);
    this.#listeners.clear();
    if (copies.get(this.#doc) === this) copies.delete(this.#doc);
  }

  async #load(): Promise<void> {
    const database = await this.#database;
    const transaction = database.transaction([UPDATES, FIELDS]);
    const updates = transaction.objectStore(UPDATES);
    const [stored, keys, unsent] = await Promise.all([
      resultOf(updates.getAll() as IDBRequest<Uint8Array[]>),
      resultOf(updates.getAllKeys()),
      resultOf<unknown>(transaction.objectStore(FIELDS).get(UNSENT)),
    ]);
    const earlier = unsentOf(unsent);
    this.#earlierWords = earlier?.words ?? 0;
    this.#unsent ??= earlier;
    if (stored.length > 0) Y.applyUpdate(this.#doc, Y.mergeUpdates(stored), this);
    const last = keys.at(-1);
    if (stored.length > UPDATES_MAX && last !== undefined) await this.#compact(database, last);
    this.#setState({ kept: earlier, isFailing: false });
    void this.#write();
  }

  /** Replaces what was read by one update. What other windows have written meanwhile has higher keys, and stays. */
  async #compact(database: IDBDatabase, last: IDBValidKey): Promise<void> {
    const transaction = database.transaction(UPDATES, "readwrite", { durability: "strict" });
    const updates = transaction.objectStore(UPDATES);
    updates.delete(IDBKeyRange.upperBound(last));
    updates.add(Y.encodeStateAsUpdate(this.#doc));
    await written(transaction);
  }

  readonly #updated = (update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
    if (origin === this) return;
    this.#queue.push(update);
    if (transaction.local) {
      const { since = Date.now() } = this.#unsent ?? {};
      this.#unsent = { since, words: 0 };
    }
    void this.#write();
  };

  readonly #docDestroyed = () => void this.destroy();

  /** Writes what is waiting, as long as there is something. Two writes never run at once. */
  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().then((isDone) => {
      this.#writing = undefined;
      // Something may have come between the last write and now.
      if (isDone && this.#isWaiting) void this.#write();
    });
    return this.#writing;
  }

  get #isWaiting(): boolean {
    return !this.#isClosed && (this.#queue.length > 0 || !this.#isSettled);
  }

  /** Returns false if the browser could not write. Then it is tried again later. */
  async #writeAll(): Promise<boolean> {
    try {
      // What earlier windows have not sent has to be known before it is written again.
      await this.whenSynced;
      const database = await this.#database;
      while (this.#isWaiting) await this.#writeOnce(database);
      return true;
    } catch {
      this.#setState({ ...this.#state, isFailing: true });
      if (!this.#isClosed) setTimeout(() => void this.#write(), RETRY_MS);
      return false;
    }
  }

  async #writeOnce(database: IDBDatabase): Promise<void> {
    const queue = this.#queue;
    this.#queue = [];
    this.#isSettled = true;
    if (this.#unsent) this.#unsent = { ...this.#unsent, words: this.#earlierWords + this.#words.count };
    const kept = this.#unsent;
    try {
      await write(database, queue, kept);
      this.#setState({ kept, isFailing: false });
    } catch (cause) {
      this.#queue = [...queue, ...this.#queue];
      throw cause;
    }
  }

  #setState(state: CopyState): void {
    const { kept, isFailing } = this.#state;
    this.#state = state;
    const isSame = kept?.since === state.kept?.since && kept?.words === state.kept?.words;
    if (isSame && isFailing === state.isFailing) return;
    for (const listener of this.#listeners) listener();
  }
}

const copies = new WeakMap<Y.Doc, DocumentCopy>();

/** The open copy of a document; undefined if there is none. */
export function copyOf(doc: Y.Doc): DocumentCopy | undefined {
  return copies.get(doc);
}

async function write(database: IDBDatabase, queue: readonly Uint8Array[], unsent: Unsent | undefined): Promise<void> {
  // Strict: it is complete when the data is on the disk, and not only handed to the system.
  const transaction = database.transaction([UPDATES, FIELDS], "readwrite", { durability: "strict" });
  const [first] = queue;
  if (first) transaction.objectStore(UPDATES).add(queue.length === 1 ? first : Y.mergeUpdates([...queue]));
  const fields = transaction.objectStore(FIELDS);
  if (unsent) fields.put(unsent, UNSENT);
  else fields.delete(UNSENT);
  const done = written(transaction);
  // A window that is closed aborts its transactions, unless they are committed already.
  transaction.commit();
  await done;
}
