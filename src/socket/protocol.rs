//! Every name of the wire, and the payloads that the server sends.
//!
//! Clients depend on these names and on the exact shape of each payload.

use serde::Serialize;
use utoipa::ToSchema;

use super::packet::Placeholder;
use crate::{
    auth::{Permission, Right, User},
    catalog::Document,
    error::{Error, ErrorCode, ErrorObject},
    id::{DocumentId, EventId, RoomName, Timestamp},
    presence::Entry,
    room::{Deletions, ResyncReason, StorageStatus},
    workflow::State,
};

/// The version of this protocol.
pub const VERSION: u32 = 1;

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $wire;)+

        /// All names, each with its meaning.
        pub const ALL: &[(&str, &str)] = &[$(($wire, concat!($($doc),+))),+];
    };
}

/// The requests that a client may make.
pub mod request {
    names! {
        /// Joins a room; synchronises in the same round trip.
        JOIN_ROOM = "join_room";
        /// Leaves a room.
        LEAVE_ROOM = "leave_room";
        /// Asks for the difference that the client lacks.
        DOCUMENT_SYNC = "document_sync";
        /// Changes the document.
        DOCUMENT_UPDATE = "document_update";
        /// Changes awareness states: cursors and selections.
        AWARENESS_UPDATE = "awareness_update";
        /// Replaces the session's token with a fresh one.
        TOKEN_REFRESH = "token_refresh";
        /// Changes the status or the activity that others see.
        PRESENCE_UPDATE = "presence_update";
        /// Asks who is present.
        PRESENCE_LIST = "presence_list";
    }
}

/// The events that the server sends. Those of the bus, such as `presence_update`, are named where they are
/// published.
pub mod event {
    names! {
        /// The session has begun.
        CONNECTION = "connection";
        /// An update of a document.
        DOCUMENT_UPDATE = "document_update";
        /// The client has to resync.
        DOCUMENT_RESYNC = "document_resync";
        /// The state of the document's storage has changed.
        DOCUMENT_STORAGE = "document_storage";
        /// Awareness states: cursors and selections.
        AWARENESS_UPDATE = "awareness_update";
        /// The room is closed for this session.
        ROOM_CLOSED = "room_closed";
        /// The token expires soon.
        TOKEN_EXPIRING = "token_expiring";
        /// The session has ended.
        SESSION_ENDED = "session_ended";
        /// A request without an ack failed.
        REQUEST_ERROR = "request_error";
    }
}

/// The ack of a request that failed.
#[derive(Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(super) struct Refusal<'a> {
    /// False.
    pub(super) ok: bool,
    #[schema(value_type = ErrorObject<'static>)]
    pub(super) error: &'a Error,
}

/// `request_error`: a request without an ack failed.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestErrorEvent)]
pub(super) struct RequestError<'a> {
    /// The name of the request.
    pub(super) event: &'a str,
    #[schema(value_type = ErrorObject<'static>)]
    pub(super) error: &'a Error,
}

/// `connection`: the session has begun.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionEvent)]
pub(super) struct Connection<'a> {
    pub(super) protocol: u32,
    pub(super) server: Server<'a>,
    pub(super) session: SessionPayload<'a>,
    pub(super) user: ColoredUser<'a>,
    pub(super) team: &'a str,
    pub(super) roles: &'a [String],
    #[schema(value_type = Vec<Right>)]
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

#[derive(Serialize, ToSchema)]
#[schema(as = ServerName)]
pub(super) struct Server<'a> {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) instance: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionPayload<'a> {
    pub(super) id: &'a str,
    pub(super) expires_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ColoredUser)]
pub(super) struct ColoredUser<'a> {
    #[serde(flatten)]
    pub(super) user: &'a User,
    pub(super) color: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
pub(super) struct LimitsPayload {
    pub(super) update_bytes: usize,
    pub(super) awareness_bytes: usize,
    pub(super) requests_per_second: u32,
    pub(super) updates_per_second: u32,
    pub(super) rooms: usize,
    pub(super) journal_bytes: usize,
}

/// The ack of `join_room`.
#[derive(Serialize, ToSchema)]
#[schema(as = Joined)]
pub(super) struct JoinedPayload<'a> {
    pub(super) ok: bool,
    pub(super) room: &'a RoomName,
    pub(super) document_id: DocumentId,
    pub(super) document: Document,
    /// The highest of the rights; null where there is none of those that a permission has.
    #[schema(value_type = Option<Permission>)]
    pub(super) permission: Option<&'static str>,
    #[schema(value_type = Vec<Right>)]
    pub(super) rights: Vec<&'static str>,
    pub(super) seq: i64,
    pub(super) state_vector: Placeholder,
    pub(super) update: Placeholder,
    /// True if the client has all deletions of the document, by their hash: the update has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deletions_omitted: Option<bool>,
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
#[derive(Serialize, ToSchema)]
#[schema(as = Synced)]
pub(super) struct SyncedPayload {
    pub(super) ok: bool,
    pub(super) update: Placeholder,
    pub(super) state_vector: Placeholder,
    pub(super) seq: i64,
    /// True if the client has all deletions of the document, by their hash: the update has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deletions_omitted: Option<bool>,
}

/// The ack of a request that returns nothing.
#[derive(Serialize)]
pub(super) struct Done {
    pub(super) ok: bool,
}

/// The ack of `token_refresh`.
#[derive(Serialize, ToSchema)]
#[schema(as = Refreshed)]
pub(super) struct RefreshedPayload {
    pub(super) ok: bool,
    pub(super) expires_at: Timestamp,
    #[schema(value_type = Vec<Right>)]
    pub(super) rights: Vec<&'static str>,
}

/// `document_update` and `awareness_update` from the server.
#[derive(Serialize, ToSchema)]
#[schema(as = UpdateEvent)]
pub(super) struct BytesPayload<'a> {
    pub(super) room: &'a RoomName,
    pub(super) update: Placeholder,
}

/// `document_resync`.
#[derive(Serialize, ToSchema)]
#[schema(as = ResyncEvent)]
pub(super) struct ResyncPayload<'a> {
    pub(super) room: &'a RoomName,
    /// `lagging` or `rebuilt`.
    pub(super) reason: &'static str,
}

/// `document_storage`.
#[derive(Serialize, ToSchema)]
#[schema(as = StorageEvent)]
pub(super) struct StoragePayload<'a> {
    pub(super) room: &'a RoomName,
    /// `ok`, `unavailable` or `damaged`.
    pub(super) status: &'static str,
}

/// `room_closed`.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomClosedEvent)]
pub(super) struct RoomClosedPayload<'a> {
    pub(super) room: &'a RoomName,
    #[schema(value_type = ErrorCode)]
    pub(super) code: &'a str,
}

/// `token_expiring`.
#[derive(Serialize, ToSchema)]
#[schema(as = ExpiringEvent)]
pub(super) struct ExpiringPayload {
    pub(super) expires_at: Timestamp,
}

/// `session_ended`.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedEvent)]
pub(super) struct EndedPayload<'a> {
    #[schema(value_type = ErrorCode)]
    pub(super) code: &'a str,
}

/// The field `deletions_omitted` on the wire.
pub(super) fn deletions_omitted(deletions: Deletions) -> Option<bool> {
    (deletions == Deletions::Omitted).then_some(true)
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
