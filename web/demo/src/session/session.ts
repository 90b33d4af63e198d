import { RealtimeClient } from "@realtime-server/client";
import { useSyncExternalStore } from "react";
import { forgetUnsaved } from "../status/unsaved";
import { loadIdentity, saveIdentity, type Identity } from "./identity";
import { fetchToken } from "./token";

/** The identity of the user in this window, and the connection of that user. */
export interface Session {
  readonly identity: Identity;
  readonly client: RealtimeClient;
}

let session: Session = { identity: loadIdentity(), client: newClient() };
const listeners = new Set<() => void>();

/** The session; renders again when the identity of this window changes. */
export function useSession(): Session {
  return useSyncExternalStore(subscribe, () => session);
}

/** Continues with another identity. */
export function changeIdentity(identity: Identity): void {
  saveIdentity(identity);
  if (identity.team === session.identity.team) {
    // Open documents stay open, with edits that are not saved yet, and are joined again with the new rights.
    session = { ...session, identity };
    reconnect(session.client);
  } else {
    // In another team the same names are those of other documents.
    session.client.destroy();
    forgetUnsaved();
    session = { identity, client: newClient() };
  }
  for (const listener of listeners) listener();
}

/** Connects at once, even if the client is waiting for its next attempt. */
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
