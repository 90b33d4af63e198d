import Quill from "quill";
import QuillCursors from "quill-cursors";
import "quill/dist/quill.snow.css";
import { QuillBinding } from "y-quill";
import { type MountEditor, openDocument, user } from "./page";

Quill.register("modules/cursors", QuillCursors);

export const mount: MountEditor = (open, element) => {
  const { doc, awareness, provider } = openDocument(open);
  awareness.setLocalStateField("user", { name: user });
  const quill = new Quill(element, { theme: "snow", modules: { cursors: true, history: { userOnly: true } } });
  new QuillBinding(doc.getText("quill"), quill, awareness);
  provider.connect();
};
