import type { OpenPersistence } from "@realtime-server/client";
import { databaseName } from "../copies/database";
import { DocumentCopy } from "../copies/DocumentCopy";

/** Keeps copies of documents in this browser, separately for each user and team. */
export function openCopy(team: string, user: string): OpenPersistence {
  return (room, doc) => new DocumentCopy(databaseName({ team, user, room }), doc);
}
