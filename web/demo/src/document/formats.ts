import { CommandManager } from "@tiptap/core";
import type { ChainedCommands, Editor } from "@tiptap/react";
import type { IconName } from "../ui/Icon";

/** A button of the toolbar, or an item of a menu, that changes the text. */
export interface Format {
  readonly label: string;
  /** In the notation of Tiptap: `Mod` is Ctrl, or Command on a Mac. */
  readonly shortcut?: string;
  /** An icon, or a few letters. */
  readonly face: { readonly icon: IconName } | { readonly letters: string };
  /** Whether the selection has the format; absent for actions, such as undo. */
  readonly isActive?: (editor: Editor) => boolean;
  readonly run: (chain: ChainedCommands) => ChainedCommands;
}

/** The shortcut of the link dialog, which asks for the address before the text changes. */
export const LINK_SHORTCUT = "Mod-K";

const icon = (name: IconName) => ({ icon: name });

/** A format that the selection has if it has the mark or the node of that name. */
const toggle = (
  label: string,
  name: string,
  face: IconName,
  shortcut: string,
  run: (chain: ChainedCommands) => ChainedCommands,
): Format => ({ label, shortcut, face: icon(face), isActive: (editor) => editor.isActive(name), run });

const heading = (level: 1 | 2 | 3): Format => ({
  label: `Heading ${level}`,
  shortcut: `Mod-Alt-${level}`,
  face: { letters: `H${level}` },
  isActive: (editor) => editor.isActive("heading", { level }),
  run: (chain) => chain.toggleHeading({ level }),
});

const aligned = (
  label: string,
  side: "left" | "center" | "right" | "justify",
  face: IconName,
  key: string,
): Format => ({
  label,
  shortcut: `Mod-Shift-${key}`,
  face: icon(face),
  isActive: (editor) =>
    editor.isActive({ textAlign: side }) ||
    (side === "left" && !editor.isActive({ textAlign: /center|right|justify/ })),
  run: (chain) => (side === "left" ? chain.unsetTextAlign() : chain.setTextAlign(side)),
});

export const HISTORY: readonly Format[] = [
  { label: "Undo", shortcut: "Mod-Z", face: icon("undo"), run: (chain) => chain.undo() },
  { label: "Redo", shortcut: "Mod-Shift-Z", face: icon("redo"), run: (chain) => chain.redo() },
];

export const TEXT_STYLES: readonly Format[] = [
  toggle("Text", "paragraph", "paragraph", "Mod-Alt-0", (chain) => chain.setParagraph()),
  heading(1),
  heading(2),
  heading(3),
];

export const BOLD = toggle("Bold", "bold", "bold", "Mod-B", (chain) => chain.toggleBold());
export const ITALIC = toggle("Italic", "italic", "italic", "Mod-I", (chain) => chain.toggleItalic());
export const UNDERLINE = toggle("Underline", "underline", "underline", "Mod-U", (chain) => chain.toggleUnderline());

/** The formats of words that are used less often. */
export const MORE_MARKS: readonly Format[] = [
  toggle("Strikethrough", "strike", "strike", "Mod-Shift-S", (chain) => chain.toggleStrike()),
  toggle("Highlight", "highlight", "highlight", "Mod-Shift-H", (chain) => chain.toggleHighlight()),
  toggle("Code", "code", "code", "Mod-E", (chain) => chain.toggleCode()),
];

export const BULLET_LIST = toggle("Bullet list", "bulletList", "bulletList", "Mod-Shift-8", (chain) =>
  chain.toggleBulletList(),
);
export const ORDERED_LIST = toggle("Numbered list", "orderedList", "orderedList", "Mod-Shift-7", (chain) =>
  chain.toggleOrderedList(),
);
export const TASK_LIST = toggle("Task list", "taskList", "taskList", "Mod-Shift-9", (chain) => chain.toggleTaskList());

export const BLOCKS: readonly Format[] = [
  toggle("Quote", "blockquote", "quote", "Mod-Shift-B", (chain) => chain.toggleBlockquote()),
  toggle("Code block", "codeBlock", "codeBlock", "Mod-Alt-C", (chain) => chain.toggleCodeBlock()),
  { label: "Divider", face: icon("divider"), run: (chain) => chain.setHorizontalRule() },
];

export const ALIGNMENTS: readonly Format[] = [
  aligned("Align left", "left", "alignLeft", "L"),
  aligned("Align centre", "center", "alignCenter", "E"),
  aligned("Align right", "right", "alignRight", "R"),
  aligned("Justify", "justify", "alignJustify", "J"),
];

export const INSERT_TABLE: Format = {
  label: "Table",
  face: icon("table"),
  run: (chain) => chain.insertTable({ rows: 3, cols: 3, withHeaderRow: true }),
};

/** What can be done with a table, in groups. */
export const TABLE_COMMANDS: readonly (readonly Format[])[] = [
  [
    { label: "Row above", face: icon("rowAbove"), run: (chain) => chain.addRowBefore() },
    { label: "Row below", face: icon("rowBelow"), run: (chain) => chain.addRowAfter() },
    { label: "Column to the left", face: icon("columnLeft"), run: (chain) => chain.addColumnBefore() },
    { label: "Column to the right", face: icon("columnRight"), run: (chain) => chain.addColumnAfter() },
  ],
  [
    { label: "Header row", face: icon("headerRow"), run: (chain) => chain.toggleHeaderRow() },
    { label: "Merge or split cells", face: icon("mergeCells"), run: (chain) => chain.mergeOrSplit() },
  ],
  [
    { label: "Delete row", face: icon("bin"), run: (chain) => chain.deleteRow() },
    { label: "Delete column", face: icon("bin"), run: (chain) => chain.deleteColumn() },
    { label: "Delete table", face: icon("bin"), run: (chain) => chain.deleteTable() },
  ],
];

/** Every format, for the state of the buttons. */
const ALL: readonly Format[] = [
  ...HISTORY,
  ...TEXT_STYLES,
  ...[BOLD, ITALIC, UNDERLINE, BULLET_LIST, ORDERED_LIST, TASK_LIST, INSERT_TABLE],
  ...MORE_MARKS,
  ...BLOCKS,
  ...ALIGNMENTS,
  ...TABLE_COMMANDS.flat(),
];

/** The state of all formats at the selection, by label. */
export interface FormatState {
  readonly active: Readonly<Record<string, boolean>>;
  readonly possible: Readonly<Record<string, boolean>>;
}

/** Which formats the selection has, and which can be changed there. */
export function formatState(editor: Editor): FormatState {
  const commands = new CommandManager({ editor });
  // As `editor.can().chain()`, which makes all commands twice.
  const isPossible = ({ run }: Format) => run(commands.createChain(editor.state.tr, false)).run();
  return {
    active: Object.fromEntries(ALL.map(({ label, isActive }) => [label, isActive?.(editor) ?? false])),
    // A paragraph cannot be made a paragraph, but its button must not look disabled.
    possible: Object.fromEntries(
      ALL.map((format) => [format.label, format.isActive?.(editor) === true || isPossible(format)]),
    ),
  };
}
