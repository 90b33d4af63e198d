import * as Y from "yjs";

/** What was written in this replica and is not known to be on the server: the clocks of its client ids. */
export class OwnClocks {
  /** For a client id: the clock up to which the server has acknowledged what was written under it. */
  readonly #saved = new Map<number, number>();
  #isOpen = false;

  /** Whether anything was written since the last acknowledgement. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The client ids under which something was written here. */
  get ids(): Iterable<number> {
    return this.#saved.keys();
  }

  /** Notes what a transaction of this replica wrote. */
  note({ beforeState, afterState }: Pick<Y.Transaction, "beforeState" | "afterState">): void {
    for (const [client, end] of afterState) {
      const clock = beforeState.get(client) ?? 0;
      if (clock === end) continue;
      this.#isOpen = true;
      if (!this.#saved.has(client)) this.#saved.set(client, clock);
    }
  }

  /** The server has acknowledged an update that is in the document. */
  acknowledged(update: Uint8Array): void {
    const { from, to } = Y.parseUpdateMeta(update);
    for (const [client, end] of to) {
      const saved = this.#saved.get(client);
      if (saved !== undefined && (from.get(client) ?? 0) <= saved) this.#saved.set(client, Math.max(saved, end));
    }
  }

  /** The server has acknowledged everything in `doc`. */
  saved(doc: Y.Doc): void {
    this.#isOpen = false;
    for (const client of this.#saved.keys()) this.#saved.set(client, Y.getState(doc.store, client));
  }

  /** A state vector without what was written here and is not acknowledged. */
  without(stateVector: Map<number, number>): Map<number, number> {
    for (const [client, clock] of this.#saved) {
      if (clock < (stateVector.get(client) ?? 0)) stateVector.set(client, clock);
    }
    return stateVector;
  }

  /** The client ids are others from now on. */
  forget(): void {
    this.#saved.clear();
    this.#isOpen = false;
  }
}
