import type { Editor } from "@tiptap/react";
import { useEffect, useState } from "react";
import { formatState, type FormatState } from "./formats";

/** What the toolbar shows of the selection. */
export interface ToolbarState extends FormatState {
  readonly isLink: boolean;
  /** Whether a link is possible: not in code, and not on a picture. */
  readonly mayLink: boolean;
  readonly isTable: boolean;
}

/**
 * The state of the toolbar. It is read after the frame that shows a change of the text, because trying all commands takes several
 * milliseconds, which would delay every letter.
 */
export function useToolbarState(editor: Editor): ToolbarState {
  const [state, setState] = useState(() => read(editor));
  useEffect(() => {
    let frame: number | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const update = () => {
      frame = undefined;
      if (editor.isDestroyed) return;
      const now = read(editor);
      setState((before) => (JSON.stringify(before) === JSON.stringify(now) ? before : now));
    };
    const later = () => {
      frame ??= requestAnimationFrame(() => (timer = setTimeout(update)));
    };
    editor.on("transaction", later);
    // The text may have changed since the first reading.
    later();
    return () => {
      editor.off("transaction", later);
      if (frame !== undefined) cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  }, [editor]);
  return state;
}

/** Whether the selection can be made a link. */
export function mayLink(editor: Editor): boolean {
  return editor.can().setLink({ href: "https://example.com" });
}

function read(editor: Editor): ToolbarState {
  return {
    ...formatState(editor),
    isLink: editor.isActive("link"),
    mayLink: mayLink(editor),
    isTable: editor.isActive("table"),
  };
}
