import { useEditorState, type Editor } from "@tiptap/react";
import { useEffect, useRef, useState } from "react";
import { Icon } from "../ui/Icon";
import { FORMATS, formatState, LINK_SHORTCUT, type Format } from "./formats";
import { LinkDialog } from "./LinkDialog";
import { hasMod } from "./shortcut";
import { ToolbarButton } from "./ToolbarButton";
import { useRovingFocus } from "./useRovingFocus";

/** The buttons that change the text, as one stop of the tab key: arrows go from button to button, Escape goes back to the text. */
export function Toolbar({ editor }: { editor: Editor }) {
  const toolbar = useRef<HTMLDivElement>(null);
  const [isLinking, setLinking] = useState(false);
  const state = useEditorState({
    editor,
    selector: ({ editor }) => ({ ...formatState(editor), isLink: editor.isActive("link"), mayLink: mayLink(editor) }),
  });
  const { onKeyDown, onFocus } = useRovingFocus(toolbar, () => editor.view.focus());
  useEditorKeys(editor, {
    toToolbar: () => toolbar.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus(),
    toLink: () => setLinking(mayLink(editor)),
  });

  const button = (format: Format) => (
    <ToolbarButton
      key={format.label}
      label={format.label}
      shortcut={format.shortcut}
      isPressed={format.isActive && (state.active[format.label] ?? false)}
      isPossible={state.possible[format.label] ?? false}
      onPress={() => format.run(editor.chain().focus()).run()}
    >
      {"icon" in format.face ? (
        <Icon name={format.face.icon} />
      ) : (
        <span className="letters">{format.face.letters}</span>
      )}
    </ToolbarButton>
  );
  return (
    <div
      ref={toolbar}
      className="toolbar"
      role="toolbar"
      aria-label="Formatting"
      aria-orientation="horizontal"
      onKeyDown={onKeyDown}
      onFocus={onFocus}
    >
      {FORMATS.map((group, at) => (
        <div key={group[0]?.label ?? at} className="toolbar-group">
          {group.map(button)}
          {at === FORMATS.length - 1 && (
            <ToolbarButton
              label="Link"
              shortcut={LINK_SHORTCUT}
              isPressed={state.isLink}
              isPossible={state.mayLink}
              onPress={() => setLinking(true)}
            >
              <Icon name="link" />
            </ToolbarButton>
          )}
        </div>
      ))}
      {isLinking && <LinkDialog editor={editor} onClose={() => setLinking(false)} />}
    </div>
  );
}

function mayLink(editor: Editor): boolean {
  return editor.can().setLink({ href: "https://example.com" });
}

/** The keys that move the focus out of the text: Alt+F10 to the toolbar, Ctrl+K or Command+K to the link dialog. */
function useEditorKeys(editor: Editor, { toToolbar, toLink }: { toToolbar: () => void; toLink: () => void }): void {
  const actions = useRef({ toToolbar, toLink });
  useEffect(() => {
    actions.current = { toToolbar, toLink };
  });
  useEffect(() => {
    const { dom } = editor.view;
    const pressed = (event: KeyboardEvent) => {
      const isLink = hasMod(event) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k";
      const isToolbar = event.altKey && event.key === "F10";
      if (!isLink && !isToolbar) return;
      event.preventDefault();
      if (isLink) actions.current.toLink();
      else actions.current.toToolbar();
    };
    dom.addEventListener("keydown", pressed);
    return () => dom.removeEventListener("keydown", pressed);
  }, [editor]);
}
