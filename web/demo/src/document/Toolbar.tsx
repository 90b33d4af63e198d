import type { Editor } from "@tiptap/react";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Icon } from "../ui/Icon";
import * as formats from "./formats";
import { LINK_SHORTCUT, type Format } from "./formats";
import { LinkDialog } from "./LinkDialog";
import { PictureButton } from "./PictureButton";
import { hasMod } from "./shortcut";
import { Face, ToolbarButton } from "./ToolbarButton";
import { ToolbarMenu } from "./ToolbarMenu";
import { useRovingFocus } from "./useRovingFocus";
import { mayLink, useToolbarState } from "./useToolbarState";

/** The buttons that change the text, as one stop of the tab key: arrows go from button to button, Escape goes back to the text. */
export function Toolbar({ editor }: { editor: Editor }) {
  const toolbar = useRef<HTMLDivElement>(null);
  const [isLinking, setLinking] = useState(false);
  const isCompact = useCompact();
  const state = useToolbarState(editor);
  const { onKeyDown, onFocus } = useRovingFocus(toolbar, () => editor.view.focus(), isCompact);
  useEditorKeys(editor, {
    toToolbar: () => toolbar.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus(),
    toLink: () => setLinking(mayLink(editor)),
  });

  const run = (format: Format) => format.run(editor.chain().focus()).run();
  const button = (format: Format) => (
    <ToolbarButton
      key={format.label}
      label={format.label}
      shortcut={format.shortcut}
      isPressed={format.isActive && (state.active[format.label] ?? false)}
      isPossible={state.possible[format.label] ?? false}
      onPress={() => run(format)}
    >
      <Face face={format.face} />
    </ToolbarButton>
  );
  const menu = (label: string, face: Format["face"], sections: readonly (readonly Format[])[]) => (
    <ToolbarMenu label={label} face={face} sections={sections} state={state} onChoose={run} />
  );
  const link = (
    <ToolbarButton
      label="Link"
      shortcut={LINK_SHORTCUT}
      isPressed={state.isLink}
      isPossible={state.mayLink}
      onPress={() => setLinking(true)}
    >
      <Icon name="link" />
    </ToolbarButton>
  );
  const table = state.isTable
    ? menu("Table", formats.INSERT_TABLE.face, formats.TABLE_COMMANDS)
    : button(formats.INSERT_TABLE);
  const alignment = formats.ALIGNMENTS.find(({ label }) => state.active[label]) ?? formats.ALIGNMENTS[0];
  const { HISTORY, TEXT_STYLES, BOLD, ITALIC, UNDERLINE, BULLET_LIST, ORDERED_LIST, TASK_LIST, ALIGNMENTS } = formats;
  const { MORE_MARKS, BLOCKS } = formats;
  const more = isCompact
    ? [HISTORY.slice(1), TEXT_STYLES, [ITALIC, UNDERLINE, ...MORE_MARKS], [ORDERED_LIST, ...BLOCKS], ALIGNMENTS]
    : [MORE_MARKS, BLOCKS];
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
      <div className="toolbar-group">{(isCompact ? HISTORY.slice(0, 1) : HISTORY).map(button)}</div>
      {!isCompact && <div className="toolbar-group">{TEXT_STYLES.map(button)}</div>}
      <div className="toolbar-group">
        {button(BOLD)}
        {!isCompact && [ITALIC, UNDERLINE].map(button)}
        {!isCompact && link}
      </div>
      <div className="toolbar-group">
        {button(BULLET_LIST)}
        {!isCompact && button(ORDERED_LIST)}
        {button(TASK_LIST)}
      </div>
      <div className="toolbar-group">
        {isCompact ? link : menu("Alignment", alignment?.face ?? { icon: "alignLeft" }, [ALIGNMENTS])}
        {table}
        <PictureButton editor={editor} />
        {menu("More formats", { icon: "more" }, more)}
      </div>
      {isLinking && <LinkDialog editor={editor} onClose={() => setLinking(false)} />}
    </div>
  );
}

const compact = matchMedia("(max-width: 820px)");

/** Whether the window is too narrow for all buttons, with the same limit as the styles. Then most of them are in a menu. */
function useCompact(): boolean {
  return useSyncExternalStore(subscribe, () => compact.matches);
}

function subscribe(changed: () => void): () => void {
  compact.addEventListener("change", changed);
  return () => compact.removeEventListener("change", changed);
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
