import { Compartment, EditorState } from "@codemirror/state";
import { keymap } from "@codemirror/view";
import { DocumentProvider } from "@realtime-server/client";
import { EditorView, basicSetup } from "codemirror";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import { client, me, room } from "./client";
import { mayWrite, statusText } from "./status";

const provider = new DocumentProvider(client, room);
provider.awareness.setLocalStateField("user", me);

const text = provider.doc.getText("codemirror");
const readOnly = new Compartment();
const view = new EditorView({
  parent: document.querySelector("#editor") ?? document.body,
  doc: text.toString(),
  extensions: [
    keymap.of(yUndoManagerKeymap), // comes first, so that undo takes back only the user's own edits
    basicSetup,
    EditorView.lineWrapping,
    yCollab(text, provider.awareness),
    readOnly.of(EditorState.readOnly.of(true)),
  ],
});

const show = () => {
  document.querySelector("#status")?.replaceChildren(statusText(client.state, provider.state));
  const locked = !mayWrite(provider.state);
  if (view.state.readOnly !== locked) view.dispatch({ effects: readOnly.reconfigure(EditorState.readOnly.of(locked)) });
};
provider.on("change", show);
client.on("change", show);
show();
