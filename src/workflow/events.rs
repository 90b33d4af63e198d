//! The event `workflow_update`: a document was moved to another status.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::User,
    bus::{Audience, Event, Published},
    error::Result,
    id::{DocumentId, RoomName, Timestamp},
    store::Status,
};

/// The name of the event.
pub const UPDATE: &str = "workflow_update";

/// A step that a document has taken; the payload of the event.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = WorkflowUpdate)]
pub struct Moved<'a> {
    /// The room.
    pub room: &'a RoomName,
    /// The document, which is not the same as another one that has the name later.
    pub document_id: DocumentId,
    /// The status before.
    pub from: &'a str,
    /// The status after.
    pub to: &'a str,
    /// Who moved it.
    pub by: &'a User,
    /// What was said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'a str>,
    /// When it was moved.
    pub at: Timestamp,
}

impl Moved<'_> {
    /// The event for the members of the room and for the team.
    pub(super) fn event(&self) -> Result<Event> {
        let to = vec![Audience::Room(self.room.clone()), Audience::Team];
        Ok(Event::new(UPDATE, to, self)?.about(self.room))
    }

    /// The status of `document` that `published` tells of, if it does.
    pub fn status_of(document: DocumentId, published: &Published) -> Option<Status> {
        let event = &published.event;
        if event.name != UPDATE {
            return None;
        }
        let id = event.body.get("document_id")?.as_str()?;
        if DocumentId::parse(id)? != document {
            return None;
        }
        Some(Status {
            name: event.body.get("to")?.as_str()?.to_owned(),
            since: published.at,
            by: User::read(event.body.get("by")?)?,
        })
    }
}
