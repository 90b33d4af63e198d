import * as Y from "yjs";

/** Counts the words that a replica has written and that are still there, from a moment on. */
export class WrittenWords {
  readonly #doc: Y.Doc;
  #client: number;
  #clock: number;

  constructor(doc: Y.Doc) {
    this.#doc = doc;
    this.#client = doc.clientID;
    this.#clock = Y.getState(doc.store, doc.clientID);
  }

  /** Begins to count anew. */
  reset(): void {
    this.#client = this.#doc.clientID;
    this.#clock = Y.getState(this.#doc.store, this.#client);
  }

  get count(): number {
    // A replica gets a new client id when its content was written again.
    if (this.#client !== this.#doc.clientID) this.reset();
    const structs = this.#doc.store.clients.get(this.#client) ?? [];
    let words = 0;
    for (let at = structs.length - 1; at >= 0; at -= 1) {
      const struct = structs[at];
      if (!struct || struct.id.clock + struct.length <= this.#clock) break;
      if (!(struct instanceof Y.Item) || struct.deleted || !(struct.content instanceof Y.ContentString)) continue;
      const text = struct.content.str.slice(Math.max(0, this.#clock - struct.id.clock));
      words += text.match(/\S+/g)?.length ?? 0;
    }
    return words;
  }
}
