//! The journal: the queue of appends that are not yet written, shared by the log and its writer.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Instant, timeout_at},
};

use super::{
    append::{Outcome, QueuedAppend},
    backoff::DocumentBackoffs,
    batch::Batch,
    reservation::{Capacity, Reservation},
};
use crate::{
    id::DocumentId,
    metrics::Availability,
    supervise::{Supervisor, Task},
};

/// With so many rows or bytes in the queue the writer commits without waiting for more.
const ROWS_URGENT: usize = 1024;
const BYTES_URGENT: usize = 256 << 10;

/// The accepted updates that could not be written before the server stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// The number of updates.
    pub updates: usize,
    /// The number of their bytes.
    pub bytes: usize,
    /// The documents that they belong to, each once.
    pub documents: Vec<DocumentId>,
}

/// The appends that have no outcome yet.
pub(crate) struct Journal {
    capacity: Arc<Capacity>,
    queue: Mutex<Queue>,
    /// Wakes the writer: there is an append while it is idle, or the queue has become urgent, or
    /// the log is closing.
    changed: Notify,
    closing: AtomicBool,
    availability: watch::Sender<Availability>,
    moves: Mutex<Vec<oneshot::Sender<()>>>,
    move_requested: Notify,
}

/// The appends in their order.
#[derive(Default)]
struct Queue {
    appends: VecDeque<QueuedAppend>,
    rows: usize,
    bytes: usize,
    /// Whether the writer has nothing to do, so that any append wakes it.
    writer_idle: bool,
}

impl Queue {
    fn push_back(&mut self, append: QueuedAppend) {
        self.rows += append.new_rows.rows.len();
        self.bytes += append.bytes();
        self.appends.push_back(append);
    }

    /// Takes the first `count` appends.
    fn take(&mut self, count: usize) -> Vec<QueuedAppend> {
        let taken: Vec<_> = self.appends.drain(..count).collect();
        for append in &taken {
            self.rows -= append.new_rows.rows.len();
            self.bytes -= append.bytes();
        }
        taken
    }

    /// Puts back the append that was taken last.
    fn push_front(&mut self, append: QueuedAppend) {
        self.rows += append.new_rows.rows.len();
        self.bytes += append.bytes();
        self.appends.push_front(append);
    }

    /// Whether the queue is so long that waiting for more appends gains nothing.
    fn is_urgent(&self) -> bool {
        self.rows >= ROWS_URGENT || self.bytes >= BYTES_URGENT
    }
}

impl Journal {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            capacity: Arc::new(Capacity::new(bytes_max)),
            queue: Mutex::default(),
            changed: Notify::new(),
            closing: AtomicBool::new(false),
            availability: watch::Sender::new(Availability::Ok),
            moves: Mutex::default(),
            move_requested: Notify::new(),
        }
    }

    pub(super) fn reserve(&self, bytes: usize) -> Option<Reservation> {
        self.capacity.reserve(bytes)
    }

    pub(super) fn reserved(&self) -> usize {
        self.capacity.reserved()
    }

    /// Queues `append`, and wakes the writer where that is useful.
    pub(super) fn push(&self, append: QueuedAppend) {
        let mut queue = self.queue.lock();
        let rows_before = queue.rows;
        queue.push_back(append);
        let wakes_writer = std::mem::take(&mut queue.writer_idle)
            || (rows_before < ROWS_URGENT && queue.is_urgent());
        drop(queue);
        if wakes_writer {
            self.changed.notify_one();
        }
    }

    /// Waits for appends and copies the first of them, at most `bytes_max` bytes but at least one
    /// append, into a batch; they stay in the journal until they are settled.
    ///
    /// Before `not_before` it waits for more appends, unless the queue is urgent or the log is
    /// closing. Documents in `backoffs` are left out, unless the log is closing.
    /// Returns `None` once the log is closing and the queue is empty.
    pub(super) async fn next(
        &self,
        bytes_max: usize,
        not_before: Instant,
        backoffs: &DocumentBackoffs,
    ) -> Option<Batch> {
        loop {
            // Read before the queue, so that nothing appended before the closing is missed.
            let closing = self.closing.load(Ordering::Acquire);
            let now = Instant::now();
            let next_attempt = {
                let mut queue = self.queue.lock();
                if closing {
                    return Batch::first_of(&queue.appends, bytes_max, |_| false);
                }
                let is_due = queue.is_urgent() || now >= not_before;
                if is_due || queue.appends.is_empty() {
                    let is_skipped = |document| backoffs.is_backing_off(document, now);
                    let batch = Batch::first_of(&queue.appends, bytes_max, is_skipped);
                    if batch.is_some() {
                        return batch;
                    }
                    queue.writer_idle = true;
                    backoffs.next_retry(now)
                } else {
                    Some(not_before)
                }
            };
            match next_attempt {
                Some(moment) => {
                    let _ = timeout_at(moment, self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Takes the first appends out of the journal and runs their completions, in order.
    /// Appends without an outcome stay at its front.
    pub(super) fn settle(&self, outcomes: Vec<Option<Outcome>>, supervisor: &Supervisor) {
        let mut settled = Vec::with_capacity(outcomes.len());
        {
            let mut queue = self.queue.lock();
            let taken = queue.take(outcomes.len());
            for (append, outcome) in taken.into_iter().zip(outcomes).rev() {
                match outcome {
                    Some(outcome) => settled.push((append, outcome)),
                    None => queue.push_front(append),
                }
            }
        }
        for (queued, outcome) in settled.into_iter().rev() {
            let QueuedAppend {
                document,
                new_rows,
                completion,
            } = queued;
            drop(new_rows);
            // A completion that panics must not end the writer, which serves all documents.
            let ran = supervisor.guard(Task::Receipt, || completion(outcome));
            if ran.is_none() {
                tracing::error!(%document, "a room was not told the outcome of a commit");
            }
        }
    }

    /// Has the writer move the rows of SQLite's tail. The receiver gets a message when that was done or has failed.
    pub(super) fn request_move(&self) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        self.moves.lock().push(done);
        self.move_requested.notify_one();
        is_done
    }

    /// Waits until a move is requested.
    pub(super) async fn move_requested(&self) {
        self.move_requested.notified().await;
    }

    /// The requests that the next move fulfils.
    pub(super) fn take_moves(&self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut self.moves.lock())
    }

    pub(super) fn availability(&self) -> watch::Receiver<Availability> {
        self.availability.subscribe()
    }

    /// Announces the availability; returns whether it has changed.
    pub(super) fn set_availability(&self, availability: Availability) -> bool {
        let change =
            |known: &mut Availability| std::mem::replace(known, availability) != availability;
        self.availability.send_if_modified(change)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    pub(super) fn unwritten(&self) -> Unwritten {
        let queue = self.queue.lock();
        let mut documents = HashSet::new();
        let mut unwritten = Unwritten::default();
        for queued in &queue.appends {
            unwritten.updates += queued.new_rows.rows.len();
            unwritten.bytes += queued.row_bytes();
            if documents.insert(queued.document) {
                unwritten.documents.push(queued.document);
            }
        }
        unwritten
    }
}

impl Unwritten {
    /// Whether everything was written.
    pub fn is_empty(&self) -> bool {
        self.updates == 0 && self.documents.is_empty()
    }
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            updates,
            bytes,
            documents,
        } = self;
        write!(
            f,
            "{updates} updates ({bytes} bytes) of {} documents: {documents:?}",
            documents.len()
        )
    }
}
