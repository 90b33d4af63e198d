// Editors with their own Yjs bindings, and providers of the Yjs community as they are.
import { type MountEditor, type OpenProvider, query } from "./page";
import "./stock.css";

const providers: Record<string, () => Promise<{ open: OpenProvider }>> = {
  "y-websocket": () => import("./y-websocket"),
  hocuspocus: () => import("./hocuspocus"),
  "y-socket.io": () => import("./y-socket-io"),
};
const editors: Record<string, () => Promise<{ mount: MountEditor }>> = {
  tiptap: () => import("./tiptap"),
  blocknote: () => import("./blocknote"),
  codemirror: () => import("./codemirror"),
  monaco: () => import("./monaco"),
  quill: () => import("./quill"),
  lexical: () => import("./lexical"),
  prosemirror: () => import("./prosemirror"),
};

const [provider, editor] = [query.get("provider") ?? "y-websocket", query.get("editor") ?? "tiptap"];
document.title = `${editor}, ${provider}`;
document.querySelector("h1")?.replaceChildren(document.title);
const [opened, mounted] = await Promise.all([providers[provider]?.(), editors[editor]?.()]);
const element = document.querySelector<HTMLElement>("#editor");
if (opened && mounted && element) mounted.mount(opened.open, element);
