import type { DocumentProvider } from "@realtime-server/client";
import type { Extensions } from "@tiptap/core";
import { Collaboration } from "@tiptap/extension-collaboration";
import { CollaborationCaret } from "@tiptap/extension-collaboration-caret";
import { Placeholder } from "@tiptap/extensions";
import { StarterKit } from "@tiptap/starter-kit";
import { CaretLabels, renderCaret, renderSelection } from "./carets";
import type { CaretUser } from "./useCaretUser";

/** What the editor can do with the text of a document, together with everyone in it. */
export function extensionsOf({ doc, awareness }: DocumentProvider, user: CaretUser): Extensions {
  return [
    StarterKit.configure({
      // The one of Collaboration takes back one's own edits only.
      undoRedo: false,
      // It writes without anyone typing: every replica would add a line of its own, also those of people who may only view.
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
