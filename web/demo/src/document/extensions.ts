import type { DocumentProvider } from "@realtime-server/client";
import { Realtime } from "@realtime-server/client/tiptap";
import type { Extensions } from "@tiptap/core";
import { Placeholder } from "@tiptap/extensions";
import { StarterKit } from "@tiptap/starter-kit";

/** The extensions of the editor: the formats of the text, and the collaboration with others. */
export function extensionsOf(provider: DocumentProvider): Extensions {
  return [
    StarterKit.configure({
      heading: { levels: [1, 2, 3] },
      link: { openOnClick: false, defaultProtocol: "https", HTMLAttributes: { rel: "noopener noreferrer" } },
    }),
    Placeholder.configure({ placeholder: "Write something. Everyone here sees it as you type." }),
    Realtime.configure({ provider }),
  ];
}
