/**
 * The Tiptap extension that makes an editor live: shared text, carets, undo, rights.
 *
 * ```ts
 * import "@realtime-server/client/carets.css";
 *
 * useEditor({ extensions: [StarterKit, Realtime.configure({ provider })] });
 * ```
 *
 * @module
 */
export { followed } from "./follow.js";
export { Realtime, type RealtimeOptions } from "./realtime.js";
