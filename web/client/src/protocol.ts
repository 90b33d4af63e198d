/**
 * Every name of the wire and the shapes of what travels: the mirror of the server's `socket/protocol.rs`.
 *
 * Names are snake_case, as on the wire; docs/protocol.md has their meaning.
 */

/** The version of the protocol that this package speaks. */
export const PROTOCOL_VERSION = 1;

/** The codes that a server answers with. */
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

/** What a server may answer instead of success. */
export type ServerErrorCode = (typeof SERVER_ERROR_CODES)[number];

/** An error as it travels. */
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

/** What one may do. `permission` is the highest of a document's rights. */
export type Right = "view" | "comment" | "edit" | "review" | "manage" | "publish";

/** The highest right of a session in a document. */
export type Permission = "manage" | "edit" | "review" | "comment" | "view";

/** Whether updates can be made durable; `damaged`: parts of the document could not be read from the database. */
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

/** A person who is present, one entry however many tabs and devices. */
export interface PresenceEntry {
  user: User;
  status: "online" | "away" | "busy" | "offline";
  activity?: { kind: string; room?: string; label?: string };
  rooms: string[];
  last_seen_at: string;
}

/** What a join is answered with. */
export interface Joined {
  room: string;
  document_id: string;
  permission: Permission | null;
  rights: Right[];
  seq: number;
  state_vector: WireBytes;
  update?: WireBytes;
  awareness?: WireBytes;
  members: PresenceEntry[];
  storage: StorageStatus;
}

/** What a synchronisation is answered with. */
export interface Synced {
  update: WireBytes;
  state_vector: WireBytes;
  seq: number;
}

/** The requests: what is sent, and what a success carries. */
export interface Requests {
  join_room: { payload: { room: string; state_vector?: Uint8Array; since?: number }; ack: Joined };
  leave_room: { payload: { room: string }; ack: object };
  document_sync: { payload: { room: string; state_vector: Uint8Array }; ack: Synced };
  /**
   * `pending`: durable, and seen by nobody yet, because
   * something that it depends on is missing, or because it carried what someone else who is present will bring.
   */
  document_update: {
    payload: { room: string; update: Uint8Array };
    ack: { seq: number; pending?: boolean };
  };
  awareness_update: { payload: { room: string; update: Uint8Array }; ack: object };
  token_refresh: { payload: { token: string }; ack: { expires_at: string; rights: Right[] } };
}

/** What the server tells without being asked. */
export interface ServerEvents {
  connection: Connection;
  document_update: { room: string; update: WireBytes };
  document_resync: { room: string; reason: "lagging" | "rebuilt" | "restored" };
  document_storage: { room: string; status: StorageStatus };
  awareness_update: { room: string; update: WireBytes };
  room_closed: { room: string; code: ServerErrorCode };
  token_expiring: { expires_at: string };
  session_ended: { code: ServerErrorCode };
  request_error: { event: string; error: ErrorPayload };
}

/** An acknowledgement as it travels. */
export type Ack<T> = ({ ok: true } & T) | { ok: false; error: ErrorPayload };

/** Received bytes as what Yjs takes, without copying. */
export function bytes(received: WireBytes): Uint8Array {
  return received instanceof Uint8Array ? received : new Uint8Array(received);
}
