//! The open documents of this instance.
//!
//! Opening is single-flight: the first caller starts the room's task, which
//! loads the document while commands already gather in its inbox. A room is unloaded
//! when nobody holds a handle to it. That is decided under the lock under which
//! handles are given out, so that no command is lost.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    driver::Driver,
    heads,
    shared::{Backlog, Event, Inbox, Incoming, Position, RoomHandle, Shared},
};
use crate::{
    bus::{Published, Subscriber},
    catalog::Catalog,
    config::{Limits, Timing},
    error::{Error, Result},
    id::DocumentKey,
    limits::{Memory, Pressure},
    metrics::Metrics,
    store::Store,
    supervise::{Supervisor, Task},
};

/// The most questions about anchors at once, of all rooms: the members of a room wait for each.
const QUESTIONS_MAX: usize = 2;

/// The open documents. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<Shared>,
}

impl Rooms {
    /// A set without open documents. `catalog` finds and creates them. All documents share
    /// `memory`.
    pub fn new(
        store: Store,
        catalog: Catalog,
        limits: Limits,
        timing: Timing,
        memory: Memory,
        metrics: Metrics,
        supervisor: Supervisor,
    ) -> Self {
        let shared = Arc::new(Shared {
            open: Mutex::default(),
            questions: Semaphore::new(QUESTIONS_MAX),
            tasks: TaskTracker::new(),
            draining: AtomicBool::new(false),
            store,
            catalog,
            limits: Arc::new(limits),
            timing: Arc::new(timing),
            memory,
            metrics,
            supervisor,
        });
        heads::watch(&shared);
        Self { shared }
    }

    /// The room of `key`, which is started if it is not open. Returns at once: the
    /// document is loaded by the room's task.
    ///
    /// # Errors
    /// [`Error::Draining`] once the server is stopping; [`Error::Overloaded`] if the
    /// document is not open and the memory budget is full.
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
        let position = Arc::<Position>::default();
        let mut driver = Driver::new(
            key.clone(),
            Arc::clone(&self.shared),
            incoming.clone(),
            inbox,
            Arc::clone(&backlog),
            Arc::clone(&position),
        );
        // In a block, which keeps the driver once; an async function would keep its argument twice.
        self.shared
            .spawn(Task::Room, async move { driver.run().await });
        let bytes_max = self.shared.limits.room_inbox_bytes_max;
        let handle = RoomHandle {
            inbox: Arc::new(Inbox {
                name: key.room.clone(),
                incoming,
                backlog,
                position,
                bytes_max,
            }),
        };
        open.insert(key.clone(), handle.clone());
        Ok(handle)
    }

    /// Permits for questions about anchors.
    pub(super) fn questions(&self) -> &Semaphore {
        &self.shared.questions
    }

    /// The owner of the rooms' tasks.
    pub(super) fn supervisor(&self) -> &Supervisor {
        &self.shared.supervisor
    }

    /// How many documents are open.
    pub fn len(&self) -> usize {
        self.shared.open.lock().len()
    }

    /// Whether no document is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens no more rooms, lets every room write its accepted updates, and waits until all
    /// rooms have ended. Returns the number of tasks that had not ended at `deadline`.
    pub async fn drain(&self, deadline: Instant) -> usize {
        let handles: Vec<RoomHandle> = {
            let open = self.shared.open.lock();
            self.shared.draining.store(true, Ordering::Relaxed);
            open.values().cloned().collect()
        };
        for handle in handles {
            // The send fails only if the room has ended; then it has nothing to write.
            let _ = handle.inbox.incoming.send(Incoming::Event(Event::Drain));
        }
        self.shared.tasks.close();
        let _ = tokio::time::timeout_at(deadline, self.shared.tasks.wait()).await;
        self.shared.tasks.len()
    }
}

impl Subscriber for Rooms {
    /// Puts `event` behind what the room was asked for before. It has no share in the bounds of the
    /// inbox: events are durable first, so that the database bounds how many there are.
    fn tell_room(&self, room: &DocumentKey, event: &Arc<Published>) {
        let open = self.shared.open.lock();
        if let Some(handle) = open.get(room) {
            let happened = Incoming::Event(Event::Happened(Arc::clone(event)));
            // A room that has ended has no members.
            let _ = handle.inbox.incoming.send(happened);
        }
    }
}
