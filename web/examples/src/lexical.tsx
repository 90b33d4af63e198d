import { LexicalCollaboration } from "@lexical/react/LexicalCollaborationContext";
import { CollaborationPlugin } from "@lexical/react/LexicalCollaborationPlugin";
import { useLexicalComposerContext } from "@lexical/react/LexicalComposerContext";
import { ContentEditable } from "@lexical/react/LexicalContentEditable";
import { LexicalExtensionComposer } from "@lexical/react/LexicalExtensionComposer";
import { RichTextExtension } from "@lexical/rich-text";
import type { Provider } from "@lexical/yjs";
import { DocumentProvider, type OpenPersistence } from "@realtime-server/client";
import { RealtimeProvider, useConnection, useDocumentState, useRealtime } from "@realtime-server/client/react";
import { $createParagraphNode, $getRoot, defineExtension } from "lexical";
import { StrictMode, useCallback, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { IndexeddbPersistence } from "y-indexeddb";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { client, me, room } from "./client";
import { mayWrite, statusText } from "./status";

/** Lexical shows the name at the top level of a state, which any client can set freely. The server guarantees the one in `user`. */
class VouchedAwareness extends Awareness {
  override getStates() {
    const states = [...super.getStates()];
    return new Map(states.map(([id, state]) => [id, { ...state, ...(state.user as object | undefined) }]));
  }
}

/** The content and the undo history come from the document, so there is neither an initial state nor a history extension. */
const extension = defineExtension({
  name: "text",
  dependencies: [RichTextExtension],
  $initialEditorState: null,
  editable: false,
});

/** Edits made offline stay in this copy when the editor is unmounted. */
const persistence: OpenPersistence = (name, doc) => new IndexeddbPersistence(`demo/${me.id}/${name}`, doc);

function Document({ room }: { room: string }) {
  const client = useRealtime();
  const [provider, setProvider] = useState<DocumentProvider>();
  const state = useDocumentState(provider);
  const connection = useConnection();
  const carets = useRef<HTMLDivElement>(null);

  // Lexical needs an empty document each time it is mounted, and connects it when it is ready to show changes.
  const providerFactory = useCallback(
    (id: string, docs: Map<string, Y.Doc>) => {
      const doc = new Y.Doc();
      docs.set(id, doc);
      const awareness = new VouchedAwareness(doc);
      const made = new DocumentProvider(client, id, { doc, awareness, persistence, connect: false });
      setProvider(made);
      return made as unknown as Provider; // the type of the awareness states in Lexical has only its own fields
    },
    [client],
  );
  useEffect(() => () => provider?.doc.destroy(), [provider]);

  // An empty document gets its first paragraph from a user who may write.
  const begin = useCallback(() => {
    if (provider && mayWrite(provider.state)) $getRoot().append($createParagraphNode());
  }, [provider]);

  return (
    <LexicalCollaboration>
      <LexicalExtensionComposer extension={extension} contentEditable={null}>
        <p id="status">{statusText(connection, state)}</p>
        <div ref={carets} style={{ position: "relative" }}>
          <ContentEditable id="editor" />
        </div>
        <CollaborationPlugin
          id={room}
          providerFactory={providerFactory}
          username={me.name}
          cursorsContainerRef={carets}
          shouldBootstrap
          initialEditorState={begin}
        />
        <Editable editable={mayWrite(state)} />
      </LexicalExtensionComposer>
    </LexicalCollaboration>
  );
}

function Editable({ editable }: { editable: boolean }) {
  const [editor] = useLexicalComposerContext();
  useEffect(() => editor.setEditable(editable), [editor, editable]);
  return null;
}

createRoot(document.getElementById("root") ?? document.body).render(
  <StrictMode>
    <RealtimeProvider client={client}>
      <Document key={room} room={room} />
    </RealtimeProvider>
  </StrictMode>,
);
