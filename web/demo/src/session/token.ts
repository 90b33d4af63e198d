import { RealtimeError } from "@realtime-server/client";
import type { Identity } from "./identity";

const NO_TOKEN =
  "this server gives out no tokens. It is not in development mode, or something else answers at this address.";

/** Fetches a token for any identity, which a server allows in development only. In an application your own backend signs tokens. */
export async function fetchToken({ id, name, role, team, ttlSeconds }: Identity): Promise<string> {
  const query = new URLSearchParams({ user: id, name, role, team });
  if (ttlSeconds !== undefined) query.set("ttl_seconds", String(ttlSeconds));
  const response = await fetchOrDisconnected(`/dev/token?${query.toString()}`);
  if (response.ok) {
    const body: unknown = await response.json().catch(() => undefined);
    if (hasToken(body)) return body.token;
  }
  // A proxy answers with these codes while the server is away.
  if (response.status >= 500 || response.status === 429) throw new RealtimeError("disconnected");
  if (response.ok || response.status === 404) throw new RealtimeError("unauthorized", NO_TOKEN);
  throw new RealtimeError("invalid", "the server refuses this name, role or team.");
}

async function fetchOrDisconnected(address: string): Promise<Response> {
  try {
    return await fetch(address, { cache: "no-store" });
  } catch (cause) {
    throw new RealtimeError("disconnected", undefined, { cause });
  }
}

function hasToken(body: unknown): body is { token: string } {
  return typeof body === "object" && body !== null && "token" in body && typeof body.token === "string";
}
