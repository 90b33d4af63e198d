//! Threads of comments on documents.
//!
//! ```text
//! Comments   creates, changes, reads and lists threads and their comments, for a caller with claims
//! Thread     a thread as clients see it, with its comments (thread.rs)
//! read.rs    reads threads and comments from the database
//! subject.rs locks what a change is about, and checks that the caller may know of it
//! page.rs    lists the threads of a document
//! missed.rs  completes the events of threads that a client has missed
//! text.rs    the fields of requests, and the limits of what people write
//! notices.rs who is notified of what
//! ```
//! A change is one transaction: it locks the document's row, then the thread's, and writes its rows,
//! its entry in the activity, its notifications, and its event for the members of the room.
//!
//! Who may not view a document learns of nothing in it: a thread or a comment that is asked for by
//! its id alone is then not found, like one that does not exist, one of another team, and one of a
//! deleted document.
//!
//! A thread may have an anchor: the text that it is about. Whether that text is gone is not stored.
//! The room of the live document answers it, before the transaction, which waits for nothing but
//! the database.

mod anchor;
mod change;
mod create;
mod emoji;
pub mod events;
mod missed;
mod notices;
mod page;
mod reaction;
mod read;
mod subject;
mod text;
mod thread;

pub use self::{
    emoji::Emoji,
    page::{Page, PageRequest},
    text::{Edit, NewComment, NewThread, comment_id, thread_id},
    thread::{Comment, Status, Thread},
};
use crate::{
    notifications::Notifications,
    room::Rooms,
    store::{PagePermits, Store},
    webhooks::Webhooks,
};

/// The most threads of a document: about a thousand pages of text with twenty threads each.
const THREADS_MAX: i64 = 20_000;
/// The most comments of a thread, deleted ones included, because a thread is always sent as a whole.
const COMMENTS_MAX: i64 = 500;
/// The most text in a thread, in bytes, with its mentions and reactions, for the same reason.
const THREAD_BYTES_MAX: usize = 1024 * 1024;

/// The threads of all documents. Cheap to clone.
#[derive(Clone)]
pub struct Comments {
    store: Store,
    notifications: Notifications,
    webhooks: Webhooks,
    rooms: Rooms,
    permits: PagePermits,
}

impl Comments {
    /// The threads in `store`. `rooms` knows which of the texts that they are about are gone.
    pub fn new(
        store: Store,
        notifications: Notifications,
        webhooks: Webhooks,
        rooms: Rooms,
    ) -> Self {
        Self {
            store,
            notifications,
            webhooks,
            rooms,
            permits: PagePermits::default(),
        }
    }
}
