//! Every name of the wire, and the payloads that the server sends.
//!
//! Clients depend on these names and on the exact shape of each payload.

use serde::Serialize;

use super::packet::Placeholder;
use crate::{
    auth::User,
    catalog::Document,
    error::Error,
    id::{DocumentId, EventId, RoomName, Timestamp},
    presence::Entry,
    room::{ResyncReason, StorageStatus},
    workflow::State,
};

/// The version of this protocol.
pub const VERSION: u32 = 1;

/// The requests that a client may make.
pub mod request {
    /// Joins a room; synchronises in the same round trip.
    pub const JOIN_ROOM: &str = "join_room";
    /// Leaves a room.
    pub const LEAVE_ROOM: &str = "leave_room";
    /// Asks for the difference that the client lacks.
    pub const DOCUMENT_SYNC: &str = "document_sync";
    /// Changes the document.
    pub const DOCUMENT_UPDATE: &str = "document_update";
    /// Changes awareness states: cursors and selections.
    pub const AWARENESS_UPDATE: &str = "awareness_update";
    /// Replaces the session's token with a fresh one.
    pub const TOKEN_REFRESH: &str = "token_refresh";
    /// Changes the status or the activity that others see.
    pub const PRESENCE_UPDATE: &str = "presence_update";
    /// Asks who is present.
    pub const PRESENCE_LIST: &str = "presence_list";
}

/// The events that the server sends. Those of the bus, such as `presence_update`, are named where they are
/// published.
pub mod event {
    /// The session has begun.
    pub const CONNECTION: &str = "connection";
    /// An update of a document.
    pub const DOCUMENT_UPDATE: &str = "document_update";
    /// The client has to resync.
    pub const DOCUMENT_RESYNC: &str = "document_resync";
    /// The state of the document's storage has changed.
    pub const DOCUMENT_STORAGE: &str = "document_storage";
    /// Awareness states: cursors and selections.
    pub const AWARENESS_UPDATE: &str = "awareness_update";
    /// The room is closed for this session.
    pub const ROOM_CLOSED: &str = "room_closed";
    /// The token expires soon.
    pub const TOKEN_EXPIRING: &str = "token_expiring";
    /// The session has ended.
    pub const SESSION_ENDED: &str = "session_ended";
    /// A request without an ack failed.
    pub const REQUEST_ERROR: &str = "request_error";
}

/// The ack of a request that failed.
#[derive(Serialize)]
pub(super) struct Refusal<'a> {
    pub(super) ok: bool,
    pub(super) error: &'a Error,
}

/// `request_error`: a request without an ack failed.
#[derive(Serialize)]
pub(super) struct RequestError<'a> {
    pub(super) event: &'a str,
    pub(super) error: &'a Error,
}

/// `connection`: the session has begun.
#[derive(Serialize)]
pub(super) struct Connection<'a> {
    pub(super) protocol: u32,
    pub(super) server: Server<'a>,
    pub(super) session: SessionPayload<'a>,
    pub(super) user: ColoredUser<'a>,
    pub(super) team: &'a str,
    pub(super) roles: &'a [String],
    pub(super) rights: Vec<&'static str>,
    pub(super) limits: LimitsPayload,
    /// The number of unread notifications.
    pub(super) unread: i64,
    /// The newest event of the team.
    pub(super) last_event_id: EventId,
    /// Whether the client has missed nothing since the event that it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovered: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct Server<'a> {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) instance: &'a str,
}

#[derive(Serialize)]
pub(super) struct SessionPayload<'a> {
    pub(super) id: &'a str,
    pub(super) expires_at: Timestamp,
}

#[derive(Serialize)]
pub(super) struct ColoredUser<'a> {
    #[serde(flatten)]
    pub(super) user: &'a User,
    pub(super) color: &'a str,
}

#[derive(Serialize)]
pub(super) struct LimitsPayload {
    pub(super) update_bytes: usize,
    pub(super) awareness_bytes: usize,
    pub(super) requests_per_second: u32,
    pub(super) updates_per_second: u32,
    pub(super) rooms: usize,
    pub(super) journal_bytes: usize,
}

/// The ack of `join_room`.
#[derive(Serialize)]
pub(super) struct JoinedPayload<'a> {
    pub(super) ok: bool,
    pub(super) room: &'a RoomName,
    pub(super) document_id: DocumentId,
    pub(super) document: Document,
    pub(super) permission: Option<&'static str>,
    pub(super) rights: Vec<&'static str>,
    pub(super) seq: i64,
    pub(super) state_vector: Placeholder,
    pub(super) update: Placeholder,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) awareness: Option<Placeholder>,
    /// The colour of the person in this room.
    pub(super) color: &'a str,
    pub(super) members: Vec<Entry>,
    pub(super) members_total: usize,
    pub(super) workflow: State,
    pub(super) storage: &'static str,
    /// Whether the client has missed no event of the room since the one that it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovered: Option<bool>,
}

/// The ack of `document_sync`.
#[derive(Serialize)]
pub(super) struct SyncedPayload {
    pub(super) ok: bool,
    pub(super) update: Placeholder,
    pub(super) state_vector: Placeholder,
    pub(super) seq: i64,
}

/// The ack of a request that returns nothing.
#[derive(Serialize)]
pub(super) struct Done {
    pub(super) ok: bool,
}

/// The ack of `token_refresh`.
#[derive(Serialize)]
pub(super) struct RefreshedPayload {
    pub(super) ok: bool,
    pub(super) expires_at: Timestamp,
    pub(super) rights: Vec<&'static str>,
}

/// `document_update` and `awareness_update` from the server.
#[derive(Serialize)]
pub(super) struct BytesPayload<'a> {
    pub(super) room: &'a RoomName,
    pub(super) update: Placeholder,
}

/// `document_resync`.
#[derive(Serialize)]
pub(super) struct ResyncPayload<'a> {
    pub(super) room: &'a RoomName,
    pub(super) reason: &'static str,
}

/// `document_storage`.
#[derive(Serialize)]
pub(super) struct StoragePayload<'a> {
    pub(super) room: &'a RoomName,
    pub(super) status: &'static str,
}

/// `room_closed`.
#[derive(Serialize)]
pub(super) struct RoomClosedPayload<'a> {
    pub(super) room: &'a RoomName,
    pub(super) code: &'a str,
}

/// `token_expiring`.
#[derive(Serialize)]
pub(super) struct ExpiringPayload {
    pub(super) expires_at: Timestamp,
}

/// `session_ended`.
#[derive(Serialize)]
pub(super) struct EndedPayload<'a> {
    pub(super) code: &'a str,
}

/// The name of the reason for a resync on the wire.
pub(super) fn resync_reason(reason: ResyncReason) -> &'static str {
    match reason {
        ResyncReason::Lagging => "lagging",
        ResyncReason::Rebuilt => "rebuilt",
    }
}

/// The name of the state of the storage on the wire.
pub(super) fn storage_status(status: StorageStatus) -> &'static str {
    match status {
        StorageStatus::Ok => "ok",
        StorageStatus::Unavailable => "unavailable",
        StorageStatus::Damaged => "damaged",
    }
}
