//! The namespaces of y-socket.io on one connection.
//!
//! An entry exists while a token is verified for it, while it has a session, and, so that packets which
//! were under way do not close the connection, for a while after its end. Nothing is kept for a namespace
//! that was refused. The entries are few, and bounded: those without a session by the attempts that a
//! connection has, those with one by the rooms that a connection may be in.

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::packets::Event;
use crate::room::RoomHandle;

/// The client in a namespace, as its connection sees it.
pub(in crate::socket) trait Occupant: Send + Sync {
    /// Carries out an event, or has it wait.
    fn receive(&self, event: Event);

    /// Whether an event waits.
    fn is_paused(&self) -> bool;

    /// Waits until it is time for the event that waits, and carries it out; it may have to wait again.
    fn resume(self: Arc<Self>) -> engineio::Busy;

    /// Its room.
    fn room(&self) -> &RoomHandle;

    /// Leaves the room and ends the session. The namespace was removed before.
    fn forget(&self);
}

/// The most namespaces that have ended and are remembered.
const ENDED_MAX: usize = 16;

/// The namespaces of one connection, in no particular order. Most connections have none or one.
#[derive(Default)]
pub(in crate::socket) struct Namespaces {
    entries: Vec<Entry>,
    last_attempt: u32,
    /// Whether the connection has closed.
    is_closed: bool,
}

struct Entry {
    /// The namespace as its client writes it.
    name: Box<str>,
    stage: Stage,
}

enum Stage {
    /// A token is being verified.
    Verifying {
        number: u32,
        /// Ends its task, if it had to be spawned.
        task: Option<AbortHandle>,
    },
    /// It has a session.
    Present(Arc<dyn Occupant>),
    /// The server has ended it.
    Ended,
}

/// To whom a packet in a namespace goes.
pub(super) enum Receiver {
    /// The client that has a session in it.
    Client(Arc<dyn Occupant>),
    /// Nobody any more: the server has ended the namespace.
    Ended,
    /// Nobody yet.
    Nobody,
}

impl Namespaces {
    /// Whether there are no entries.
    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether any has a session.
    pub(in crate::socket) fn have_sessions(&self) -> bool {
        let mut stages = self.entries.iter().map(|entry| &entry.stage);
        stages.any(|stage| matches!(stage, Stage::Present(_)))
    }

    /// Whether any has ended and is remembered.
    pub(in crate::socket) fn have_ended(&self) -> bool {
        let mut stages = self.entries.iter().map(|entry| &entry.stage);
        stages.any(|stage| matches!(stage, Stage::Ended))
    }

    /// How many have a session or are about to.
    pub(in crate::socket) fn open(&self) -> usize {
        let stages = self.entries.iter().map(|entry| &entry.stage);
        stages
            .filter(|stage| !matches!(stage, Stage::Ended))
            .count()
    }

    /// Begins an attempt to begin a session in the namespace `name` and returns its number; `None`
    /// during another one, in a session, and after the connection has closed.
    pub(super) fn begin(&mut self, name: &str) -> Option<u32> {
        match self.place(name) {
            _ if self.is_closed => return None,
            Some(place) if !matches!(self.entries[place].stage, Stage::Ended) => return None,
            Some(place) => drop(self.entries.swap_remove(place)),
            None => {}
        }
        self.last_attempt += 1;
        let (number, task) = (self.last_attempt, None);
        if self.entries.is_empty() {
            // By itself, a list begins with four entries.
            self.entries.reserve_exact(1);
        }
        self.entries.push(Entry {
            name: name.into(),
            stage: Stage::Verifying { number, task },
        });
        Some(number)
    }

    /// Keeps the handle that ends the task of an attempt, if that is still under way.
    pub(super) fn attach(&mut self, attempt: u32, handle: AbortHandle) {
        if let Some(place) = self.attempt(attempt)
            && let Stage::Verifying { task, .. } = &mut self.entries[place].stage
        {
            *task = Some(handle);
        }
    }

    /// The attempt has succeeded: the namespace has a session from now on. Returns `false` if its client
    /// has given the attempt up.
    pub(super) fn enter(&mut self, attempt: u32, client: Arc<dyn Occupant>) -> bool {
        let Some(place) = self.attempt(attempt) else {
            return false;
        };
        self.entries[place].stage = Stage::Present(client);
        true
    }

    /// Removes the entry of an attempt that was refused. Returns `false` if its client has given the
    /// attempt up.
    pub(super) fn refuse(&mut self, attempt: u32) -> bool {
        let place = self.attempt(attempt);
        if let Some(place) = place {
            self.entries.swap_remove(place);
        }
        place.is_some()
    }

    /// Removes the namespace of `client`, for a client that was never told that it is connected. Returns
    /// `false` if it was not there any more.
    pub(super) fn remove(&mut self, client: *const ()) -> bool {
        let place = self.of(client);
        if let Some(place) = place {
            self.entries.swap_remove(place);
        }
        place.is_some()
    }

    /// Ends the namespace of `client` and remembers that. Returns `false` if it was not there any more.
    pub(super) fn end(&mut self, client: *const ()) -> bool {
        let Some(place) = self.of(client) else {
            return false;
        };
        let mut entry = self.entries.remove(place);
        entry.stage = Stage::Ended;
        let is_ended = |entry: &Entry| matches!(entry.stage, Stage::Ended);
        if self.entries.iter().filter(|entry| is_ended(entry)).count() >= ENDED_MAX
            && let Some(oldest) = self.entries.iter().position(is_ended)
        {
            self.entries.remove(oldest);
        }
        self.entries.push(entry);
        true
    }

    /// The client leaves the namespace `name`. Returns its client, if it had a session; `None` for the
    /// whole if the namespace is not known.
    pub(super) fn leave(&mut self, name: &str) -> Option<Option<Arc<dyn Occupant>>> {
        let place = self.place(name)?;
        Some(self.entries.swap_remove(place).left())
    }

    /// The connection has closed: removes all entries and returns the clients of those that had a session.
    pub(super) fn close(&mut self) -> Vec<Arc<dyn Occupant>> {
        self.is_closed = true;
        let all = std::mem::take(&mut self.entries);
        all.into_iter().filter_map(Entry::left).collect()
    }

    /// To whom a packet in the namespace `name` goes.
    pub(super) fn receiver(&self, name: &str) -> Receiver {
        match self.place(name).map(|place| &self.entries[place].stage) {
            Some(Stage::Present(client)) => Receiver::Client(Arc::clone(client)),
            Some(Stage::Ended) => Receiver::Ended,
            Some(Stage::Verifying { .. }) | None => Receiver::Nobody,
        }
    }

    /// A client that fulfils `condition`.
    pub(super) fn find(
        &self,
        condition: impl Fn(&dyn Occupant) -> bool,
    ) -> Option<Arc<dyn Occupant>> {
        self.entries.iter().find_map(|entry| match &entry.stage {
            Stage::Present(client) if condition(&**client) => Some(Arc::clone(client)),
            Stage::Present(_) | Stage::Verifying { .. } | Stage::Ended => None,
        })
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| &*entry.name == name)
    }

    fn attempt(&self, attempt: u32) -> Option<usize> {
        let is_it =
            |stage: &Stage| matches!(stage, Stage::Verifying { number, .. } if *number == attempt);
        self.entries.iter().position(|entry| is_it(&entry.stage))
    }

    fn of(&self, client: *const ()) -> Option<usize> {
        let is_it = |stage: &Stage| matches!(stage, Stage::Present(other) if Arc::as_ptr(other).cast::<()>() == client);
        self.entries.iter().position(|entry| is_it(&entry.stage))
    }

    /// Whether `client` is in its namespace.
    pub(super) fn have(&self, client: *const ()) -> bool {
        self.of(client).is_some()
    }
}

impl Entry {
    /// What is left to do when its client has left: ends the attempt, or returns the client.
    fn left(self) -> Option<Arc<dyn Occupant>> {
        match self.stage {
            Stage::Present(client) => Some(client),
            Stage::Verifying { task, .. } => {
                if let Some(task) = task {
                    task.abort();
                }
                None
            }
            Stage::Ended => None,
        }
    }
}
