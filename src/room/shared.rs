//! The state that all rooms' tasks share, and the handles through which commands reach a room.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::{Command, Update};
use crate::{
    bus::Published,
    catalog::Catalog,
    config::{Limits, Timing},
    error::{Error, Result},
    id::{DocumentId, DocumentKey, RoomName, Seq},
    limits::Memory,
    metrics::Metrics,
    store::{AppendError, Lineage, Store},
    supervise::{Supervisor, Task},
};

/// A room with this backlog or a larger one is busy.
const BUSY_BYTES: usize = 512 * 1024;

/// The state that all rooms share.
pub(super) struct Shared {
    pub(super) open: Mutex<HashMap<DocumentKey, RoomHandle>>,
    /// Permits for questions about anchors.
    pub(super) questions: Semaphore,
    pub(super) tasks: TaskTracker,
    pub(super) draining: AtomicBool,
    pub(super) store: Store,
    pub(super) catalog: Catalog,
    pub(super) limits: Arc<Limits>,
    pub(super) timing: Arc<Timing>,
    pub(super) memory: Memory,
    pub(super) metrics: Metrics,
    pub(super) supervisor: Supervisor,
}

/// A handle to one open room. The room stays open while any handle exists.
#[derive(Clone)]
pub struct RoomHandle {
    pub(super) inbox: Arc<Inbox>,
}

/// The name of a room, the sending end of its inbox, and the limit of its backlog.
pub(super) struct Inbox {
    pub(super) name: RoomName,
    pub(super) incoming: mpsc::UnboundedSender<Incoming>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) position: Arc<Position>,
    pub(super) bytes_max: usize,
}

/// Which document a room has, and up to which position of its log, in which lineage of the database; `None` before it exists.
pub(super) type Position = Mutex<Option<(DocumentId, Seq, Lineage)>>;

/// The result of work that a room has started, or the request to drain.
pub(super) enum Event {
    /// The result of the oldest unsettled append.
    Appended(Result<Seq, AppendError>),
    /// The snapshot was written. It holds the log up to this position.
    SnapshotPut(Seq),
    /// The snapshot was not written.
    SnapshotFailed,
    /// Something happened that concerns the members.
    Happened(Arc<Published>),
    /// The newest position of the document's log was seen in the database.
    HeadSeen(Seq),
    /// The document was not seen in the database any more.
    Gone,
    /// The database may have lost rows: its present lineage.
    LineageEnded(Lineage),
    /// The server stops.
    Drain,
}

/// A message in a room's inbox. It is small, because an inbox has 32 slots for messages or more, also
/// when it is empty.
pub(super) enum Incoming {
    /// The command that comes most often.
    Update(Box<Update>),
    /// Any other command.
    Command(Box<Command>),
    Event(Event),
}

const _: () = assert!(size_of::<Incoming>() <= 16);

/// The weight of the commands in an inbox.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    /// Wakes the senders that pause while the room is busy.
    freed: Notify,
}

impl Backlog {
    /// Subtracts a command that was taken out.
    pub(super) fn take(&self, command: &Command) {
        let weight = command.weight();
        let before = self.bytes.fetch_sub(weight, Ordering::AcqRel);
        if before >= BUSY_BYTES && before - weight < BUSY_BYTES {
            self.freed.notify_waiters();
        }
    }
}

impl RoomHandle {
    /// The room's name. Its members keep this one, so that it is in memory once.
    pub fn name(&self) -> &RoomName {
        &self.inbox.name
    }

    /// Puts `command` into the inbox without waiting.
    ///
    /// A command that is larger than the limit of the inbox is taken while the room is not busy.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the inbox is full, by bytes;
    /// [`Error::StorageUnavailable`] when the room has ended because its
    /// document could not be loaded. A `Leave` is taken even when the inbox is full.
    pub fn send(&self, command: Command) -> Result<()> {
        let weight = command.weight();
        let backlog = self.inbox.backlog.bytes.fetch_add(weight, Ordering::AcqRel);
        let full = match weight > self.inbox.bytes_max {
            true => backlog >= BUSY_BYTES,
            false => backlog + weight > self.inbox.bytes_max,
        };
        if full && !matches!(command, Command::Leave { .. }) {
            self.inbox.backlog.bytes.fetch_sub(weight, Ordering::AcqRel);
            return Err(Error::Overloaded);
        }
        let incoming = match command {
            Command::Update(update) => Incoming::Update(update),
            other => Incoming::Command(Box::new(other)),
        };
        let sent = self.inbox.incoming.send(incoming);
        sent.map_err(|_| Error::StorageUnavailable)
    }

    /// Whether the inbox holds so much that senders should pause: about as much as a
    /// room handles in two milliseconds.
    pub fn is_busy(&self) -> bool {
        self.inbox.backlog.bytes.load(Ordering::Acquire) >= BUSY_BYTES && !self.has_ended()
    }

    /// Waits until the room is not busy.
    pub async fn becomes_free(&self) {
        loop {
            let mut freed = pin!(self.inbox.backlog.freed.notified());
            // From here on a room that becomes free wakes this task.
            freed.as_mut().enable();
            if !self.is_busy() {
                return;
            }
            tokio::select! {
                () = freed => {}
                () = self.inbox.incoming.closed() => return,
            }
        }
    }

    /// Whether the room's task is over: commands are no longer taken.
    pub fn has_ended(&self) -> bool {
        self.inbox.incoming.is_closed()
    }
}

impl Shared {
    /// Removes the room from the open ones if nobody else holds a handle and its inbox is empty.
    /// The room then ends.
    pub(super) fn unload(
        &self,
        key: &DocumentKey,
        inbox: &mpsc::UnboundedReceiver<Incoming>,
    ) -> Unloaded {
        let mut open = self.open.lock();
        let Some(handle) = open.get(key) else {
            return Unloaded::Yes;
        };
        if Arc::strong_count(&handle.inbox) > 1 || !inbox.is_empty() {
            return Unloaded::No;
        }
        open.remove(key);
        Unloaded::Yes
    }

    /// Removes a room that ends although handles exist. Later commands through these are refused.
    pub(super) fn abandon(&self, key: &DocumentKey, inbox: &mut mpsc::UnboundedReceiver<Incoming>) {
        let mut open = self.open.lock();
        inbox.close();
        if open.get(key).is_some_and(RoomHandle::has_ended) {
            open.remove(key);
        }
    }

    /// Spawns work that the server waits for before it stops.
    pub(super) fn spawn(&self, task: Task, work: impl Future<Output = ()> + Send + 'static) {
        let tracked = self.tasks.track_future(work);
        self.supervisor.spawn(task, tracked);
    }

    /// Whether the server is stopping.
    pub(super) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Whether a room was unloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unloaded {
    /// It was, and ends.
    Yes,
    /// It was not: somebody holds a handle, or its inbox is not empty.
    No,
}
