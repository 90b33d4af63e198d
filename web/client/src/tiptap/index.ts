/**
 * The Tiptap extensions that make an editor live: shared text, carets, undo, rights; and comments on the text.
 *
 * ```ts
 * import "@realtime-server/client/carets.css";
 *
 * useEditor({ extensions: [StarterKit, Realtime.configure({ provider })] });
 * ```
 *
 * @module
 */
export { anchorOfSelection, Comments, type CommentsOptions } from "./comments.js";
export { followed } from "./follow.js";
export { highlightsOf, type HighlightState } from "./highlights.js";
export type { Range } from "./positions.js";
export { Realtime, type RealtimeOptions } from "./realtime.js";
