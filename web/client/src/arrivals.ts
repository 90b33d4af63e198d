import type * as Y from "yjs";

/** How long this replica leaves an edit from elsewhere to its author before sending it itself, in milliseconds. */
const GRACE_MS = 250;

/** The recent edits that reached the document from elsewhere than the server, such as y-webrtc or another tab. */
export class Arrivals {
  #arrived: { readonly at: number; readonly client: number; readonly clock: number }[] = [];

  /** Notes the elements that a transaction inserted. */
  note({ beforeState, afterState }: Pick<Y.Transaction, "beforeState" | "afterState">): void {
    const at = performance.now();
    for (const [client, end] of afterState) {
      const clock = beforeState.get(client) ?? 0;
      if (clock < end) this.#arrived.push({ at, client, clock });
    }
  }

  /** For each client whose elements arrived within the last 250 ms, the first of their clocks. */
  recent(): Map<number, number> {
    const since = performance.now() - GRACE_MS;
    this.#arrived = this.#arrived.filter(({ at }) => at > since);
    const first = new Map<number, number>();
    for (const { client, clock } of this.#arrived) first.set(client, Math.min(clock, first.get(client) ?? Infinity));
    return first;
  }
}
