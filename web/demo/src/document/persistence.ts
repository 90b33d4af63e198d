import type { OpenPersistence } from "@realtime-server/client";
import { IndexeddbPersistence } from "y-indexeddb";

/** Keeps copies of documents in this browser, separately for each user and team. */
export function openCopy(team: string, user: string): OpenPersistence {
  return (name, doc) => new IndexeddbPersistence(`realtime/${team}/${user}/${name}`, doc);
}
