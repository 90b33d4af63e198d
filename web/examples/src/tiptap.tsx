import type { DocumentProvider } from "@realtime-server/client";
import {
  AvatarStack,
  ConnectionBanner,
  FollowNotice,
  SaveStatus,
  useDocumentStatus,
} from "@realtime-server/client/kit";
import "@realtime-server/client/kit.css";
import { RealtimeProvider, useDocument, usePeople } from "@realtime-server/client/react";
import { Realtime, followed } from "@realtime-server/client/tiptap";
import { EditorContent, useEditor, useEditorState } from "@tiptap/react";
import { StarterKit } from "@tiptap/starter-kit";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { client, room } from "./client";

function Document({ room }: { room: string }) {
  const { provider, ...state } = useDocument(room);
  const status = useDocumentStatus(state);
  return (
    <>
      <SaveStatus status={status} id="status" />
      <ConnectionBanner status={status} />
      {provider && <TextEditor provider={provider} />}
    </>
  );
}

function TextEditor({ provider }: { provider: DocumentProvider }) {
  const editor = useEditor({ extensions: [StarterKit, Realtime.configure({ provider })] });
  const id = useEditorState({ editor, selector: ({ editor }) => followed(editor.state) });
  const person = usePeople(provider).find((person) => person.id === id);
  const stop = () => editor.commands.unfollow();
  const toggle = (person: { id: string }) => (person.id === id ? stop() : editor.commands.follow(person.id));
  return (
    <>
      <AvatarStack provider={provider} followed={id} onFollow={toggle} />
      <EditorContent editor={editor} id="editor" />
      <FollowNotice person={person} onStop={stop} />
    </>
  );
}

createRoot(document.getElementById("root") ?? document.body).render(
  <StrictMode>
    <RealtimeProvider client={client}>
      <Document key={room} room={room} />
    </RealtimeProvider>
  </StrictMode>,
);
