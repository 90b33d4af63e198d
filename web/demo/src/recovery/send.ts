import { DocumentProvider, RealtimeClient, RealtimeError } from "@realtime-server/client";
import type { CopyName } from "../copies/database";
import { copyOf } from "../copies/DocumentCopy";
import { openCopy } from "../document/persistence";
import type { Identity } from "../session/identity";
import { personById } from "../session/people";
import { fetchToken } from "../session/token";

/** How long sending may take. After that the edits stay in the copy. */
const TIMEOUT_MS = 20_000;

/** The person whose copy it is. Of people who are not remembered any more only the id is known. */
export function ownerOf({ user, team }: CopyName): Identity {
  const known = personById(user);
  return { id: user, name: known?.name ?? "Someone", role: known?.role ?? "editor", team, ttlSeconds: undefined };
}

/**
 * Sends the edits of a copy as the person who has made them: others see them with that person's name.
 *
 * @throws {RealtimeError} the reason why the server does not take them, or `timeout`. The copy is unchanged then.
 */
export async function sendCopy(copy: CopyName): Promise<void> {
  const owner = ownerOf(copy);
  const client = new RealtimeClient({ token: () => fetchToken(owner) });
  const provider = new DocumentProvider(client, copy.room, { persistence: openCopy(copy.team, copy.user) });
  try {
    await allSent(provider, client);
    copyOf(provider.doc)?.sent();
  } finally {
    provider.destroy();
    client.destroy();
  }
}

function allSent(provider: DocumentProvider, client: RealtimeClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new RealtimeError("timeout")), TIMEOUT_MS);
    const end = (error?: RealtimeError) => {
      clearTimeout(timer);
      provider.off("change", check);
      client.off("change", check);
      if (error) reject(error);
      else resolve();
    };
    const check = () => {
      const { synced, saved, readOnly, ended, error } = provider.state;
      if (ended) end(new RealtimeError("not_found"));
      else if (synced && readOnly) end(new RealtimeError("forbidden"));
      else if (synced && saved) end();
      else if (error && !error.retryable) end(error);
      else if (client.state.status === "disconnected") end(client.state.error ?? new RealtimeError("disconnected"));
    };
    provider.on("change", check);
    client.on("change", check);
    check();
  });
}
