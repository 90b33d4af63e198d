import type { DocumentProvider } from "@realtime-server/client";
import type { Extensions } from "@tiptap/core";
import { Collaboration } from "@tiptap/extension-collaboration";
import { CollaborationCaret } from "@tiptap/extension-collaboration-caret";
import { Placeholder } from "@tiptap/extensions";
import { StarterKit } from "@tiptap/starter-kit";
import { CaretLabels, renderCaret, renderSelection } from "./carets";
import type { CaretUser } from "./useCaretUser";

/** The extensions of the editor: the formats of the text, and the collaboration with others. */
export function extensionsOf({ doc, awareness }: DocumentProvider, user: CaretUser): Extensions {
  return [
    StarterKit.configure({
      // The undo of Collaboration is used instead, which undoes only the edits of this user.
      undoRedo: false,
      // It writes without user input: every replica would add a line of its own, also those of users who may only view.
      trailingNode: false,
      heading: { levels: [1, 2, 3] },
      link: { openOnClick: false, defaultProtocol: "https", HTMLAttributes: { rel: "noopener noreferrer" } },
    }),
    Placeholder.configure({ placeholder: "Write something. Everyone here sees it as you type." }),
    Collaboration.configure({ document: doc }),
    CollaborationCaret.configure({
      provider: { awareness },
      user: { ...user },
      render: renderCaret,
      selectionRender: renderSelection,
    }),
    CaretLabels.configure({ awareness }),
  ];
}
