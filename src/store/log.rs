//! The log of updates, as the rest of the server sees it: reserve bytes, append, get the outcome.
//!
//! An append is queued in the journal, in memory, until the one writer (`writer.rs`) has committed
//! it; then its completion runs. A caller never waits. The journal is bounded by reservations,
//! which are made before an update is accepted, so that appending itself cannot fail.
//!
//! The journal survives an outage of the database but not the end of the process: an append whose
//! completion has not run is not durable.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    append::{Completion, NewRows, QueuedAppend},
    journal::{Journal, Unwritten},
    reservation::Reservation,
};
use crate::{id::DocumentId, metrics::Availability};

/// How many bytes the journal may hold, and how often it is written.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The most bytes that may be reserved.
    pub bytes_max: usize,
    /// The least and the most time from the begin of one commit to that of the next, unless the journal holds many rows or bytes.
    pub commit_interval: RangeInclusive<Duration>,
    /// How long rows are kept that snapshots have made superfluous.
    pub history: Duration,
}

/// The log of all documents. Cheap to clone.
#[derive(Clone)]
pub struct UpdateLog {
    journal: Arc<Journal>,
}

impl UpdateLog {
    pub(crate) fn new(options: JournalOptions) -> (Self, Arc<Journal>) {
        let journal = Arc::new(Journal::new(options.bytes_max));
        let log = Self {
            journal: Arc::clone(&journal),
        };
        (log, journal)
    }

    /// Reserves room for one update of `bytes` bytes, which counts as 128 more;
    /// `None` where the journal is full.
    ///
    /// The journal is shared by all documents. This never waits.
    pub fn reserve(&self, bytes: usize) -> Option<Reservation> {
        self.journal.reserve(bytes)
    }

    /// Queues `new_rows` for writing and returns at once.
    ///
    /// Appends to one document are written in the order of the calls; the rows of one call are
    /// written together or not at all. `completion` gets the position of the last row once it is
    /// durable, and the completions of one document run in order. Without rows it gets the
    /// position that is durable when the append is written.
    ///
    /// A row may be written twice, because an attempt whose outcome the database did not report
    /// is repeated. That is harmless, as applying a Yjs update twice is.
    pub fn append(&self, document: DocumentId, new_rows: NewRows, completion: Completion) {
        self.journal.push(QueuedAppend {
            document,
            new_rows,
            completion,
        });
    }

    /// Whether the database can be written at present, and when that changes.
    ///
    /// This is learned from commits alone: an outage without appends goes unnoticed here.
    pub fn availability(&self) -> watch::Receiver<Availability> {
        self.journal.availability()
    }

    /// The number of bytes that are reserved.
    pub fn journal_bytes(&self) -> usize {
        self.journal.reserved()
    }

    /// Lets the writer end once it has written everything.
    pub(super) fn close(&self) {
        self.journal.close();
    }

    /// Waits until the rows that are in SQLite's tail were moved, or until that has failed.
    pub(super) async fn move_tail(&self) {
        // Without an answer the writer has ended, and has moved them.
        let _ = self.journal.request_move().await;
    }

    /// The appends that have no outcome yet.
    pub(super) fn unwritten(&self) -> Unwritten {
        self.journal.unwritten()
    }
}
