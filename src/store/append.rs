//! An append: the rows and authors that one call writes to a document's log, and its outcome.

use std::time::Duration;

use bytes::Bytes;

use super::{author::Author, reservation::Reservation};
use crate::id::{DocumentId, Seq, Timestamp, UserId};

/// A new row of the log.
pub struct NewRow {
    /// The update, at least two bytes.
    pub payload: Bytes,
    /// Its bytes in the journal.
    pub reservation: Reservation,
    /// Who wrote all of it; `None` if it holds insertions of several people, who are the owners of
    /// its client ids, and if the database had lost it, so that only they are known.
    pub user: Option<UserId>,
    /// When it was accepted.
    pub at: Timestamp,
}

/// What an author costs in a batch, approximately.
pub(super) const AUTHOR_BYTES: usize = 64;

/// The rows that one call appends to the log of a document, all of them or none.
#[derive(Default)]
pub struct NewRows {
    /// The rows of the log.
    pub rows: Vec<NewRow>,
    /// The owners of the client ids that these rows contain for the first time. A client id that
    /// has an owner already, in the database or earlier in the log, keeps it.
    pub authors: Vec<Author>,
}

/// Why an append was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The document has been deleted.
    #[error("the document has been deleted")]
    Gone,
    /// The database refuses these rows permanently; its reason is in the server's log.
    #[error("the database refuses the update")]
    Refused {
        /// How long the writer now waits before it writes to the document again; later appends
        /// wait in the journal meanwhile. It grows with each refusal of the document in a row.
        retry_after: Duration,
    },
}

/// The position of an append's last row, once it is durable, or why it was given up.
pub(super) type Outcome = Result<Seq, AppendError>;

/// A callback that runs once with the outcome of an append, on the writer's task: it must be
/// short and must not block.
pub type Completion = Box<dyn FnOnce(Result<Seq, AppendError>) + Send>;

/// An append in the journal.
pub(super) struct QueuedAppend {
    pub(super) document: DocumentId,
    pub(super) new_rows: NewRows,
    pub(super) completion: Completion,
}

impl QueuedAppend {
    /// The number of bytes that are sent to the database, approximately.
    pub(super) fn bytes(&self) -> usize {
        self.row_bytes() + self.new_rows.authors.len() * AUTHOR_BYTES
    }

    /// The number of bytes of its rows.
    pub(super) fn row_bytes(&self) -> usize {
        let rows = self.new_rows.rows.iter();
        rows.map(|row| row.payload.len()).sum()
    }
}
