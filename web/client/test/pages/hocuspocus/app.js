// A Hocuspocus application with Tiptap, as it was written for @hocuspocus/provider: the test's build replaces that package in the
// import. Of the constructor only `url` and `token` are those of this server.

import { HocuspocusProvider } from "@hocuspocus/provider";
import { Editor } from "@tiptap/core";
import Collaboration from "@tiptap/extension-collaboration";
import CollaborationCaret from "@tiptap/extension-collaboration-caret";
import { StarterKit } from "@tiptap/starter-kit";
import * as Y from "yjs";

const query = new URLSearchParams(location.search);
const show = (id, text) => document.querySelector(`#${id}`).replaceChildren(text);

const ydoc = new Y.Doc();
const provider = new HocuspocusProvider({
  url: query.get("url"),
  token: () => query.get("token"),
  name: "example-document",
  document: ydoc,
  onStatus: ({ status }) => show("status", status),
  onSynced: () => show("status", "synced"),
  onAuthenticationFailed: ({ reason }) => show("refused", reason),
  onUnsyncedChanges: ({ number }) => show("saved", number === 0 ? "saved" : "saving"),
});
provider.on("authenticated", ({ scope }) => editor.setEditable(scope === "read-write"));
provider.on("awarenessChange", ({ states }) => show("people", states.map(({ user }) => user?.name).join(" and ")));

const editor = new Editor({
  element: document.querySelector(".element"),
  editable: false,
  extensions: [
    StarterKit.configure({ undoRedo: false }),
    Collaboration.configure({ document: provider.document }),
    CollaborationCaret.configure({ provider, user: { name: query.get("name"), color: "#f783ac" } }),
  ],
});
window.provider = provider;
