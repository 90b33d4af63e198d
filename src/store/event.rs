//! An event: something that happened in a team, kept with a position of its own.

use serde_json::Value;

use crate::id::{EventId, Team, Timestamp};

/// Something that happened in a team, and is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The team.
    pub team: Team,
    /// Its position among all events of the team; the first one has 1.
    pub event_id: EventId,
    /// What happened, as its publisher wrote it.
    pub payload: Value,
    /// When it happened.
    pub at: Timestamp,
}

/// An event that has no id yet.
pub(super) struct NewEvent {
    pub(super) team: Team,
    pub(super) payload: Value,
    pub(super) at: Timestamp,
}
