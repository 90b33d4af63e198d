//! Sends a client the events that it has missed, before those that happen now.
//!
//! While the missed events are read, those that happen are held back, so that the client receives
//! each once, in the order of their ids. A client that connects gets the events for its person and
//! its team; one that joins a room gets those for the room's members. A client whose missed events
//! are no longer kept, or are too many for its queue, gets none, and is told so.

use std::time::Duration;

use tokio::time::timeout;

use super::{client::Client, events, held::Held};
use crate::{
    bus::Published,
    error::{Error, Result},
    id::EventId,
    room::Delivery,
    store::{self, Missed, Receiver, Store},
};

/// How long a client waits at most for the events that it has missed.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// What was read for a client.
pub(super) struct Recovery {
    /// The newest id of the team when it was read.
    pub(super) head: EventId,
    /// Whether nothing is missing; `None` for a client that did not ask.
    pub(super) recovered: Option<bool>,
    missed: Vec<Published>,
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

    /// Sends the client what was held back for it and is not covered by what was read.
    pub(super) fn release(&self, client: &Client, held: &Held) {
        if !held.release(self.head, |event| send(client, event)) {
            client.note_missed_event();
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
