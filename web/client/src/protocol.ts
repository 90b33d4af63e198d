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

/** The answer to a join. */
export interface Joined {
  room: string;
  document_id: string;
  permission: Permission | null;
  rights: Right[];
  seq: number;
  state_vector: WireBytes;
  update?: WireBytes;
  awareness?: WireBytes;
  /** The colour of this person in this room, as `#rrggbb`. */
  color: string;
  /** The people in the room, at most 100, this person first. */
  members: PresenceEntry[];
  /** How many people are in the room. */
  members_total: number;
  storage: StorageStatus;
  document: DocumentMetadata;
}

/** The answer to a synchronisation. */
export interface Synced {
  update: WireBytes;
  state_vector: WireBytes;
  seq: number;
}

/** The requests: the payload of each, and the ack of a success. */
export interface Requests {
  join_room: { payload: { room: string; state_vector?: Uint8Array; since?: number }; ack: Joined };
  leave_room: { payload: { room: string }; ack: object };
  document_sync: { payload: { room: string; state_vector: Uint8Array }; ack: Synced };
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
}

/** An ack on the wire. */
export type Ack<T> = ({ ok: true } & T) | { ok: false; error: ErrorPayload };

/** Converts received bytes into the type that Yjs accepts, without copying them. */
export function bytes(received: WireBytes): Uint8Array {
  return received instanceof Uint8Array ? received : new Uint8Array(received);
}
