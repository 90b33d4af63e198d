import { useState } from "react";
import type { ActivityEntry } from "../protocol.js";

/** The entries to show, and how many newer ones wait. */
export interface HeldEntries {
  readonly shown: readonly ActivityEntry[];
  readonly waiting: number;
}

/**
 * The entries of a feed. While `isHeld`, those that were there at its beginning stay as they are, so that nothing moves under the eyes
 * of the reader; older ones are added at the end, and newer ones wait.
 */
export function useHeldEntries(entries: readonly ActivityEntry[], isHeld: boolean): HeldEntries {
  const [held, setHeld] = useState<readonly ActivityEntry[]>();
  if (!isHeld || entries.length === 0) {
    if (held !== undefined) setHeld(undefined);
    return { shown: entries, waiting: 0 };
  }
  if (held === undefined) {
    setHeld(entries);
    return { shown: entries, waiting: 0 };
  }
  const known = new Map(held.map(({ id, at }) => [id, at]));
  const [newest, oldest] = [held.at(0)?.at ?? "", held.at(-1)?.at ?? ""].map((at) => Date.parse(at));
  const others = entries.filter(({ id, at }) => known.get(id) !== at);
  const older = others.filter(({ id, at }) => !known.has(id) && Date.parse(at) <= (oldest ?? 0));
  const waiting = others.filter(({ at }) => Date.parse(at) >= (newest ?? 0)).length;
  return { shown: [...held, ...older], waiting };
}
