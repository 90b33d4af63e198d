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
import { mayWrite, statusText } from "./status";

function Document({ room }: { room: string }) {
  const connection = useConnection();
  const { provider, ...state } = useDocument(room);
  return (
    <>
      <p id="status">{statusText(connection, state)}</p>
      {provider && <TextEditor provider={provider} editable={mayWrite(state)} />}
    </>
  );
}

function TextEditor({ provider, editable }: { provider: DocumentProvider; editable: boolean }) {
  const editor = useEditor({
    editable: false,
    extensions: [
      // Collaboration has its own undo. A trailing node would be written by every client that shows the text, also by viewers.
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
