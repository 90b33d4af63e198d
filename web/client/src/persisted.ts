import type * as Y from "yjs";
import type { Permission } from "./protocol.js";

/** A copy of a document in the browser. The `IndexeddbPersistence` of y-indexeddb is one. */
export interface Persistence {
  readonly whenSynced: Promise<unknown>;
  get(key: string): Promise<unknown>;
  set(key: string, value: string): Promise<unknown>;
  clearData(): Promise<unknown>;
  destroy(): unknown;
}

/**
 * Opens the copy of that name and connects it with `doc`: `(name, doc) => new IndexeddbPersistence(name, doc)`. Put the user's id
 * into the name if several people may use the browser.
 */
export type OpenPersistence = (name: string, doc: Y.Doc) => Persistence;

/** What the copy stores of a document besides its content. */
export interface Remembered {
  documentId?: string | undefined;
  permission?: Permission | undefined;
}

/** How long reading a copy may take, in milliseconds: browsers sometimes never answer. */
const LOAD_TIMEOUT_MS = 5_000;

const PERMISSIONS: readonly unknown[] = ["manage", "edit", "review", "comment", "view"];

/** The copies that are being renamed, by their old names. A provider that opens such a name waits, and finds an empty copy. */
const moving = new Map<string, Promise<void>>();

/** The copy of one provider's document. If it cannot be read or written, as in some private windows, the document works without. */
export class Persisted {
  readonly #open: OpenPersistence;
  readonly #name: string;
  readonly #doc: Y.Doc;
  #copy: Persistence | undefined;
  #reading: Promise<Remembered> | undefined;
  #loading = true;
  /** Whether reading the copy took too long, and has not ended. */
  #isLate = false;
  #isDestroyed = false;

  constructor(open: OpenPersistence, name: string, doc: Y.Doc) {
    this.#open = open;
    this.#name = name;
    this.#doc = doc;
  }

  /** Whether the room must not be joined yet, because the document may have content of the copy, and its id is not known. */
  get loading(): boolean {
    return this.#loading;
  }

  /**
   * Whether an update with this origin came from the copy. If it comes although `load` has given up waiting, the copy is loading
   * again, until `load` calls `late`.
   */
  isOrigin(origin: unknown): boolean {
    if (this.#copy === undefined || origin !== this.#copy) return false;
    this.#loading ||= this.#isLate;
    return true;
  }

  /**
   * Reads the copy into the document. If that takes too long, it returns nothing, so that the document works without the copy, and
   * calls `late` when the copy has been read after all.
   */
  async load(late: (known: Remembered) => void): Promise<Remembered> {
    const reading = (this.#reading ??= this.#read());
    try {
      return await withTimeout(reading);
    } catch {
      this.#isLate = true;
      void reading.then((known) => {
        this.#isLate = false;
        this.#loading = false;
        if (!this.#isDestroyed) late(known);
      });
      return {};
    } finally {
      this.#loading = false;
    }
  }

  /** Reads the copy. If it cannot be read, the document comes from the server only. */
  async #read(): Promise<Remembered> {
    const known: Remembered = {};
    try {
      await moving.get(this.#name);
      if (this.#isDestroyed) return known;
      this.#copy ??= this.#open(this.#name, this.#doc);
      await this.#copy.whenSynced;
      const stored = Promise.all([this.#copy.get("document_id"), this.#copy.get("permission")]);
      const [documentId, permission] = await withTimeout(stored);
      if (typeof documentId === "string") known.documentId = documentId;
      if (PERMISSIONS.includes(permission)) known.permission = permission as Permission;
    } catch {
      // There is no copy, as in some private windows.
    }
    return known;
  }

  /** Stores what has to be known before the next connection, once what is stored has been read. */
  async remember({ documentId, permission }: { documentId: string; permission: Permission }): Promise<void> {
    await this.#reading;
    try {
      await this.#copy?.set("document_id", documentId);
      await this.#copy?.set("permission", permission);
    } catch {
      // Without a copy the next join returns it again.
    }
  }

  /** Begins a new copy, because the old one has content that is not in the document any more. */
  async renew(known: { documentId: string; permission: Permission }): Promise<void> {
    if (!this.#copy) return;
    try {
      await this.#copy.clearData();
      if (this.#isDestroyed) return;
      this.#copy = this.#open(this.#name, this.#doc);
      await withTimeout(this.#copy.whenSynced);
    } catch {
      // If the copy cannot be written, the document works without.
    }
    await this.remember(known);
  }

  /** Renames the copy: its new name ends with the id of the document that it belongs to. */
  setAside(documentId: string): void {
    const moved = this.#move(`${this.#name}#${documentId}`).finally(() => {
      if (moving.get(this.#name) === moved) moving.delete(this.#name);
    });
    moving.set(this.#name, moved);
  }

  async #move(name: string): Promise<void> {
    try {
      const aside = this.#open(name, this.#doc);
      await withTimeout(aside.whenSynced);
      await this.#copy?.clearData();
      await aside.destroy();
    } catch {
      // If the copy cannot be written, the document works without.
    }
  }

  /** Closes the copy without deleting it. */
  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    try {
      await this.#copy?.destroy();
    } catch {
      // The copy was never open.
    }
  }
}

function withTimeout<T>(loaded: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the copy was not read in time")), LOAD_TIMEOUT_MS);
    loaded.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
