//! Which documents are open on this instance.
//!
//! Opening is single-flight: whoever asks first starts the room's task, which
//! loads the document while commands already gather in its inbox. A room ends
//! itself when nobody holds a handle; that is decided under the lock under
//! which handles are given out, so no command can fall between.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::task::TaskTracker;

use super::{
    Command,
    driver::{Driver, Event},
};
use crate::{
    config::{Limits, Timing},
    error::{Error, Result},
    id::DocumentKey,
    limits::{Memory, Pressure},
    metrics::Metrics,
    store::Store,
    supervise::{Supervisor, Task},
};

/// From this backlog on a room is busy.
const BUSY_BYTES: usize = 512 * 1024;

/// The open documents. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<Shared>,
}

/// What every room's task needs.
pub(super) struct Shared {
    open: Mutex<HashMap<DocumentKey, RoomHandle>>,
    tasks: TaskTracker,
    draining: AtomicBool,
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
    inbox: Arc<Inbox>,
}

struct Inbox {
    incoming: mpsc::UnboundedSender<Incoming>,
    backlog: Arc<Backlog>,
    bytes_max: usize,
}

/// What waits for a room's task.
pub(super) enum Incoming {
    Command(Command),
    Own(Event),
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

impl Rooms {
    /// No document is open yet. All of them share `memory`.
    pub fn new(
        store: Store,
        limits: Limits,
        timing: Timing,
        memory: Memory,
        metrics: Metrics,
        supervisor: Supervisor,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                open: Mutex::default(),
                tasks: TaskTracker::new(),
                draining: AtomicBool::new(false),
                store,
                limits,
                timing,
                memory,
                metrics,
                supervisor,
            }),
        }
    }

    /// The room of `key`; starts it if it is not open. Returns at once: the
    /// document is loaded by the room's task.
    ///
    /// # Errors
    /// [`Error::Draining`] once the server is stopping; [`Error::Overloaded`] where the
    /// document is not in memory, and the memory budget is full.
    pub fn open(&self, key: &DocumentKey) -> Result<RoomHandle> {
        let mut open = self.shared.open.lock();
        if self.shared.draining.load(Ordering::Relaxed) {
            return Err(Error::Draining);
        }
        if let Some(handle) = open.get(key).filter(|handle| !handle.has_ended()) {
            return Ok(handle.clone());
        }
        if self.shared.memory.pressure() == Pressure::Full {
            return Err(Error::Overloaded);
        }
        let (incoming, inbox) = mpsc::unbounded_channel();
        let backlog = Arc::<Backlog>::default();
        let driver = Driver::new(
            key.clone(),
            Arc::clone(&self.shared),
            incoming.clone(),
            inbox,
            Arc::clone(&backlog),
        );
        self.shared.spawn(Task::Room, driver.run());
        let bytes_max = self.shared.limits.room_inbox_bytes_max;
        let handle = RoomHandle {
            inbox: Arc::new(Inbox {
                incoming,
                backlog,
                bytes_max,
            }),
        };
        open.insert(key.clone(), handle.clone());
        Ok(handle)
    }

    /// How many documents are open.
    pub fn len(&self) -> usize {
        self.shared.open.lock().len()
    }

    /// Whether no document is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens no more rooms, lets every room write what it has accepted, and
    /// waits for their ends. Returns the number of rooms that were still at it
    /// at `deadline`.
    pub async fn drain(&self, deadline: Instant) -> usize {
        let handles: Vec<RoomHandle> = {
            let open = self.shared.open.lock();
            self.shared.draining.store(true, Ordering::Relaxed);
            open.values().cloned().collect()
        };
        for handle in handles {
            // A room that has ended has nothing left to write.
            let _ = handle.inbox.incoming.send(Incoming::Own(Event::Drain));
        }
        self.shared.tasks.close();
        let _ = tokio::time::timeout_at(deadline, self.shared.tasks.wait()).await;
        self.shared.tasks.len()
    }
}

impl Shared {
    /// Forgets the room if nobody but the map holds a handle; the room then ends.
    pub(super) fn release(
        &self,
        key: &DocumentKey,
        inbox: &mpsc::UnboundedReceiver<Incoming>,
    ) -> Released {
        let mut open = self.open.lock();
        let Some(handle) = open.get(key) else {
            return Released::Yes;
        };
        if Arc::strong_count(&handle.inbox) > 1 || !inbox.is_empty() {
            return Released::No;
        }
        open.remove(key);
        Released::Yes
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
pub(super) enum Released {
    /// It is forgotten.
    Yes,
    /// Somebody still holds a handle.
    No,
}
