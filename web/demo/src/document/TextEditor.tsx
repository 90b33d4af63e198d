import type { DocumentProvider, Threads } from "@realtime-server/client";
import { EditorContent, useEditor, type Editor } from "@tiptap/react";
import { useEffect, useMemo, useState } from "react";
import { takeFocusRequest } from "../navigation/route";
import { EditorNotice } from "./EditorNotice";
import { extensionsOf } from "./extensions";

interface TextEditorProps {
  provider: DocumentProvider;
  threads: Threads;
  access: "opening" | "view" | "edit";
  onEditor: (editor: Editor | undefined) => void;
}

/** Keeps the line with the caret from being hidden by the bars above the text. */
const SCROLL_MARGIN = { top: 150, right: 0, bottom: 60, left: 0 };

/** The text of a document. It has to be mounted again for another provider. */
export function TextEditor({ provider, threads, access, onEditor }: TextEditorProps) {
  // Created once: for new extensions Tiptap would create a new editor, without the selection and the undo history.
  const [notice, setNotice] = useState<string>();
  const [extensions] = useState(() => extensionsOf(provider, { onNotice: setNotice, threads }));
  const isEditable = access === "edit";
  const editorProps = useMemo(
    () => ({
      attributes: {
        role: "textbox",
        "aria-multiline": "true",
        "aria-label": "Text of the document",
        "aria-readonly": String(!isEditable),
        // Users who only read need the focus as well, to scroll, select and copy by keyboard.
        tabindex: "0",
      },
      scrollThreshold: SCROLL_MARGIN,
      scrollMargin: SCROLL_MARGIN,
    }),
    [isEditable],
  );
  const editor = useEditor({
    extensions,
    editorProps,
    injectCSS: false,
    // The rules of the marks would take the stars from `2 * 3 * 4`. Markdown is read by the extension Paste.
    enablePasteRules: ["link"],
  });

  useEffect(() => {
    if (isEditable && takeFocusRequest()) editor.commands.focus("end");
  }, [editor, isEditable]);
  useEffect(() => {
    onEditor(editor);
    return () => onEditor(undefined);
  }, [editor, onEditor]);

  return (
    <div className="page" data-opening={access === "opening"} aria-busy={access === "opening"}>
      <EditorContent editor={editor} />
      <EditorNotice text={notice} onClose={() => setNotice(undefined)} />
    </div>
  );
}
