import type { ReactNode } from "react";
import { Icon } from "../ui/Icon";
import type { Format } from "./formats";
import { ariaShortcut, shownShortcut } from "./shortcut";

interface ToolbarButtonProps {
  label: string;
  shortcut?: string | undefined;
  /** Whether the selection has the format; undefined for actions, such as undo. */
  isPressed?: boolean | undefined;
  isPossible: boolean;
  onPress: () => void;
  children: ReactNode;
}

/** One button of the toolbar. It can be focused even if it is disabled, so that the focus is never lost. */
export function ToolbarButton({ label, shortcut, isPressed, isPossible, onPress, children }: ToolbarButtonProps) {
  return (
    <button
      type="button"
      className="tool"
      tabIndex={-1}
      aria-label={label}
      aria-pressed={isPressed}
      aria-disabled={!isPossible}
      aria-keyshortcuts={shortcut && ariaShortcut(shortcut)}
      data-tooltip={shortcut ? `${label} (${shownShortcut(shortcut)})` : label}
      // So the text keeps the focus and its selection, and on phones the keyboard stays open.
      onMouseDown={(event) => event.preventDefault()}
      onClick={() => {
        if (isPossible) onPress();
      }}
    >
      {children}
    </button>
  );
}

/** What a button or a menu item shows of a format. */
export function Face({ face }: Pick<Format, "face">) {
  return "icon" in face ? <Icon name={face.icon} /> : <span className="letters">{face.letters}</span>;
}
