//! When the team is told that a document was edited.

use tokio::time::Instant;

use crate::id::Timestamp;

/// The edits that the team was not told of yet, and when it may be told.
#[derive(Debug)]
pub(super) struct EditNotices {
    /// When the document was last edited, if the team was not told of it yet.
    pub(super) untold: Option<Timestamp>,
    /// The earliest time of the next notice.
    pub(super) due: Instant,
}

impl EditNotices {
    /// The first edit is told at once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            untold: None,
            due: now,
        }
    }
}
