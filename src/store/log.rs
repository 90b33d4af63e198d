//! The log of updates, as the rest of the server sees it: reserve, append, get a receipt.
//!
//! What is appended waits in the journal, in memory, until the one writer
//! (`writer.rs`) has committed it; then its receipt runs. Nobody who appends
//! ever waits. The journal is bounded by reservations, which are taken before
//! an update is accepted, so that appending itself cannot fail.
//!
//! The journal outlives an outage of the database but not the process: what has
//! no receipt is not durable.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use super::{Availability, Unwritten, author::Author, batch::Batch, holds::Holds};
use crate::{
    id::{DocumentId, Seq},
    supervise::{Supervisor, Task},
};

/// What an update costs in the journal besides its bytes, so that a flood of tiny
/// ones cannot outgrow the budget either.
const UPDATE_OVERHEAD_BYTES: usize = 128;

/// What an author costs in a batch, about.
pub(super) const AUTHOR_BYTES: usize = 64;

/// From so many rows or bytes on, the writer gathers no longer.
const ROWS_URGENT: usize = 1024;
const BYTES_URGENT: usize = 256 << 10;

/// How much waits to be written, and how long.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// The most bytes that may wait.
    pub bytes_max: usize,
    /// How long after a commit began the next one begins, unless much waits. A commit
    /// costs the same for one row as for a hundred, most of all where it is on a disk.
    pub commit_interval: Duration,
}

/// Why an append was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The document has been deleted.
    #[error("the document has been deleted")]
    Gone,
    /// The database refuses these rows for good; its reason is in the server's log.
    #[error("the database refuses the update")]
    Refused {
        /// For so long the writer leaves the document alone: what is appended meanwhile waits.
        /// It grows with each refusal of the document in a row.
        retry_after: Duration,
    },
}

/// What one append writes, all of it or nothing.
#[derive(Default)]
pub struct Entry {
    /// The rows of the log, each an update with its reservation.
    pub rows: Vec<(Bytes, Reservation)>,
    /// Who owns the client ids that these rows bring for the first time. A client id that
    /// has an owner already, in the database or earlier in the log, keeps it.
    pub authors: Vec<Author>,
}

/// Runs once with the outcome of an append, on the writer's task: it must be short and not block.
pub type Receipt = Box<dyn FnOnce(Result<Seq, AppendError>) + Send>;

/// The log of all documents. Cheap to clone.
#[derive(Clone)]
pub struct UpdateLog {
    journal: Arc<Journal>,
}

/// A claim on the journal's budget; dropping it gives the bytes back.
pub struct Reservation {
    journal: Arc<Journal>,
    bytes: usize,
}

impl Reservation {
    /// A claim on nothing: for a further row of what this one was made for.
    pub fn further(&self) -> Self {
        Self {
            journal: Arc::clone(&self.journal),
            bytes: 0,
        }
    }
}

impl UpdateLog {
    pub(crate) fn new(options: JournalOptions) -> (Self, Arc<Journal>) {
        let journal = Arc::new(Journal {
            reserved: AtomicUsize::new(0),
            reserved_max: options.bytes_max,
            waiting: Mutex::default(),
            changed: Notify::new(),
            closing: AtomicBool::new(false),
            availability: watch::Sender::new(Availability::Ok),
        });
        (
            Self {
                journal: Arc::clone(&journal),
            },
            journal,
        )
    }

    /// Claims room for one update of `bytes` bytes, which counts as 128 more;
    /// `None` where the journal is full.
    ///
    /// The room is claimed over all documents and never waited for.
    pub fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let journal = &self.journal;
        let bytes = bytes.saturating_add(UPDATE_OVERHEAD_BYTES);
        let claim = |reserved: usize| {
            reserved
                .checked_add(bytes)
                .filter(|&reserved| reserved <= journal.reserved_max)
        };
        journal
            .reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim)
            .ok()
            .map(|_| Reservation {
                journal: Arc::clone(journal),
                bytes,
            })
    }

    /// Queues `entry` for writing and returns at once.
    ///
    /// Appends to one document are written in the order of the calls; what one call
    /// brings is written together or not at all. `receipt` gets the position of
    /// the last row once it is durable, and receipts of one document run in order.
    /// Without rows it gets the position that is durable when its turn comes.
    ///
    /// A row may be written twice: an attempt whose outcome the database did not
    /// tell is repeated. That is harmless, as applying a Yjs update twice is.
    pub fn append(&self, document: DocumentId, entry: Entry, receipt: Receipt) {
        let append = Append {
            document,
            entry,
            receipt,
        };
        let mut waiting = self.journal.waiting.lock();
        let before = waiting.rows;
        waiting.push_back(append);
        let worth_waking = std::mem::take(&mut waiting.writer_idle)
            || (before < ROWS_URGENT && waiting.is_urgent());
        drop(waiting);
        if worth_waking {
            self.journal.changed.notify_one();
        }
    }

    /// Whether what is appended can be written at present, and when that changes.
    ///
    /// Learned from writing alone: an outage without appends goes unnoticed here.
    pub fn availability(&self) -> watch::Receiver<Availability> {
        self.journal.availability.subscribe()
    }

    /// What is reserved, in bytes.
    pub fn journal_bytes(&self) -> usize {
        self.journal.reserved()
    }

    /// Lets the writer end once it has written everything.
    pub(super) fn close(&self) {
        self.journal.closing.store(true, Ordering::Release);
        self.journal.changed.notify_one();
    }

    pub(super) fn unwritten(&self) -> Unwritten {
        let waiting = self.journal.waiting.lock();
        let mut documents = HashSet::new();
        let mut unwritten = Unwritten::default();
        for append in &waiting.appends {
            unwritten.updates += append.entry.rows.len();
            unwritten.bytes += append.row_bytes();
            if documents.insert(append.document) {
                unwritten.documents.push(append.document);
            }
        }
        unwritten
    }
}

impl Reservation {
    /// One claim for both, for updates that become one row.
    pub fn join(mut self, mut other: Self) -> Self {
        self.bytes += std::mem::take(&mut other.bytes);
        self
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.journal
            .reserved
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What has been appended and not yet settled, shared with the writer.
pub(crate) struct Journal {
    reserved: AtomicUsize,
    reserved_max: usize,
    waiting: Mutex<Waiting>,
    /// There is work while the writer has none, or enough not to gather any longer, or the
    /// log is closing. For the writer alone.
    changed: Notify,
    closing: AtomicBool,
    availability: watch::Sender<Availability>,
}

pub(super) struct Append {
    pub(super) document: DocumentId,
    pub(super) entry: Entry,
    receipt: Receipt,
}

/// The appends that are not settled, in order.
#[derive(Default)]
struct Waiting {
    appends: VecDeque<Append>,
    rows: usize,
    bytes: usize,
    /// The writer has nothing to do: whatever is appended wakes it.
    writer_idle: bool,
}

impl Waiting {
    fn push_back(&mut self, append: Append) {
        self.rows += append.entry.rows.len();
        self.bytes += append.bytes();
        self.appends.push_back(append);
    }

    /// Takes the first `count` appends.
    fn take(&mut self, count: usize) -> Vec<Append> {
        let taken: Vec<_> = self.appends.drain(..count).collect();
        for append in &taken {
            self.rows -= append.entry.rows.len();
            self.bytes -= append.bytes();
        }
        taken
    }

    /// Puts back what was taken last.
    fn push_front(&mut self, append: Append) {
        self.rows += append.entry.rows.len();
        self.bytes += append.bytes();
        self.appends.push_front(append);
    }

    /// Whether so much waits that gathering more gains nothing.
    fn is_urgent(&self) -> bool {
        self.rows >= ROWS_URGENT || self.bytes >= BYTES_URGENT
    }
}

impl Append {
    /// What it takes to send, about.
    pub(super) fn bytes(&self) -> usize {
        self.row_bytes() + self.entry.authors.len() * AUTHOR_BYTES
    }

    fn row_bytes(&self) -> usize {
        let rows = self.entry.rows.iter();
        rows.map(|(payload, _)| payload.len()).sum()
    }
}

impl Journal {
    /// Waits for appends and shows the first of them, at most `bytes_max` bytes but
    /// at least one append; they stay in the journal until they are settled. Before
    /// `not_before` it gathers, unless much waits or the log is closing; those of documents
    /// that are held it leaves out, unless the log is closing.
    /// `None` once the log is closing and nothing waits.
    pub(super) async fn next(
        &self,
        bytes_max: usize,
        not_before: Instant,
        holds: &Holds,
    ) -> Option<Batch> {
        loop {
            // Read before looking, so that nothing appended before the closing is missed.
            let closing = self.closing.load(Ordering::Acquire);
            let now = Instant::now();
            let look_again = {
                let mut waiting = self.waiting.lock();
                if closing {
                    return Batch::first_of(&waiting.appends, bytes_max, |_| false);
                }
                let due = waiting.is_urgent() || now >= not_before;
                if due || waiting.appends.is_empty() {
                    let is_held = |document| holds.is_held(document, now);
                    let batch = Batch::first_of(&waiting.appends, bytes_max, is_held);
                    if batch.is_some() {
                        return batch;
                    }
                    waiting.writer_idle = true;
                    holds.next_end(now)
                } else {
                    Some(not_before)
                }
            };
            match look_again {
                Some(moment) => {
                    let _ = timeout_at(moment, self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Takes the first appends out of the journal and runs their receipts, in order.
    /// Those without an answer stay at its front.
    pub(super) fn settle(
        &self,
        answers: Vec<Option<Result<Seq, AppendError>>>,
        supervisor: &Supervisor,
    ) {
        let mut settled = Vec::with_capacity(answers.len());
        {
            let mut waiting = self.waiting.lock();
            let taken = waiting.take(answers.len());
            for (append, answer) in taken.into_iter().zip(answers).rev() {
                match answer {
                    Some(answer) => settled.push((append, answer)),
                    None => waiting.push_front(append),
                }
            }
        }
        for (append, answer) in settled.into_iter().rev() {
            let Append {
                document,
                entry,
                receipt,
            } = append;
            drop(entry);
            // A receipt that panics must not take the writer, and all documents, with it.
            let told = supervisor.guard(Task::Receipt, || receipt(answer));
            if told.is_none() {
                tracing::error!(%document, "its room does not hear of a commit");
            }
        }
    }

    pub(super) fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Tells of a change; `true` if it is one.
    pub(super) fn set_availability(&self, availability: Availability) -> bool {
        let change =
            |known: &mut Availability| std::mem::replace(known, availability) != availability;
        self.availability.send_if_modified(change)
    }
}
