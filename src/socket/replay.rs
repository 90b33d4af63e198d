//! Sends a client the events that it has missed, before those that happen now.
//!
//! While the missed events are read, those that happen are held back, so that the client receives
//! each once, in the order of their ids. A client that connects gets the events for its person and
//! its team; one that joins a room gets those for the room's members. A client whose missed events
//! are no longer kept, or are too many for its queue, gets none, and is told so.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::timeout;

use super::{client::Client, events};
use crate::{
    bus::Published,
    error::{Error, Result},
    id::EventId,
    room::Delivery,
    store::{self, Missed, Receiver, Store},
};

/// How long a client waits at most for the events that it has missed.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// The most events that are held back for one client.
const HELD_MAX: usize = 1000;

/// The events that are held back while missed ones are read.
pub(super) struct Held(Mutex<State>);

enum State {
    /// Events are held back.
    Holding(Vec<Arc<Published>>),
    /// There were too many: the client has missed some.
    Overflowed,
    /// Events are sent at once.
    Open,
}

/// What was read for a client.
pub(super) struct Recovery {
    /// The newest id of the team when it was read.
    pub(super) head: EventId,
    /// Whether nothing is missing; `None` for a client that did not ask.
    pub(super) recovered: Option<bool>,
    missed: Vec<Published>,
}

impl Held {
    /// Holds events back until they are [released](Self::release).
    pub(super) fn holding() -> Self {
        Self(Mutex::new(State::Holding(Vec::new())))
    }

    /// Holds nothing back.
    pub(super) fn open() -> Self {
        Self(Mutex::new(State::Open))
    }

    /// Holds `event` back, if events are held back.
    pub(super) fn hold(&self, event: &Arc<Published>) -> bool {
        let mut state = self.0.lock();
        match &mut *state {
            State::Open => return false,
            State::Overflowed => {}
            State::Holding(held) if held.len() < HELD_MAX => held.push(Arc::clone(event)),
            State::Holding(_) => *state = State::Overflowed,
        }
        true
    }

    /// Sends the held events that `recovery` does not cover, and holds no more back.
    pub(super) fn release(&self, client: &Client, recovery: &Recovery) {
        // The lock is held until all are sent, so that the next event comes after them.
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, State::Open) {
            State::Open => {}
            State::Overflowed => client.note_missed_event(),
            State::Holding(held) => {
                let is_new =
                    |event: &&Arc<Published>| event.event_id.is_none_or(|id| id > recovery.head);
                for event in held.iter().filter(is_new) {
                    send(client, event);
                }
            }
        }
    }
}

impl Recovery {
    /// Reads what `client` has missed. Where the database does not answer in time, it is as if
    /// the events were no longer kept.
    pub(super) async fn read(
        store: &Store,
        client: &Client,
        since: Option<EventId>,
        receiver: Receiver<'_>,
    ) -> Self {
        let team = client.session.claims().team.clone();
        let read = timeout(READ_TIMEOUT, store.missed_events(&team, since, receiver));
        let read: Result<Missed> = read.await.unwrap_or(Err(Error::StorageUnavailable));
        let Missed { head, events } = read.unwrap_or(Missed {
            head: EventId(0),
            events: None,
        });
        let fits = |events: &Vec<store::Event>| {
            let bytes = events.iter().map(|event| event.payload.to_string().len());
            bytes.sum::<usize>() <= client.queue_bytes_max()
        };
        let events = events.filter(fits).and_then(|events| {
            let events = events.iter().map(|stored| {
                Published::read(stored).inspect_err(|error| {
                    tracing::error!(%error, "a stored event cannot be read");
                })
            });
            events.collect::<std::result::Result<Vec<_>, _>>().ok()
        });
        Self {
            head,
            recovered: since.map(|_| events.is_some()),
            missed: events.unwrap_or_default(),
        }
    }

    /// Sends the client what it has missed, as far as it may see it.
    pub(super) fn send(&self, client: &Client) {
        for event in &self.missed {
            if event.event.may_be_seen_by(&client.session) {
                send(client, event);
            }
        }
    }
}

fn send(client: &Client, event: &Published) {
    if client.offer_event(events::frame(event)) == Delivery::Full && event.event_id.is_some() {
        client.note_missed_event();
    }
}
