//! The events of documents: what the team, and the members of the room, are told.

use serde::Serialize;
use utoipa::ToSchema;

use super::Document;
use crate::{
    auth::User,
    bus::{Audience, Event},
    error::Result,
    id::{DocumentId, RoomName},
};

/// The name of the event.
pub const CREATED: &str = "document_created";
/// The name of the event.
pub const CHANGED: &str = "document_changed";
/// The name of the event.
pub const DELETED: &str = "document_deleted";

/// The payload of these events.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentEvent)]
pub struct Payload<'a> {
    room: &'a RoomName,
    document_id: DocumentId,
    document: &'a Document,
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
pub(super) fn created(document: &Document, by: &User) -> Result<Event> {
    event(CREATED, document, Some(by))
}

/// `document_changed`, with another title.
pub(super) fn titled(document: &Document, by: &User) -> Result<Event> {
    event(CHANGED, document, Some(by))
}

/// `document_deleted`.
pub(super) fn deleted(document: &Document, by: &User) -> Result<Event> {
    event(DELETED, document, Some(by))
}

/// `document_changed`, after edits. It is for the team alone: to members of the room it is sent as
/// to everybody else, since it has no order among their updates.
pub(super) fn edited(document: &Document) -> Result<Event> {
    let mut event = event(CHANGED, document, None)?;
    event.to = vec![Audience::Team];
    Ok(event)
}

fn event(name: &'static str, document: &Document, by: Option<&User>) -> Result<Event> {
    let room = &document.metadata.room;
    let payload = Payload {
        room,
        document_id: document.metadata.document_id,
        document,
        by,
    };
    let to = vec![Audience::Room(room.clone()), Audience::Team];
    Ok(Event::new(name, to, &payload)?.about(room))
}
