//! The events that the members of a room receive.

use serde::Serialize;

use super::thread::{Comment, Thread};
use crate::{
    bus::{Audience, Event},
    error::Result,
    id::{CommentId, RoomName, ThreadId},
};

#[derive(Serialize)]
struct OfThread<'a> {
    thread: &'a Thread,
}

#[derive(Serialize)]
struct OfComment<'a> {
    room: &'a RoomName,
    comment: &'a Comment,
}

#[derive(Serialize)]
struct Deleted<'a> {
    room: &'a RoomName,
    thread_id: ThreadId,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment_id: Option<CommentId>,
}

/// `thread_created`.
pub(super) fn thread_created(thread: &Thread) -> Result<Event> {
    event("thread_created", &thread.room, &OfThread { thread })
}

/// `thread_updated`: it was resolved or opened again.
pub(super) fn thread_updated(thread: &Thread) -> Result<Event> {
    event("thread_updated", &thread.room, &OfThread { thread })
}

/// `thread_deleted`.
pub(super) fn thread_deleted(room: &RoomName, thread_id: ThreadId) -> Result<Event> {
    let deleted = Deleted {
        room,
        thread_id,
        comment_id: None,
    };
    event("thread_deleted", room, &deleted)
}

/// `comment_created`: a reply.
pub(super) fn comment_created(room: &RoomName, comment: &Comment) -> Result<Event> {
    event("comment_created", room, &OfComment { room, comment })
}

/// `comment_updated`: it was edited, or its reactions have changed.
pub(super) fn comment_updated(room: &RoomName, comment: &Comment) -> Result<Event> {
    event("comment_updated", room, &OfComment { room, comment })
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
    event("comment_deleted", room, &deleted)
}

fn event(name: &'static str, room: &RoomName, body: &impl Serialize) -> Result<Event> {
    let to = vec![Audience::Room(room.clone())];
    Ok(Event::new(name, to, body)?.about(room))
}
