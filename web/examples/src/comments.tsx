import type { DocumentProvider } from "@realtime-server/client";
import { Composer, Threads } from "@realtime-server/client/kit";
import "@realtime-server/client/kit.css";
import { RealtimeProvider, useDocument, usePeople, useThreads } from "@realtime-server/client/react";
import { anchorOfSelection, Comments, highlightsOf, Realtime } from "@realtime-server/client/tiptap";
import { EditorContent, useEditor, useEditorState } from "@tiptap/react";
import { StarterKit } from "@tiptap/starter-kit";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { client, room } from "./client";

function Document({ room }: { room: string }) {
  const { provider, permission } = useDocument(room);
  const mayComment = permission !== undefined && permission !== "view";
  return provider && <CommentedText provider={provider} mayComment={mayComment} />;
}

function CommentedText({ provider, mayComment }: { provider: DocumentProvider; mayComment: boolean }) {
  const { threads } = useThreads(provider.room);
  const people = usePeople(provider);
  const editor = useEditor({
    extensions: [StarterKit, Realtime.configure({ provider }), Comments.configure({ provider, threads })],
  });
  const active = useEditorState({ editor, selector: ({ editor }) => highlightsOf(editor.state).active });
  const [draft, setDraft] = useState<ReturnType<typeof anchorOfSelection>>();
  const begin = () => {
    editor.commands.showDraft(true);
    setDraft(anchorOfSelection(editor));
  };
  const end = () => {
    editor.commands.showDraft(false);
    setDraft(undefined);
  };
  return (
    <>
      <EditorContent editor={editor} id="editor" />
      {mayComment && (
        <button type="button" onClick={begin}>
          Comment on the selected text
        </button>
      )}
      {draft && (
        <Composer
          label="Comment"
          sendLabel="Comment"
          people={people}
          focused
          onCancel={end}
          onSend={async (comment) => {
            await threads.create({ ...comment, ...draft });
            end();
          }}
        />
      )}
      <Threads
        threads={threads}
        people={people}
        mayComment={mayComment}
        active={active}
        onActivate={(thread) => editor.commands.activateThread(thread, { scroll: true })}
      />
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
