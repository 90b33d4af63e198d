import type * as Y from "yjs";
import type { Permission } from "./protocol.js";

/** A copy of a document in the browser, as y-indexeddb keeps it. */
export interface Persistence {
  readonly whenSynced: Promise<unknown>;
  get(key: string): Promise<unknown>;
  set(key: string, value: string): Promise<unknown>;
  clearData(): Promise<unknown>;
  destroy(): unknown;
}

/**
 * Opens the copy of that name and connects it with `doc`: `(name, doc) => new IndexeddbPersistence(name, doc)`. Put the user's id
 * into the name where several people use a browser.
 */
export type OpenPersistence = (name: string, doc: Y.Doc) => Persistence;

/** What is remembered of a document besides its content. */
export interface Known {
  documentId?: string | undefined;
  permission?: Permission | undefined;
}

/** How long a copy may take to be read, in milliseconds. Browsers sometimes never answer. */
const LOAD_TIMEOUT_MS = 5_000;

const PERMISSIONS: readonly unknown[] = ["manage", "edit", "review", "comment", "view"];

/** Copies that are being moved out of the way: who opens one of that name waits, and finds it empty. */
const moving = new Map<string, Promise<void>>();

/** The copy of one provider's document. A copy that cannot be read or written, as in a private window, is done without. */
export class Persisted {
  readonly #open: OpenPersistence;
  readonly #name: string;
  readonly #doc: Y.Doc;
  #copy: Persistence | undefined;
  #loading = true;
  #isDestroyed = false;

  constructor(open: OpenPersistence, name: string, doc: Y.Doc) {
    this.#open = open;
    this.#name = name;
    this.#doc = doc;
  }

  /** Whether the copy is still to be read. */
  get loading(): boolean {
    return this.#loading;
  }

  /** Whether an update of the document came out of the copy. */
  isOrigin(origin: unknown): boolean {
    return this.#copy !== undefined && origin === this.#copy;
  }

  /** Reads the copy into the document. */
  async load(): Promise<Known> {
    const known: Known = {};
    try {
      await moving.get(this.#name);
      if (this.#isDestroyed) return known;
      this.#copy ??= this.#open(this.#name, this.#doc);
      await inTime(this.#copy.whenSynced);
      const [documentId, permission] = await Promise.all([this.#copy.get("document_id"), this.#copy.get("permission")]);
      if (typeof documentId === "string") known.documentId = documentId;
      if (PERMISSIONS.includes(permission)) known.permission = permission as Permission;
    } catch {
      // Without a copy the document comes from the server.
    }
    this.#loading = false;
    return known;
  }

  /** Keeps what has to be known before the next connection. */
  async remember({ documentId, permission }: { documentId: string; permission: Permission }): Promise<void> {
    try {
      await this.#copy?.set("document_id", documentId);
      await this.#copy?.set("permission", permission);
    } catch {
      // Without a copy it is learned again at the next join.
    }
  }

  /** Begins a new copy: the old one has content that the document does not have any more. */
  async renew(known: { documentId: string; permission: Permission }): Promise<void> {
    if (!this.#copy) return;
    try {
      await this.#copy.clearData();
      if (this.#isDestroyed) return;
      this.#copy = this.#open(this.#name, this.#doc);
      await inTime(this.#copy.whenSynced);
    } catch {
      // What cannot be written has no copy either.
    }
    await this.remember(known);
  }

  /** Moves the copy out of the way, under a name with the id of the document that it belongs to. */
  setAside(documentId: string): void {
    const moved = this.#move(`${this.#name}#${documentId}`).finally(() => {
      if (moving.get(this.#name) === moved) moving.delete(this.#name);
    });
    moving.set(this.#name, moved);
  }

  async #move(name: string): Promise<void> {
    try {
      const aside = this.#open(name, this.#doc);
      await inTime(aside.whenSynced);
      await this.#copy?.clearData();
      await aside.destroy();
    } catch {
      // What cannot be written has no copy either.
    }
  }

  /** Closes the copy, and keeps it. */
  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    try {
      await this.#copy?.destroy();
    } catch {
      // It was never open.
    }
  }
}

function inTime(loaded: Promise<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the copy was not read in time")), LOAD_TIMEOUT_MS);
    loaded.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
