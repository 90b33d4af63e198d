import { useEffect } from "react";
import { announce } from "../status/announcer";
import { Icon } from "../ui/Icon";

interface EditorNoticeProps {
  text: string | undefined;
  onClose: () => void;
}

/** Says what an action in the text did besides what can be seen, until the user closes it. It covers no toolbar and moves no text. */
export function EditorNotice({ text, onClose }: EditorNoticeProps) {
  useEffect(() => {
    if (text !== undefined) announce(text);
  }, [text]);
  if (text === undefined) return null;
  return (
    <div className="editor-notice" data-testid="editor-notice">
      <p>{text}</p>
      <button type="button" className="icon-button" aria-label="Close the notice" onClick={onClose}>
        <Icon name="close" />
      </button>
    </div>
  );
}
