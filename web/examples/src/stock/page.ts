import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";

/** The user, the document, the editor and the provider: `?user=ana&room=article-42&editor=tiptap&provider=y-websocket`. */
export const query = new URLSearchParams(location.search);
export const room = query.get("room") ?? "article-42";
export const user = query.get("user") ?? "ana";

/** The server of this page. */
export const server = location.origin;

/** Fetches a new token with each call. Here it is a development token; in production your own backend signs it. */
export async function fetchToken(): Promise<string> {
  const name = query.get("name") ?? user;
  const who = new URLSearchParams({ user, name, role: query.get("role") ?? "editor", team: "demo" });
  const response = await fetch(`/dev/token?${who.toString()}`, { cache: "no-store" });
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  return ((await response.json()) as { token: string }).token;
}

export function showStatus(status: string): void {
  document.querySelector("#status")?.replaceChildren(status);
}

/** What editors use of a provider. */
export interface Provider {
  readonly awareness: Awareness | null;
  connect(): unknown;
  disconnect(): void;
  destroy(): void;
}

/** What a file of a provider exports. It does not connect by itself. */
export type OpenProvider = (room: string, doc: Y.Doc, awareness: Awareness) => Provider;

/** What a file of an editor exports. It connects the provider. */
export type MountEditor = (open: OpenProvider, element: HTMLElement) => void;

/** A document and its provider, for the editors that need nothing special. */
export function openDocument(open: OpenProvider) {
  const doc = new Y.Doc();
  const awareness = new Awareness(doc);
  return { doc, awareness, provider: open(room, doc, awareness) };
}
