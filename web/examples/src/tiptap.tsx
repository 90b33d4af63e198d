import type { DocumentProvider } from "@realtime-server/client";
import { RealtimeProvider, useConnection, useDocument } from "@realtime-server/client/react";
import { Collaboration } from "@tiptap/extension-collaboration";
import { CollaborationCaret } from "@tiptap/extension-collaboration-caret";
import { EditorContent, useEditor } from "@tiptap/react";
import { StarterKit } from "@tiptap/starter-kit";
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import "./carets.css";
import { client, me, room } from "./client";
import { mayWrite, words } from "./status";

function Document({ room }: { room: string }) {
  const connection = useConnection();
  const { provider, ...state } = useDocument(room);
  return (
    <>
      <p id="status">{words(connection, state)}</p>
      {provider && <TextEditor provider={provider} editable={mayWrite(state)} />}
    </>
  );
}

function TextEditor({ provider, editable }: { provider: DocumentProvider; editable: boolean }) {
  const editor = useEditor({
    editable: false,
    extensions: [
      // Collaboration brings its own undo. A trailing node would be written by everyone who looks, viewers included.
      StarterKit.configure({ undoRedo: false, trailingNode: false }),
      Collaboration.configure({ document: provider.doc }),
      CollaborationCaret.configure({ provider, user: me }),
    ],
  });
  useEffect(() => editor.setEditable(editable, false), [editor, editable]);
  return <EditorContent editor={editor} id="editor" />;
}

createRoot(document.getElementById("root") ?? document.body).render(
  <StrictMode>
    <RealtimeProvider client={client}>
      <Document key={room} room={room} />
    </RealtimeProvider>
  </StrictMode>,
);
