import type { ChainedCommands, Editor } from "@tiptap/react";
import type { IconName } from "../ui/Icon";

/** A button of the toolbar that changes the text. */
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
const heading = (level: 1 | 2 | 3): Format => ({
  label: `Heading ${level}`,
  shortcut: `Mod-Alt-${level}`,
  face: { letters: `H${level}` },
  isActive: (editor) => editor.isActive("heading", { level }),
  run: (chain) => chain.toggleHeading({ level }),
});

/** The buttons of the toolbar, in groups. The link button follows them in the last group. */
export const FORMATS: readonly (readonly Format[])[] = [
  [
    { label: "Undo", shortcut: "Mod-Z", face: icon("undo"), run: (chain) => chain.undo() },
    { label: "Redo", shortcut: "Mod-Shift-Z", face: icon("redo"), run: (chain) => chain.redo() },
  ],
  [
    {
      label: "Text",
      shortcut: "Mod-Alt-0",
      face: icon("paragraph"),
      isActive: (editor) => editor.isActive("paragraph"),
      run: (chain) => chain.setParagraph(),
    },
    heading(1),
    heading(2),
    heading(3),
  ],
  [
    {
      label: "Bold",
      shortcut: "Mod-B",
      face: icon("bold"),
      isActive: (editor) => editor.isActive("bold"),
      run: (chain) => chain.toggleBold(),
    },
    {
      label: "Italic",
      shortcut: "Mod-I",
      face: icon("italic"),
      isActive: (editor) => editor.isActive("italic"),
      run: (chain) => chain.toggleItalic(),
    },
    {
      label: "Strikethrough",
      shortcut: "Mod-Shift-S",
      face: icon("strike"),
      isActive: (editor) => editor.isActive("strike"),
      run: (chain) => chain.toggleStrike(),
    },
    {
      label: "Code",
      shortcut: "Mod-E",
      face: icon("code"),
      isActive: (editor) => editor.isActive("code"),
      run: (chain) => chain.toggleCode(),
    },
  ],
  [
    {
      label: "Bullet list",
      shortcut: "Mod-Shift-8",
      face: icon("bulletList"),
      isActive: (editor) => editor.isActive("bulletList"),
      run: (chain) => chain.toggleBulletList(),
    },
    {
      label: "Numbered list",
      shortcut: "Mod-Shift-7",
      face: icon("orderedList"),
      isActive: (editor) => editor.isActive("orderedList"),
      run: (chain) => chain.toggleOrderedList(),
    },
    {
      label: "Quote",
      shortcut: "Mod-Shift-B",
      face: icon("quote"),
      isActive: (editor) => editor.isActive("blockquote"),
      run: (chain) => chain.toggleBlockquote(),
    },
    {
      label: "Code block",
      shortcut: "Mod-Alt-C",
      face: icon("codeBlock"),
      isActive: (editor) => editor.isActive("codeBlock"),
      run: (chain) => chain.toggleCodeBlock(),
    },
    { label: "Divider", face: icon("divider"), run: (chain) => chain.setHorizontalRule() },
  ],
];

/** The state of all formats at the selection, by label. */
export interface FormatState {
  readonly active: Readonly<Record<string, boolean>>;
  readonly possible: Readonly<Record<string, boolean>>;
}

/** Which formats the selection has, and which can be changed there. */
export function formatState(editor: Editor): FormatState {
  const formats = FORMATS.flat();
  return {
    active: Object.fromEntries(formats.map(({ label, isActive }) => [label, isActive?.(editor) ?? false])),
    // A paragraph cannot be made a paragraph, but its button must not look disabled.
    possible: Object.fromEntries(
      formats.map(({ label, isActive, run }) => [
        label,
        isActive?.(editor) === true || run(editor.can().chain()).run(),
      ]),
    ),
  };
}
