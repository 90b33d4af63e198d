/**
 * All names of the wire protocol and the types of its payloads. The server has the same in `src/socket/protocol.rs`.
 *
 * Names are snake_case, as on the wire; docs/protocol.md has their meaning.
 */

/** The version of the protocol that this package speaks. */
export const PROTOCOL_VERSION = 1;

/** The error codes of the server. */
export const SERVER_ERROR_CODES = [
  "unauthorized",
  "token_expired",
  "session_revoked",
  "forbidden",
  "not_found",
  "conflict",
  "invalid",
  "too_large",
  "rate_limited",
  "too_many_rooms",
  "too_many_connections",
  "storage_unavailable",
  "overloaded",
  "draining",
  "internal",
] as const;

/** An error code of the server. */
export type ServerErrorCode = (typeof SERVER_ERROR_CODES)[number];

/** An error on the wire. */
export interface ErrorPayload {
  code: ServerErrorCode;
  message: string;
  retryable: boolean;
  retry_after_ms?: number;
  field?: string;
}

/** A person in a payload. */
export interface User {
  id: string;
  name: string;
  avatar_url?: string;
}

/** One thing that a session may do. A `Permission` is the highest of its rights in a document. */
export type Right = "view" | "comment" | "edit" | "review" | "manage" | "publish";

/** The highest right of a session in a document. */
export type Permission = "manage" | "edit" | "review" | "comment" | "view";

/** Whether updates can be made durable. `damaged`: parts of the document could not be read from the database. */
export type StorageStatus = "ok" | "unavailable" | "damaged";

/** Bytes as they arrive: an `ArrayBuffer` in browsers, a `Buffer` in Node. */
export type WireBytes = ArrayBuffer | Uint8Array;

/** The `connection` event: the session has begun. */
export interface Connection {
  protocol: number;
  server: { name: string; version: string; instance: string };
  session: { id: string; expires_at: string };
  user: User & { color: string };
  team: string;
  roles: string[];
  rights: Right[];
  limits: {
    update_bytes: number;
    awareness_bytes: number;
    requests_per_second: number;
    updates_per_second: number;
    rooms: number;
    journal_bytes: number;
  };
  unread: number;
  last_event_id: number;
  recovered?: boolean;
}

/** What a person is doing: `kind` is a word of the application, `label` a text for people. */
export interface Activity {
  kind: string;
  room?: string;
  label?: string;
}

/** What the server knows of a document besides its content. Times are RFC 3339 in UTC. */
export interface DocumentMetadata {
  room: string;
  /** It distinguishes documents that had the same name one after the other. */
  document_id: string;
  /** 1 to 255 characters; absent if it was given none. */
  title?: string;
  created_by: User;
  created_at: string;
  /** When the content was last edited. */
  updated_at: string;
  /** When it was deleted, if it is in the trash. */
  deleted_at?: string;
  /** Where it stands in its workflow. */
  status: string;
}

/** What a person may say of themselves. */
export type PresenceStatus = "online" | "away" | "busy";

/** A person who is present: one entry for all tabs and devices of that person. */
export interface PresenceEntry {
  user: User;
  status: PresenceStatus | "offline";
  activity?: Activity;
  rooms: string[];
  last_seen_at: string;
}

/** What happened that matters to a colleague. `subject` depends on the verb. */
export interface ActivityEntry {
  id: string;
  /** In the past tense: `created`, `renamed`, `edited`, `commented`, `replied`, `resolved`, `reopened`, `moved`, … */
  verb: string;
  actor: User;
  room?: string;
  subject?: Record<string, unknown>;
  at: string;
}

/** A notification of this person. */
export interface Notification {
  id: string;
  /** `mention`, `reply`, `thread_resolved`, `workflow`, `document_shared`, or one that a service publishes. */
  kind: string;
  title: string;
  body?: string;
  room?: string;
  thread_id?: string;
  actor?: User;
  url?: string;
  /** When the newest of those that are folded into it happened. */
  created_at: string;
  read_at?: string;
  /** How many are folded into it. */
  count: number;
}

/** Where a document stands in its workflow. */
export interface WorkflowState {
  status: string;
  since: string;
  by?: User;
  /** Where this user may move it. */
  allowed: string[];
}

/** A step that was taken. */
export interface WorkflowStep {
  from: string;
  to: string;
  by: User;
  note?: string;
  at: string;
}

/** Yjs relative positions (`Y.encodeRelativePosition`) in base64. */
export interface Anchor {
  start: string;
  end: string;
}

/** A comment. A deleted one has an empty body and `deleted_at`. */
export interface Comment {
  id: string;
  thread_id: string;
  author: User;
  /** Plain text: never put it into a page as HTML. */
  body: string;
  mentions: string[];
  /** The ids of those who have reacted, by emoji. */
  reactions: Record<string, string[]>;
  created_at: string;
  edited_at?: string;
  deleted_at?: string;
}

/** A thread of comments on a document. */
export interface Thread {
  id: string;
  room: string;
  status: "open" | "resolved";
  anchor?: Anchor;
  /** The text that was selected. */
  quote?: string;
  /** Whether the text of the anchor is gone. */
  orphaned: boolean;
  created_by: User;
  created_at: string;
  resolved_by?: User;
  resolved_at?: string;
  comments: Comment[];
}

/** The answer to a join. */
export interface Joined {
  room: string;
  document_id: string;
  permission: Permission | null;
  rights: Right[];
  seq: number;
  state_vector: WireBytes;
  update?: WireBytes;
  /** Whether the server has the deletions whose hash it was sent, and no others: `update` has no deletions then. */
  deletions_omitted?: true;
  awareness?: WireBytes;
  /** The colour of this person in this room, as `#rrggbb`. */
  color: string;
  /** The people in the room, at most 100, this person first. */
  members: PresenceEntry[];
  /** How many people are in the room. */
  members_total: number;
  storage: StorageStatus;
  document: DocumentMetadata;
  workflow?: WorkflowState;
  /** Only with `since`: whether no event of the room is missing. */
  recovered?: boolean;
}

/** The answer to a synchronisation. */
export interface Synced {
  update: WireBytes;
  /** As in the answer to a join. */
  deletions_omitted?: true;
  state_vector: WireBytes;
  seq: number;
}

/** What a replica says that it has. */
export interface Has {
  state_vector: Uint8Array;
  /** The SHA-256 of the update that has all deletions of the replica and no elements. */
  deletions_hash?: Uint8Array;
}

/** The requests: the payload of each, and the ack of a success. */
export interface Requests {
  join_room: { payload: { room: string; since?: number } & Partial<Has>; ack: Joined };
  leave_room: { payload: { room: string }; ack: object };
  document_sync: { payload: { room: string } & Has; ack: Synced };
  /**
   * `pending`: the update is durable, but nobody sees it yet, because edits on which it depends are missing, or because it contains
   * edits of another member, who is expected to send them.
   */
  document_update: {
    payload: { room: string; update: Uint8Array };
    ack: { seq: number; pending?: boolean };
  };
  awareness_update: { payload: { room: string; update: Uint8Array }; ack: object };
  token_refresh: { payload: { token: string }; ack: { expires_at: string; rights: Right[] } };
  /** What is left out stays as it is; `activity: null` ends the activity. */
  presence_update: { payload: { status?: PresenceStatus; activity?: Activity | null }; ack: object };
  /** At most 500 entries; `users_total` is how many people there are. */
  presence_list: { payload: { room?: string }; ack: { users: PresenceEntry[]; users_total: number } };
  activity_list: {
    payload: { room?: string; actor?: string; limit?: number; cursor?: string };
    ack: { activities: ActivityEntry[]; next_cursor?: string };
  };
  notification_list: {
    payload: { unread_only?: boolean; limit?: number; cursor?: string };
    ack: { notifications: Notification[]; unread: number; next_cursor?: string };
  };
  notification_read: { payload: NotificationChoice; ack: { unread: number } };
  notification_delete: { payload: NotificationChoice; ack: { unread: number } };
  notification_preferences: { payload: { muted?: string[] }; ack: { muted: string[] } };
  workflow_transition: {
    payload: { room: string; to: string; from?: string; note?: string; client_id?: string };
    ack: { workflow: WorkflowState };
  };
  workflow_history: {
    payload: { room: string; limit?: number; cursor?: string };
    ack: { history: WorkflowStep[]; next_cursor?: string };
  };
  thread_create: {
    payload: {
      room: string;
      body: string;
      anchor?: Anchor;
      quote?: string;
      mentions?: string[];
      client_id?: string;
    };
    ack: { thread: Thread };
  };
  thread_list: {
    payload: { room: string; status?: Thread["status"]; limit?: number; cursor?: string };
    ack: { threads: Thread[]; next_cursor?: string };
  };
  thread_resolve: { payload: { thread_id: string }; ack: { thread: Thread } };
  thread_reopen: { payload: { thread_id: string }; ack: { thread: Thread } };
  thread_delete: { payload: { thread_id: string }; ack: object };
  comment_create: {
    payload: { thread_id: string; body: string; mentions?: string[]; client_id?: string };
    ack: { comment: Comment };
  };
  comment_edit: { payload: { comment_id: string; body: string; mentions?: string[] }; ack: { comment: Comment } };
  comment_delete: { payload: { comment_id: string }; ack: object };
  reaction_add: { payload: { comment_id: string; emoji: string }; ack: { comment: Comment } };
  reaction_remove: { payload: { comment_id: string; emoji: string }; ack: { comment: Comment } };
}

/** Some notifications by their ids, at most 100, or all. */
export type NotificationChoice = { ids: string[] } | { all: true };

/** The payload of an event that is kept: a client that was away gets it later. */
interface Kept {
  event_id: number;
}

/** The payload of an event about the metadata of a document. */
interface DocumentEvent {
  room: string;
  document: DocumentMetadata;
}

/** The events that the server sends without a request: `client.subscribe` accepts each of them. */
export interface ServerEvents {
  connection: Connection;
  document_update: { room: string; update: WireBytes };
  document_resync: { room: string; reason: "lagging" | "rebuilt" | "restored" };
  document_storage: { room: string; status: StorageStatus };
  document_created: DocumentEvent & { event_id: number; by: User };
  /** Without `event_id` and `by` it reports that the content was edited: `document.updated_at` is later than before. */
  document_changed: DocumentEvent & { event_id?: number; by?: User };
  document_deleted: DocumentEvent & { event_id: number; by: User; document_id: string };
  awareness_update: { room: string; update: WireBytes };
  room_closed: { room: string; code: ServerErrorCode };
  token_expiring: { expires_at: string };
  session_ended: { code: ServerErrorCode };
  /** Of everybody in a team of at most 128 people; in a larger one of the people in the same small rooms. */
  presence_update: PresenceEntry;
  /** In a team of more than 128 people: somebody came, went or changed, so that a list may be old. */
  presence_changed: { users_total: number };
  request_error: { event: string; error: ErrorPayload };
  activity: ActivityEntry & Kept;
  notification: Notification & Kept & { unread: number };
  notification_read: Kept & { ids: string[]; all?: true; unread: number };
  notification_deleted: Kept & { ids: string[]; all?: true; unread: number };
  workflow_update: Kept & WorkflowStep & { room: string };
  thread_created: Kept & { thread: Thread; room?: string };
  thread_updated: Kept & { thread: Thread; room?: string };
  thread_deleted: Kept & { thread_id: string; room: string };
  comment_created: Kept & { room: string; comment: Comment };
  comment_updated: Kept & { room: string; comment: Comment };
  comment_deleted: Kept & { room: string; comment_id: string; thread_id: string };
}

/** An ack on the wire. */
export type Ack<T> = ({ ok: true } & T) | { ok: false; error: ErrorPayload };

/** Converts received bytes into the type that Yjs accepts, without copying them. */
export function bytes(received: WireBytes): Uint8Array {
  return received instanceof Uint8Array ? received : new Uint8Array(received);
}
