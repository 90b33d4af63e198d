//! The events that the members of a room receive.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::thread::{Comment, Thread};
use crate::{
    bus::{Audience, Event},
    error::Result,
    id::{CommentId, RoomName, ThreadId},
};

/// The field of a stored `thread_updated`.
const THREAD_ID: &str = "thread_id";

/// The name of the event.
pub const THREAD_CREATED: &str = "thread_created";
/// The name of the event.
pub const THREAD_UPDATED: &str = "thread_updated";
/// The name of the event.
pub const THREAD_DELETED: &str = "thread_deleted";
/// The name of the event.
pub const COMMENT_CREATED: &str = "comment_created";
/// The name of the event.
pub const COMMENT_UPDATED: &str = "comment_updated";
/// The name of the event.
pub const COMMENT_DELETED: &str = "comment_deleted";

/// The payload of an event about a thread.
#[derive(Serialize, ToSchema)]
#[schema(as = ThreadEvent)]
pub struct OfThread<'a> {
    thread: &'a Thread,
}

/// The payload of an event about a comment.
#[derive(Serialize, ToSchema)]
#[schema(as = CommentEvent)]
pub struct OfComment<'a> {
    room: &'a RoomName,
    comment: &'a Comment,
}

/// The payload of an event about a thread or a comment that was deleted.
#[derive(Serialize, ToSchema)]
#[schema(as = CommentsDeleted)]
pub struct Deleted<'a> {
    room: &'a RoomName,
    thread_id: ThreadId,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment_id: Option<CommentId>,
}

/// `thread_created`.
pub(super) fn thread_created(thread: &Thread) -> Result<Event> {
    event(THREAD_CREATED, &thread.room, &OfThread { thread })
}

/// `thread_updated`: it was resolved or opened again. A thread may be large and change often, so that
/// only its id is stored.
pub(super) fn thread_updated(thread: &Thread) -> Result<Event> {
    let event = event(THREAD_UPDATED, &thread.room, &OfThread { thread })?;
    let brief = (THREAD_ID.to_owned(), json!(thread.id));
    Ok(event.stored_as(Map::from_iter([brief])))
}

/// The thread of a stored `thread_updated`; `None` for an event that is stored as a whole.
pub(super) fn updated_thread(event: &Event) -> Option<ThreadId> {
    let id = (event.name == THREAD_UPDATED).then(|| event.body.get(THREAD_ID));
    ThreadId::parse(id??.as_str()?)
}

/// The body of `thread_updated` with the thread as it is now.
pub(super) fn updated_body(thread: &Thread) -> Result<Map<String, Value>> {
    Ok(thread_updated(thread)?.body)
}

/// `thread_deleted`.
pub(super) fn thread_deleted(room: &RoomName, thread_id: ThreadId) -> Result<Event> {
    let deleted = Deleted {
        room,
        thread_id,
        comment_id: None,
    };
    event(THREAD_DELETED, room, &deleted)
}

/// `comment_created`: a reply.
pub(super) fn comment_created(room: &RoomName, comment: &Comment) -> Result<Event> {
    event(COMMENT_CREATED, room, &OfComment { room, comment })
}

/// `comment_updated`: it was edited, or its reactions have changed.
pub(super) fn comment_updated(room: &RoomName, comment: &Comment) -> Result<Event> {
    event(COMMENT_UPDATED, room, &OfComment { room, comment })
}

/// `comment_deleted`.
pub(super) fn comment_deleted(
    room: &RoomName,
    thread_id: ThreadId,
    comment: CommentId,
) -> Result<Event> {
    let deleted = Deleted {
        room,
        thread_id,
        comment_id: Some(comment),
    };
    event(COMMENT_DELETED, room, &deleted)
}

fn event(name: &'static str, room: &RoomName, body: &impl Serialize) -> Result<Event> {
    let to = vec![Audience::Room(room.clone())];
    Ok(Event::new(name, to, body)?.about(room))
}
