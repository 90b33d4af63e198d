import { baseKeymap } from "prosemirror-commands";
import { keymap } from "prosemirror-keymap";
import { schema } from "prosemirror-schema-basic";
import { EditorState } from "prosemirror-state";
import { EditorView } from "prosemirror-view";
import "prosemirror-view/style/prosemirror.css";
import { initProseMirrorDoc, redo, undo, yCursorPlugin, ySyncPlugin, yUndoPlugin } from "y-prosemirror";
import { type MountEditor, openDocument, user } from "./page";

export const mount: MountEditor = (open, element) => {
  const { doc: ydoc, awareness, provider } = openDocument(open);
  awareness.setLocalStateField("user", { name: user });
  const fragment = ydoc.getXmlFragment("prosemirror");
  const { doc, mapping } = initProseMirrorDoc(fragment, schema);
  const plugins = [
    ySyncPlugin(fragment, { mapping }),
    yCursorPlugin(awareness),
    yUndoPlugin(),
    keymap({ "Mod-z": undo, "Mod-y": redo, "Mod-Shift-z": redo }),
    keymap(baseKeymap),
  ];
  new EditorView(element, { state: EditorState.create({ doc, schema, plugins }) });
  provider.connect();
};
