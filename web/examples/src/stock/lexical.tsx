import { LexicalCollaboration } from "@lexical/react/LexicalCollaborationContext";
import { CollaborationPlugin } from "@lexical/react/LexicalCollaborationPlugin";
import { ContentEditable } from "@lexical/react/LexicalContentEditable";
import { LexicalExtensionComposer } from "@lexical/react/LexicalExtensionComposer";
import { RichTextExtension } from "@lexical/rich-text";
import type { Provider } from "@lexical/yjs";
import { defineExtension } from "lexical";
import { useRef } from "react";
import { createRoot } from "react-dom/client";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { type MountEditor, type OpenProvider, room, user } from "./page";

/** Lexical shows the name at the top level of a state, which any client can set freely. The server guarantees the one in `user`. */
class VouchedAwareness extends Awareness {
  override getStates() {
    const states = [...super.getStates()];
    return new Map(states.map(([id, state]) => [id, { ...state, ...(state.user as object | undefined) }]));
  }
}

const extension = defineExtension({ name: "text", dependencies: [RichTextExtension], $initialEditorState: null });

function TextEditor({ open }: { open: OpenProvider }) {
  const carets = useRef<HTMLDivElement>(null);
  const openProvider = (id: string, docs: Map<string, Y.Doc>) => {
    const doc = new Y.Doc();
    docs.set(id, doc);
    return open(id, doc, new VouchedAwareness(doc)) as unknown as Provider; // Lexical connects it
  };
  return (
    <LexicalCollaboration>
      <LexicalExtensionComposer extension={extension} contentEditable={null}>
        <div ref={carets} style={{ position: "relative" }}>
          <ContentEditable />
        </div>
        <CollaborationPlugin
          id={room}
          providerFactory={openProvider}
          username={user}
          cursorsContainerRef={carets}
          shouldBootstrap
        />
      </LexicalExtensionComposer>
    </LexicalCollaboration>
  );
}

export const mount: MountEditor = (open, element) => createRoot(element).render(<TextEditor open={open} />);
