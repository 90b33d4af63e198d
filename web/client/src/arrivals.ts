import type * as Y from "yjs";

/** How long an edit that came in from elsewhere is left to its author to bring, in milliseconds. */
const GRACE_MS = 250;

/** Edits that came in from elsewhere than the server, such as y-webrtc or another tab, a moment ago. */
export class Arrivals {
  #arrived: { readonly at: number; readonly client: number; readonly clock: number }[] = [];

  /** Notes what a transaction brought in. */
  note({ beforeState, afterState }: Pick<Y.Transaction, "beforeState" | "afterState">): void {
    const at = performance.now();
    for (const [client, end] of afterState) {
      const clock = beforeState.get(client) ?? 0;
      if (clock < end) this.#arrived.push({ at, client, clock });
    }
  }

  /** For each client of whom something arrived within the grace: the first clock of that. */
  recent(): Map<number, number> {
    const since = performance.now() - GRACE_MS;
    this.#arrived = this.#arrived.filter(({ at }) => at > since);
    const first = new Map<number, number>();
    for (const { client, clock } of this.#arrived) first.set(client, Math.min(clock, first.get(client) ?? Infinity));
    return first;
  }
}
