import { BlockNoteView } from "@blocknote/mantine";
import "@blocknote/mantine/style.css";
import { useCreateBlockNote } from "@blocknote/react";
import type { DocumentProvider } from "@realtime-server/client";
import { RealtimeProvider, useConnection, useDocument } from "@realtime-server/client/react";
import { createRoot } from "react-dom/client";
import { client, me, room } from "./client";
import { mayWrite, statusText } from "./status";

function Document({ room }: { room: string }) {
  const connection = useConnection();
  const { provider, ...state } = useDocument(room);
  const editable = mayWrite(state);
  return (
    <>
      <p id="status">{statusText(connection, state)}</p>
      {provider && <Editor key={String(editable)} provider={provider} editable={editable} />}
    </>
  );
}

function Editor({ provider, editable }: { provider: DocumentProvider; editable: boolean }) {
  const editor = useCreateBlockNote({
    collaboration: {
      fragment: provider.doc.getXmlFragment("blocknote"),
      provider,
      user: { ...me, color: "" }, // the server chooses the color
    },
  });
  return <BlockNoteView editor={editor} editable={editable} theme="light" id="editor" />;
}

// BlockNote's undo ends when an editor is mounted again, so there is a `key` for `editable` above, and no StrictMode here.
createRoot(document.getElementById("root") ?? document.body).render(
  <RealtimeProvider client={client}>
    <Document key={room} room={room} />
  </RealtimeProvider>,
);
