import type { OpenPersistence } from "@realtime-server/client";
import { IndexeddbPersistence } from "y-indexeddb";

/** Keeps copies in this browser, for each person and team their own. */
export function openCopy(team: string, user: string): OpenPersistence {
  return (name, doc) => new IndexeddbPersistence(`realtime/${team}/${user}/${name}`, doc);
}
