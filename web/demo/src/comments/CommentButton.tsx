import type { Editor } from "@tiptap/react";
import { useEffect, useRef, useState } from "react";
import { ariaShortcut, hasMod, shownShortcut } from "../document/shortcut";
import { Icon } from "../ui/Icon";

const SHORTCUT = "Mod-Alt-M";

/** The button's place within the element around the text, in pixels. */
interface Spot {
  readonly left: number;
  readonly top: number;
}

interface CommentButtonProps {
  editor: Editor;
  onPress: () => void;
}

/** A button below the selected text, which begins a comment on it. The shortcut does the same. */
export function CommentButton({ editor, onPress }: CommentButtonProps) {
  const spot = useSelectionSpot(editor);
  useShortcut(editor, onPress);
  if (!spot) return null;
  return (
    <button
      type="button"
      className="button comment-button"
      style={spot}
      aria-keyshortcuts={ariaShortcut(SHORTCUT)}
      title={`Comment (${shownShortcut(SHORTCUT)})`}
      // The text stays selected.
      onPointerDown={(event) => event.preventDefault()}
      onMouseDown={(event) => event.preventDefault()}
      onClick={onPress}
    >
      <Icon name="comment" />
      Comment
    </button>
  );
}

/** Where the selection ends, once the pointer has been released; undefined without selected text. */
function useSelectionSpot(editor: Editor): Spot | undefined {
  const [spot, setSpot] = useState<Spot>();
  useEffect(() => {
    const { dom } = editor.view;
    let frame: number | undefined;
    let isPressed = false;
    const measure = () => {
      frame = undefined;
      if (!editor.isDestroyed) setSpot(isPressed ? undefined : spotOf(editor));
    };
    const soon = () => (frame ??= requestAnimationFrame(measure));
    const press = () => (isPressed = true);
    const release = () => {
      isPressed = false;
      soon();
    };
    editor.on("selectionUpdate", soon);
    editor.on("update", soon);
    editor.on("blur", soon);
    editor.on("focus", soon);
    dom.addEventListener("pointerdown", press);
    addEventListener("pointerup", release);
    addEventListener("pointercancel", release);
    addEventListener("resize", soon);
    return () => {
      editor.off("selectionUpdate", soon);
      editor.off("update", soon);
      editor.off("blur", soon);
      editor.off("focus", soon);
      dom.removeEventListener("pointerdown", press);
      removeEventListener("pointerup", release);
      removeEventListener("pointercancel", release);
      removeEventListener("resize", soon);
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [editor]);
  return spot;
}

function spotOf({ state, view }: Editor): Spot | undefined {
  const { from, to, empty } = state.selection;
  const around = view.dom.closest(".commented");
  if (empty || !around || !view.hasFocus() || state.doc.textBetween(from, to, " ").trim() === "") return undefined;
  const box = around.getBoundingClientRect();
  const text = view.dom.getBoundingClientRect();
  const end = view.coordsAtPos(to, -1);
  // The button is within the text's width.
  const left = Math.max(text.left, Math.min(end.left, text.right - 130)) - box.left;
  return { left: Math.round(left), top: Math.round(end.bottom - box.top + 6) };
}

function useShortcut(editor: Editor, onPress: () => void): void {
  const action = useRef(onPress);
  useEffect(() => {
    action.current = onPress;
  });
  useEffect(() => {
    const { dom } = editor.view;
    const pressed = (event: KeyboardEvent) => {
      if (!hasMod(event) || !event.altKey || event.shiftKey || event.code !== "KeyM") return;
      event.preventDefault();
      action.current();
    };
    dom.addEventListener("keydown", pressed);
    return () => dom.removeEventListener("keydown", pressed);
  }, [editor]);
}
