import * as Y from "yjs";

/** The clocks of the client ids of this replica: up to which of them the server has acknowledged its edits. */
export class OwnClocks {
  /** By client id, the clock up to which the server has acknowledged the edits under it. */
  readonly #saved = new Map<number, number>();
  #hasUnsaved = false;

  /** Whether anything was written since the server last acknowledged everything. */
  get hasUnsaved(): boolean {
    return this.#hasUnsaved;
  }

  /** The client ids under which this replica has written. */
  get clients(): Iterable<number> {
    return this.#saved.keys();
  }

  /** Notes the elements that a transaction of this replica inserted. */
  note({ beforeState, afterState }: Pick<Y.Transaction, "beforeState" | "afterState">): void {
    for (const [client, end] of afterState) {
      const clock = beforeState.get(client) ?? 0;
      if (clock === end) continue;
      this.#hasUnsaved = true;
      if (!this.#saved.has(client)) this.#saved.set(client, clock);
    }
  }

  /** Notes that the server has acknowledged an update. */
  acknowledged(update: Uint8Array): void {
    const { from, to } = Y.parseUpdateMeta(update);
    for (const [client, end] of to) {
      const saved = this.#saved.get(client);
      if (saved !== undefined && (from.get(client) ?? 0) <= saved) this.#saved.set(client, Math.max(saved, end));
    }
  }

  /** Notes that the server has acknowledged everything in `doc`. */
  saved(doc: Y.Doc): void {
    this.#hasUnsaved = false;
    for (const client of this.#saved.keys()) this.#saved.set(client, Y.getState(doc.store, client));
  }

  /** The state vector without the edits of this replica that are not acknowledged. Changes its argument. */
  withoutUnsaved(stateVector: Map<number, number>): Map<number, number> {
    for (const [client, clock] of this.#saved) {
      if (clock < (stateVector.get(client) ?? 0)) stateVector.set(client, clock);
    }
    return stateVector;
  }

  /** Forgets all client ids, because the document has a new one. */
  forget(): void {
    this.#saved.clear();
    this.#hasUnsaved = false;
  }
}
