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
export { ActivityFeed, type ActivityQuery, type ActivityState } from "./activity.js";
export { anchorOf, decodeAnchor, encodeAnchor, resolveAnchor, type Place } from "./anchors.js";
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
export { Notifications, type InboxState } from "./notifications.js";
export type { PagesState } from "./pages.js";
export { participantsOf, type Participant, type Participants } from "./participants.js";
export { people, type Person } from "./people.js";
export type { OpenPersistence, Persistence } from "./persisted.js";
export { Presence, type OwnPresence, type PresenceState } from "./presence.js";
export {
  PROTOCOL_VERSION,
  type Activity,
  type ActivityEntry,
  type Anchor,
  type Comment,
  type Connection,
  type DocumentMetadata,
  type Notification,
  type Permission,
  type PresenceEntry,
  type PresenceStatus,
  type Requests,
  type Right,
  type ServerErrorCode,
  type ServerEvents,
  type StorageStatus,
  type Thread,
  type User,
  type WorkflowState,
  type WorkflowStep,
} from "./protocol.js";
export type { DocumentState, DocumentStatus } from "./state.js";
export { Threads, type NewComment, type NewThread, type ThreadsState } from "./threads.js";
export type { TokenReason, TokenSource } from "./token.js";
export type { WaitOptions } from "./wait.js";
export { Workflow, type DocumentWorkflow } from "./workflow.js";
