//! What a room answers and reports.

use std::sync::Arc;

use bytes::Bytes;
use document::{Visibility, awareness::Color};

use crate::{
    auth::User,
    error::Error,
    id::{Seq, Timestamp},
    store::Metadata,
};

/// The content of the ack of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// Everything in the document's log up to this position is durable.
    pub seq: Seq,
    /// Whether all of the update is visible to everybody. If some of it is pending, the
    /// client has to resync and to send everything that the server lacks.
    pub visibility: Visibility,
}

/// The answer to a request.
#[derive(Debug)]
pub enum Answer {
    /// To a join.
    Joined(Box<Joined>),
    /// To a sync.
    Synced(Synced),
    /// To a question for the state vector of the room's replica.
    StateVector(Vec<u8>),
    /// To an edit: the update that was made of it, Yjs v1.
    Made(Bytes),
    /// To a question about anchors: for each, in their order, whether its text is gone. The answer
    /// may leave out the last ones.
    Gone(Vec<bool>),
    /// To requests that have nothing to return.
    Done,
    /// To any request: it was refused.
    Refused(Error),
}

/// What a client lacks.
#[derive(Clone, Debug)]
pub struct Lacking {
    /// An update, Yjs v1.
    pub update: Bytes,
    /// Whether the update has the deletions of the document.
    pub deletions: Deletions,
}

/// Whether an update for a client has the deletions of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletions {
    /// It has all of them.
    Included,
    /// It has none: the client has the same ones.
    Omitted,
}

/// The answer to a join.
#[derive(Debug)]
pub struct Joined {
    /// The metadata of the document.
    pub document: Arc<Metadata>,
    /// The newest durable position in its log.
    pub seq: Seq,
    /// The state vector of the server's replica.
    pub state_vector: Vec<u8>,
    /// What the client lacks; if it did not say what it has, the whole state.
    pub lacking: Lacking,
    /// The awareness states of all members, in the encoding of y-protocols; `None` if there are
    /// none.
    pub awareness: Option<Bytes>,
    /// The colour of the person who joins, the same in all of their sessions in this room.
    pub color: Color,
    /// The people in the room, each once, including the one who joins: of a crowd, a hundred.
    pub members: Vec<Person>,
    /// How many people are in the room.
    pub members_total: usize,
    /// How the storage of the document is at present.
    pub storage: StorageStatus,
}

/// The answer to a sync.
#[derive(Debug)]
pub struct Synced {
    /// What the client lacks.
    pub lacking: Lacking,
    /// The state vector of the server's replica.
    pub state_vector: Vec<u8>,
    /// The newest durable position in the log.
    pub seq: Seq,
}

/// A person in a room, however many tabs and devices they use.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person.
    pub user: Arc<User>,
    /// When the last command of one of their sessions came.
    pub last_seen_at: Timestamp,
}

/// The state of the storage of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageStatus {
    /// Updates are written and can be read.
    Ok,
    /// No update can be written at present.
    Unavailable,
    /// Updates are written, but some of the earlier ones cannot be read.
    Damaged,
}

/// Why a client has to resync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncReason {
    /// It was lagging.
    Lagging,
    /// The document was rebuilt from its log.
    Rebuilt,
}
