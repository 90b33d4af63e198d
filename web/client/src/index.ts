/**
 * Live documents of a Realtime Server: a connection that reconnects by itself, and Yjs documents on it.
 *
 * ```ts
 * const client = new RealtimeClient({ url, token: fetchToken });
 * const provider = new DocumentProvider(client, "article-42");
 * ```
 *
 * @module
 */
export { Backoff, type BackoffOptions } from "./backoff.js";
export { RealtimeClient } from "./client.js";
export { preferredColor } from "./color.js";
export type { ConnectionState, ConnectionStatus, RealtimeClientEvents, RealtimeClientOptions } from "./connection.js";
export { DocumentProvider } from "./document.js";
export type { CallablePromise, DocumentProviderEvents, DocumentProviderOptions } from "./document-options.js";
export {
  Documents,
  type DocumentInfo,
  type DocumentListOptions,
  type DocumentPage,
  type DocumentQuery,
} from "./documents.js";
export { DocumentList, type DocumentListState } from "./document-list.js";
export { RealtimeError, type ErrorCode, type RealtimeErrorOptions } from "./error.js";
export type { Live } from "./live.js";
export { mayWrite } from "./may-write.js";
export { participantsOf, type Participant, type Participants } from "./participants.js";
export { people, type Person } from "./people.js";
export type { OpenPersistence, Persistence } from "./persisted.js";
export { Presence, type OwnPresence, type PresenceState } from "./presence.js";
export {
  PROTOCOL_VERSION,
  type Activity,
  type Connection,
  type DocumentMetadata,
  type Permission,
  type PresenceEntry,
  type PresenceStatus,
  type Requests,
  type Right,
  type ServerErrorCode,
  type ServerEvents,
  type StorageStatus,
  type User,
} from "./protocol.js";
export type { DocumentState, DocumentStatus } from "./state.js";
export type { TokenReason, TokenSource } from "./token.js";
export type { WaitOptions } from "./wait.js";
