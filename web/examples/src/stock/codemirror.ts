import { keymap } from "@codemirror/view";
import { EditorView, basicSetup } from "codemirror";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import { type MountEditor, openDocument, user } from "./page";

export const mount: MountEditor = (open, parent) => {
  const { doc, awareness, provider } = openDocument(open);
  awareness.setLocalStateField("user", { name: user });
  const text = doc.getText("codemirror");
  const extensions = [keymap.of(yUndoManagerKeymap), basicSetup, EditorView.lineWrapping, yCollab(text, awareness)];
  new EditorView({ parent, doc: text.toString(), extensions });
  provider.connect();
};
