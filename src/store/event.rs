//! An event: something that happened in a team, kept with a position of its own.

use serde::Serialize;
use serde_json::Value;

use crate::id::{EventId, RoomName, Team, Timestamp, UserId};

/// Something that happened in a team, and is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The team.
    pub team: Team,
    /// Its position among all events of the team; the first one has 1.
    pub event_id: EventId,
    /// What happened, as its publisher wrote it; of an event that was read again, its
    /// [brief](Payload::brief), if it has one.
    pub payload: Value,
    /// When it happened.
    pub at: Timestamp,
}

/// What can be published as an event.
pub trait Payload: Serialize {
    /// Whom it is for.
    fn reach(&self) -> Reach;

    /// What is stored in its place, where the payload is large and can be made again; its readers
    /// complete it. The subscriber is told of the whole payload.
    fn brief(&self) -> Option<Value> {
        None
    }
}

/// Whom an event is for, so that its receivers find it again after they were away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Whether it is for everybody in the team.
    pub team: bool,
    /// The room for whose members it is.
    pub room: Option<RoomName>,
    /// The person for whom it is.
    pub user: Option<UserId>,
}

/// A plain value is for the whole team.
impl Payload for Value {
    fn reach(&self) -> Reach {
        Reach {
            team: true,
            ..Reach::default()
        }
    }
}

/// An event that has no id yet.
pub(super) struct NewEvent {
    pub(super) team: Team,
    pub(super) reach: Reach,
    pub(super) payload: Value,
    pub(super) brief: Option<Value>,
    pub(super) at: Timestamp,
}
