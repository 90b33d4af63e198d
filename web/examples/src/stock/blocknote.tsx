import { BlockNoteView } from "@blocknote/mantine";
import "@blocknote/mantine/style.css";
import { useCreateBlockNote } from "@blocknote/react";
import { createRoot } from "react-dom/client";
import type * as Y from "yjs";
import { type MountEditor, openDocument, user } from "./page";

type Awareness = ReturnType<typeof openDocument>["awareness"];

function TextEditor({ doc, awareness }: { doc: Y.Doc; awareness: Awareness }) {
  const editor = useCreateBlockNote({
    collaboration: {
      fragment: doc.getXmlFragment("blocknote"),
      provider: { awareness },
      user: { name: user, color: "" },
    },
  });
  return <BlockNoteView editor={editor} theme="light" />;
}

export const mount: MountEditor = (open, element) => {
  const { doc, awareness, provider } = openDocument(open);
  createRoot(element).render(<TextEditor doc={doc} awareness={awareness} />);
  provider.connect();
};
