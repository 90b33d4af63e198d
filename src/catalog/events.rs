//! The events of documents: what the team, and the members of the room, are told.

use serde::Serialize;

use crate::{
    auth::User,
    bus::{Audience, Event},
    error::Result,
    id::{DocumentId, RoomName, Timestamp},
    store::Metadata,
};

const CREATED: &str = "document_created";
const CHANGED: &str = "document_changed";
const DELETED: &str = "document_deleted";

/// The payload of these events.
#[derive(Serialize)]
struct Payload<'a> {
    room: &'a RoomName,
    document_id: DocumentId,
    document: &'a Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a User>,
}

/// A change of a document's metadata that concerns its open room.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// It has another title, or none.
    Titled(Option<String>),
    /// It was deleted.
    Deleted,
}

impl Change {
    /// The change of `document` that `event` tells of, if it does.
    pub fn of(document: DocumentId, event: &Event) -> Option<Self> {
        if event.name != CHANGED && event.name != DELETED {
            return None;
        }
        let id = event.body.get("document_id")?.as_str()?;
        if DocumentId::parse(id)? != document {
            return None;
        }
        if event.name == DELETED {
            return Some(Self::Deleted);
        }
        let title = event.body.get("document")?.get("title");
        let title = title.and_then(|title| title.as_str());
        Some(Self::Titled(title.map(str::to_owned)))
    }
}

/// `document_created`: also where it was restored from the trash.
pub(super) fn created(metadata: &Metadata, by: &User) -> Result<Event> {
    event(CREATED, metadata, Some(by))
}

/// `document_changed`, with another title.
pub(super) fn titled(metadata: &Metadata, by: &User) -> Result<Event> {
    event(CHANGED, metadata, Some(by))
}

/// `document_deleted`.
pub(super) fn deleted(metadata: &Metadata, by: &User) -> Result<Event> {
    event(DELETED, metadata, Some(by))
}

/// `document_changed`, after edits. It is for the team alone: to members of the room it is sent as
/// to everybody else, since it has no order among their updates.
pub(super) fn edited(metadata: &Metadata, updated_at: Timestamp) -> Result<Event> {
    let metadata = Metadata {
        updated_at,
        ..metadata.clone()
    };
    let mut event = event(CHANGED, &metadata, None)?;
    event.to = vec![Audience::Team];
    Ok(event)
}

fn event(name: &'static str, document: &Metadata, by: Option<&User>) -> Result<Event> {
    let room = &document.room;
    let payload = Payload {
        room,
        document_id: document.document_id,
        document,
        by,
    };
    let to = vec![Audience::Room(room.clone()), Audience::Team];
    Ok(Event::new(name, to, &payload)?.about(room))
}
