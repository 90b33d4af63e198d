import { RealtimeClient } from "@realtime-server/client";
import { useSyncExternalStore } from "react";
import { forgetUnsaved } from "../status/unsaved";
import { loadIdentity, saveIdentity, type Identity } from "./identity";
import { fetchToken } from "./token";

/** Who this window is, and the connection as that person. */
export interface Session {
  readonly identity: Identity;
  readonly client: RealtimeClient;
}

let session: Session = { identity: loadIdentity(), client: newClient() };
const listeners = new Set<() => void>();

/** The session; renders again when this window becomes someone else. */
export function useSession(): Session {
  return useSyncExternalStore(subscribe, () => session);
}

/** Goes on as someone else. */
export function become(identity: Identity): void {
  saveIdentity(identity);
  if (identity.team === session.identity.team) {
    // Open documents stay as they are, with edits that are not saved yet, and are joined again with the new rights.
    session = { ...session, identity };
    reconnect(session.client);
  } else {
    // Names of documents mean others in another team.
    session.client.destroy();
    forgetUnsaved();
    session = { identity, client: newClient() };
  }
  for (const listener of listeners) listener();
}

/** Connects at once, however long the client meant to wait. */
function reconnect(client: RealtimeClient): void {
  client.disconnect();
  client.connect();
}

function newClient(): RealtimeClient {
  return new RealtimeClient({ token: () => fetchToken(session.identity), backoff: { maxMs: 15_000 } });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
