import type { DocumentProvider, Threads } from "@realtime-server/client";
import { Comments, Realtime } from "@realtime-server/client/tiptap";
import type { Extensions } from "@tiptap/core";
import { Placeholder } from "@tiptap/extensions";
import { CONTENT } from "./content";
import { Paste, type PasteOptions } from "./paste/Paste";
import { PICTURE_BYTES_MAX } from "./paste/pictures";

/** What a page can decide about the editor. */
export interface EditorOptions extends Pick<PasteOptions, "onNotice"> {
  /** Uploads a picture and returns its address. Default: pictures are kept in the document, up to 512 KB each. */
  readonly uploadImage?: PasteOptions["uploadImage"];
  /** The threads of comments on the document. */
  readonly threads: Threads;
}

/** Leaves space for the rest of the update with a picture, which cannot be split. */
const BESIDE_PICTURE_BYTES = 4 * 1024;

/** The extensions of the editor: the content of the text, and the collaboration with others. */
export function extensionsOf(provider: DocumentProvider, options: EditorOptions): Extensions {
  const { client } = provider;
  const updateBytesMax = () => client.connection?.limits.update_bytes ?? Infinity;
  const pictureBytesMax = () => Math.min(PICTURE_BYTES_MAX, updateBytesMax() - BESIDE_PICTURE_BYTES);
  return [
    ...CONTENT,
    Paste.configure({ uploadImage: options.uploadImage, onNotice: options.onNotice, pictureBytesMax }),
    Placeholder.configure({ placeholder: "Write something. Everyone here sees it as you type." }),
    Realtime.configure({ provider }),
    Comments.configure({ provider, threads: options.threads }),
  ];
}
