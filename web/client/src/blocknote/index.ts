/**
 * The threads of a document for the comments of BlockNote: its composer, its cards, its sidebar.
 *
 * ```ts
 * const store = new RealtimeThreadStore({ provider, threads });
 *
 * useCreateBlockNote({
 *   collaboration: { fragment: provider.doc.getXmlFragment("blocknote"), provider, user },
 *   extensions: [CommentsExtension({ threadStore: store, resolveUsers: store.resolveUsers }), store.extension],
 * });
 * ```
 *
 * @module
 */
export { blocksOfText, textOfBlocks, type CommentText } from "./body.js";
export { RealtimeThreadStore, type RealtimeThreadStoreOptions } from "./store.js";
