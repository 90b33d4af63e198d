//! What the tasks of all rooms share, and how one talks to them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::Command;
use crate::{
    bus::Published,
    config::{Limits, Timing},
    error::{Error, Result},
    id::{DocumentKey, Seq},
    limits::Memory,
    metrics::Metrics,
    store::{AppendError, Store},
    supervise::{Supervisor, Task},
};

/// From this backlog on a room is busy.
const BUSY_BYTES: usize = 512 * 1024;

/// What every room's task needs.
pub(super) struct Shared {
    pub(super) open: Mutex<HashMap<DocumentKey, RoomHandle>>,
    pub(super) tasks: TaskTracker,
    pub(super) draining: AtomicBool,
    pub(super) store: Store,
    pub(super) limits: Limits,
    pub(super) timing: Timing,
    pub(super) memory: Memory,
    pub(super) metrics: Metrics,
    pub(super) supervisor: Supervisor,
}

/// A way to talk to one open room. The room stays open while any handle exists.
#[derive(Clone)]
pub struct RoomHandle {
    pub(super) inbox: Arc<Inbox>,
}

pub(super) struct Inbox {
    pub(super) incoming: mpsc::UnboundedSender<Incoming>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) bytes_max: usize,
}

/// What a room hears from the work that it started.
pub(super) enum Event {
    /// The oldest append under way is settled.
    Appended(Result<Seq, AppendError>),
    /// The snapshot under way is settled; on success, the position that it holds.
    SnapshotPut(Option<Seq>),
    /// Something happened that concerns the members.
    Happened(Arc<Published>),
    /// The server stops.
    Drain,
}

/// What waits for a room's task.
pub(super) enum Incoming {
    Command(Command),
    Event(Event),
}

/// The weight of the commands that wait in an inbox.
#[derive(Default)]
pub(super) struct Backlog(AtomicUsize);

impl Backlog {
    pub(super) fn take(&self, command: &Command) {
        self.0.fetch_sub(command.weight(), Ordering::Relaxed);
    }
}

impl RoomHandle {
    /// Queues `command` without waiting.
    ///
    /// A command that is larger than the whole inbox passes while little waits.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the inbox holds as many bytes as it may;
    /// [`Error::StorageUnavailable`] when the room has ended because its
    /// document could not be loaded. A `Leave` is never refused for weight.
    pub fn send(&self, command: Command) -> Result<()> {
        let weight = command.weight();
        let waiting = self.inbox.backlog.0.fetch_add(weight, Ordering::Relaxed);
        let full = match weight > self.inbox.bytes_max {
            true => waiting >= BUSY_BYTES,
            false => waiting + weight > self.inbox.bytes_max,
        };
        if full && !matches!(command, Command::Leave { .. }) {
            self.inbox.backlog.0.fetch_sub(weight, Ordering::Relaxed);
            return Err(Error::Overloaded);
        }
        self.inbox
            .incoming
            .send(Incoming::Command(command))
            .map_err(|_| Error::StorageUnavailable)
    }

    /// Whether so much waits in the inbox that who sends more had better wait a
    /// moment: it is about what a room does in two milliseconds.
    pub fn is_busy(&self) -> bool {
        self.inbox.backlog.0.load(Ordering::Relaxed) >= BUSY_BYTES
    }

    /// Whether the room's task is over: nothing that is sent arrives.
    pub fn has_ended(&self) -> bool {
        self.inbox.incoming.is_closed()
    }
}

impl Shared {
    /// Forgets the room if nobody but the map holds a handle; the room then ends.
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

    /// Forgets a room that ends although handles exist; later commands find it ended.
    pub(super) fn abandon(&self, key: &DocumentKey, inbox: &mut mpsc::UnboundedReceiver<Incoming>) {
        let mut open = self.open.lock();
        inbox.close();
        if open.get(key).is_some_and(RoomHandle::has_ended) {
            open.remove(key);
        }
    }

    /// Starts work that the server waits for before it ends.
    pub(super) fn spawn(&self, task: Task, work: impl Future<Output = ()> + Send + 'static) {
        let tracked = self.tasks.track_future(work);
        self.supervisor.spawn(task, tracked);
    }

    pub(super) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Whether a room may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unloaded {
    /// It is forgotten.
    Yes,
    /// Somebody still holds a handle.
    No,
}
