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
export {
  RealtimeClient,
  type ConnectionState,
  type ConnectionStatus,
  type RealtimeClientEvents,
  type RealtimeClientOptions,
  type TokenSource,
} from "./client.js";
export { DocumentProvider, type DocumentProviderEvents, type DocumentProviderOptions } from "./document.js";
export { RealtimeError, type ErrorCode, type RealtimeErrorOptions } from "./error.js";
export { mayWrite } from "./may-write.js";
export { people, type Person } from "./people.js";
export type { OpenPersistence, Persistence } from "./persisted.js";
export {
  PROTOCOL_VERSION,
  type Connection,
  type Permission,
  type PresenceEntry,
  type Requests,
  type Right,
  type ServerErrorCode,
  type ServerEvents,
  type StorageStatus,
  type User,
} from "./protocol.js";
export type { DocumentState, DocumentStatus } from "./state.js";
