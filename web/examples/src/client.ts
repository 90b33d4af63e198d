import { RealtimeClient, RealtimeError } from "@realtime-server/client";

/** Who one is and what one opens: `?user=ana&role=editor&room=article-42`. */
const query = new URLSearchParams(location.search);
export const room = query.get("room") ?? "article-42";
export const me = { id: query.get("user") ?? "ana", name: query.get("name") ?? query.get("user") ?? "Ana" };

/** A new token each time. Here it is the one of development; in production it comes from your own backend. */
async function token(): Promise<string> {
  const who = new URLSearchParams({ user: me.id, name: me.name, role: query.get("role") ?? "editor", team: "demo" });
  const response = await fetch(`/dev/token?${who.toString()}`, { cache: "no-store" });
  if (response.status === 401) throw new RealtimeError("unauthorized", "nobody is signed in"); // ends it
  if (!response.ok) throw new Error(`no token: ${response.status}`); // is tried again
  const body = (await response.json()) as { token: string };
  return body.token;
}

/** One for the whole page: all documents share its connection. */
export const client = new RealtimeClient({ token });
