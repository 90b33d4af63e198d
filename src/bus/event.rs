//! Events and their audiences.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    auth::Right,
    error::{Error, Result},
    id::{DocumentKey, EventId, RoomName, Team, Timestamp, UserId},
    session::Session,
    store,
};

/// An event in a team, as a feature publishes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its name on the wire, in the past tense: `thread_created`.
    pub name: Cow<'static, str>,
    /// The audiences that receive it.
    pub to: Vec<Audience>,
    /// The document that it is about, if any: only sessions that may view it receive the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<RoomName>,
    /// Whether it may wait for a second, to be sent together with others.
    #[serde(default, skip_serializing_if = "Urgency::is_prompt")]
    pub urgency: Urgency,
    /// The fields of the payload that clients receive, besides the event's id.
    pub body: Map<String, Value>,
    /// What is stored in place of the body, if that is large and can be made again: whoever sends
    /// the stored event to clients completes it before.
    #[serde(skip)]
    pub brief: Option<Map<String, Value>>,
}

/// When an event is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// At once.
    #[default]
    Prompt,
    /// Together with what is sent to the client next, or within a second: for frequent events that nobody waits for.
    Relaxed,
}

/// A group of clients that receives an event, within the event's team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The members of a room. The event keeps its order among the room's updates.
    Room(RoomName),
    /// Every session of a person: all tabs and devices.
    User(UserId),
    /// Every connected session of the team.
    Team,
}

/// An event on its way to clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The team.
    pub team: Team,
    /// The position of the event among all durable events of the team; `None` for a passing event,
    /// which is not stored ([`EventBus::announce`](super::EventBus::announce)).
    pub event_id: Option<EventId>,
    /// When it happened.
    pub at: Timestamp,
    /// The event, as it was published.
    pub event: Event,
}

impl Event {
    /// An event that is about no document; `body` is serialised as the fields of its payload.
    ///
    /// # Errors
    /// [`Error::Internal`] where `body` does not become a JSON object.
    pub fn new(name: &'static str, to: Vec<Audience>, body: &impl Serialize) -> Result<Self> {
        let Ok(Value::Object(body)) = serde_json::to_value(body) else {
            tracing::error!(name, "the body of an event is not an object");
            return Err(Error::Internal);
        };
        Ok(Self {
            name: name.into(),
            to,
            about: None,
            urgency: Urgency::Prompt,
            body,
            brief: None,
        })
    }

    /// The same event, which may wait for a second.
    pub fn relaxed(self) -> Self {
        Self {
            urgency: Urgency::Relaxed,
            ..self
        }
    }

    /// The same event, limited to sessions that may view the document of `room`.
    pub fn about(self, room: &RoomName) -> Self {
        Self {
            about: Some(room.clone()),
            ..self
        }
    }

    /// The same event, of which `brief` is stored in place of its body.
    pub fn stored_as(self, brief: Map<String, Value>) -> Self {
        Self {
            brief: Some(brief),
            ..self
        }
    }

    /// Whether `session` may view the document that the event is about. An event that is about no
    /// document may be seen by every session.
    pub fn may_be_seen_by(&self, session: &Session) -> bool {
        let about = self.about.as_ref();
        about.is_none_or(|room| session.rights_in(room).allows(Right::View))
    }

    /// Whether every session of the team receives it. The members of its rooms receive it as part of
    /// the team, and not in the room as well.
    pub fn is_for_team(&self) -> bool {
        self.to.contains(&Audience::Team)
    }

    /// Whether the members of `room` receive it.
    pub fn goes_to(&self, room: &RoomName) -> bool {
        self.to
            .iter()
            .any(|audience| matches!(audience, Audience::Room(named) if named == room))
    }
}

impl Urgency {
    fn is_prompt(&self) -> bool {
        *self == Self::Prompt
    }
}

impl store::Payload for Event {
    /// Of several rooms or people, the first one: no event has more.
    fn reach(&self) -> store::Reach {
        let mut reach = store::Reach::default();
        for audience in &self.to {
            match audience {
                Audience::Room(room) => drop(reach.room.get_or_insert_with(|| room.clone())),
                Audience::User(user) => drop(reach.user.get_or_insert_with(|| user.clone())),
                Audience::Team => reach.team = true,
            }
        }
        reach
    }

    fn brief(&self) -> Option<Value> {
        let stored = Self {
            name: self.name.clone(),
            to: self.to.clone(),
            about: self.about.clone(),
            urgency: self.urgency,
            body: self.brief.clone()?,
            brief: None,
        };
        // It was made of texts and numbers, which can be written as JSON.
        serde_json::to_value(stored).ok()
    }
}

impl Published {
    /// An event of now that is not stored.
    pub(super) fn passing(team: &Team, event: Event) -> Self {
        Self {
            team: team.clone(),
            event_id: None,
            at: Timestamp::now(),
            event,
        }
    }

    /// Reads a stored event.
    ///
    /// # Errors
    /// Where the stored payload is not an [`Event`], because something else published it.
    pub fn read(stored: &store::Event) -> serde_json::Result<Self> {
        Ok(Self {
            team: stored.team.clone(),
            event_id: Some(stored.event_id),
            at: stored.at,
            event: Event::deserialize(&stored.payload)?,
        })
    }

    /// The rooms whose members receive it.
    pub fn rooms(&self) -> impl Iterator<Item = DocumentKey> {
        self.event.to.iter().filter_map(|audience| match audience {
            Audience::Room(room) => Some(DocumentKey {
                team: self.team.clone(),
                room: room.clone(),
            }),
            Audience::User(_) | Audience::Team => None,
        })
    }
}
