import { CommentsExtension } from "@blocknote/core/comments";
import { BlockNoteView } from "@blocknote/mantine";
import "@blocknote/mantine/style.css";
import { ThreadsSidebar, useCreateBlockNote } from "@blocknote/react";
import type { DocumentProvider, Threads } from "@realtime-server/client";
import { RealtimeThreadStore } from "@realtime-server/client/blocknote";
import { RealtimeProvider, useConnection, useDocument, useThreads } from "@realtime-server/client/react";
import { useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { client, me, room } from "./client";
import { mayWrite, statusText } from "./status";

function Document({ room }: { room: string }) {
  const connection = useConnection();
  const { provider, ...state } = useDocument(room);
  const { threads } = useThreads(room);
  const editable = mayWrite(state);
  return (
    <>
      <p id="status">{statusText(connection, state)}</p>
      {provider && <Editor key={String(editable)} provider={provider} threads={threads} editable={editable} />}
    </>
  );
}

function Editor({ provider, threads, editable }: { provider: DocumentProvider; threads: Threads; editable: boolean }) {
  const [failure, setFailure] = useState<string>();
  const store = useMemo(
    () => new RealtimeThreadStore({ provider, threads, onError: ({ message }) => setFailure(message) }),
    [provider, threads],
  );
  const editor = useCreateBlockNote({
    collaboration: {
      fragment: provider.doc.getXmlFragment("blocknote"),
      provider,
      user: { ...me, color: "" }, // the server chooses the color
    },
    extensions: [CommentsExtension({ threadStore: store, resolveUsers: store.resolveUsers }), store.extension],
  });
  return (
    <BlockNoteView editor={editor} editable={editable} theme="light" id="editor">
      {failure && <p role="alert">The comment was not saved: {failure}</p>}
      <aside aria-label="Comments">
        <ThreadsSidebar filter="all" sort="position" />
      </aside>
    </BlockNoteView>
  );
}

// As in the example without comments: a new editor when the right to write changes, and no StrictMode.
createRoot(document.getElementById("root") ?? document.body).render(
  <RealtimeProvider client={client}>
    <Document key={room} room={room} />
  </RealtimeProvider>,
);
