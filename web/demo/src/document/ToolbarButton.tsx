import type { ReactNode } from "react";
import { ariaShortcut, shownShortcut } from "./shortcut";

interface ToolbarButtonProps {
  label: string;
  shortcut?: string | undefined;
  /** Undefined for what is done once and does not stay. */
  isPressed?: boolean | undefined;
  isPossible: boolean;
  onPress: () => void;
  children: ReactNode;
}

/** One button. What is not possible stays reachable, so that the focus is never lost. */
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
      // The text keeps the focus and its selection; on phones the keyboard stays.
      onMouseDown={(event) => event.preventDefault()}
      onClick={() => {
        if (isPossible) onPress();
      }}
    >
      {children}
    </button>
  );
}
