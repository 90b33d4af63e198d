import type { Extensions } from "@tiptap/core";
import { Highlight } from "@tiptap/extension-highlight";
import { Image } from "@tiptap/extension-image";
import { TaskItem, TaskList } from "@tiptap/extension-list";
import { Subscript } from "@tiptap/extension-subscript";
import { Superscript } from "@tiptap/extension-superscript";
import { Table, TableCell, TableHeader, TableRow } from "@tiptap/extension-table";
import { TextAlign } from "@tiptap/extension-text-align";
import { StarterKit } from "@tiptap/starter-kit";
import { KeepContent } from "./tolerance/KeepContent";

/** What a document may contain. Other pages that show the same documents need all of them: see docs/client.md. */
export const CONTENT: Extensions = [
  StarterKit.configure({
    // The undo of Collaboration is used instead, which undoes only the edits of this user.
    undoRedo: false,
    // It writes without user input: every replica would add a line of its own, also those of users who may only view.
    trailingNode: false,
    heading: { levels: [1, 2, 3] },
    link: { openOnClick: false, defaultProtocol: "https", HTMLAttributes: { rel: "noopener noreferrer" } },
  }),
  Highlight,
  Superscript,
  Subscript,
  TextAlign.configure({ types: ["heading", "paragraph"] }),
  TaskList,
  TaskItem.configure({ nested: true }),
  Table.configure({ renderWrapper: true }),
  TableRow,
  TableHeader,
  TableCell,
  // Pasted pictures are kept as data, up to a limit: see paste/pictures.ts.
  Image.configure({ allowBase64: true }),
  KeepContent,
];
