import type { DocumentProvider, Permission } from "@realtime-server/client";
import { anchorOfSelection } from "@realtime-server/client/tiptap";
import type { Editor } from "@tiptap/react";
import { useCallback, useMemo, useState, type ComponentProps } from "react";
import { TextEditor } from "../document/TextEditor";
import { announce } from "../status/announcer";
import { CommentButton } from "./CommentButton";
import { Comments, type Draft } from "./Comments";
import { useWide } from "./useWide";

interface CommentedTextProps extends Omit<ComponentProps<typeof TextEditor>, "threads"> {
  provider: DocumentProvider;
  permission: Permission | undefined;
}

/** The text of a document, with the comments on it. It has to be mounted again for another provider. */
export function CommentedText({ provider, access, permission, onEditor }: CommentedTextProps) {
  const threads = useMemo(() => provider.client.threads(provider.room), [provider]);
  const [editor, setEditor] = useState<Editor>();
  const [draft, setDraft] = useState<Draft>();
  const isWide = useWide();
  const mayComment = permission !== undefined && permission !== "view";
  const take = useCallback(
    (editor: Editor | undefined) => {
      setEditor(editor);
      onEditor(editor);
    },
    [onEditor],
  );
  const begin = useCallback(() => {
    const selected = editor && anchorOfSelection(editor);
    if (!selected) {
      announce("Select the text of the document that the comment is about.");
      return;
    }
    editor.chain().activateThread(undefined).showDraft(true).run();
    setDraft(selected);
  }, [editor]);
  return (
    <div className="commented">
      <TextEditor {...{ provider, access, threads }} onEditor={take} />
      {editor && mayComment && !draft && <CommentButton editor={editor} onPress={begin} />}
      {editor && <Comments {...{ provider, threads, editor, mayComment, isWide, draft }} onDraft={setDraft} />}
    </div>
  );
}
