import { Editor } from "@tiptap/core";
import { Collaboration } from "@tiptap/extension-collaboration";
import { CollaborationCaret } from "@tiptap/extension-collaboration-caret";
import { StarterKit } from "@tiptap/starter-kit";
import { type MountEditor, openDocument, user } from "./page";

export const mount: MountEditor = (open, element) => {
  const { doc, provider } = openDocument(open);
  new Editor({
    element,
    extensions: [
      StarterKit.configure({ undoRedo: false, trailingNode: false }),
      Collaboration.configure({ document: doc }),
      CollaborationCaret.configure({ provider, user: { name: user, color: "" } }),
    ],
  });
  provider.connect();
};
