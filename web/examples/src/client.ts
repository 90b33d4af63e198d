import { RealtimeClient, RealtimeError } from "@realtime-server/client";

/** The user and the document, from the address: `?user=ana&role=editor&room=article-42`. */
const query = new URLSearchParams(location.search);
export const room = query.get("room") ?? "article-42";
export const me = { id: query.get("user") ?? "ana", name: query.get("name") ?? query.get("user") ?? "Ana" };

/** Fetches a new token with each call. Here it is a development token; in production your own backend signs it. */
async function token(): Promise<string> {
  const who = new URLSearchParams({ user: me.id, name: me.name, role: query.get("role") ?? "editor", team: "demo" });
  const response = await fetch(`/dev/token?${who.toString()}`, { cache: "no-store" });
  if (response.status === 401) throw new RealtimeError("unauthorized", "nobody is signed in"); // the client stops
  if (!response.ok) throw new Error(`no token: ${response.status}`); // the client tries again
  const body = (await response.json()) as { token: string };
  return body.token;
}

/** The client of the whole page: all documents share its connection. */
export const client = new RealtimeClient({ token });
