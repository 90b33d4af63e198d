//! Sends a client the events that it has missed, before those that happen now.
//!
//! While the missed events are read, those that happen are held back, so that the client receives
//! each once, in the order of their ids. For a client that joins a room, all messages of the room are
//! held back until the join is answered. A client that connects gets the events for its person and
//! its team; one that joins a room gets those for the room's members. A client whose missed events
//! are no longer kept, or are too many for its queue, gets none, and is told so.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    client::Client,
    events,
    held::{Held, Item},
};
use crate::{
    bus::Published,
    comments::Comments,
    error::{Error, Result},
    id::EventId,
    store::{self, Receiver, Store},
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
        comments: &Comments,
        client: &Client,
        since: Option<EventId>,
        receiver: Receiver<'_>,
    ) -> Self {
        let read = async {
            let claims = client.session.claims();
            let missed = store.missed_events(&claims.team, since, receiver).await?;
            let bytes_max = client.queue_bytes_max();
            let events = missed.events.and_then(|stored| parse(&stored, bytes_max));
            let events = match (events, receiver) {
                (Some(events), Receiver::Room(room)) => {
                    let complete = comments.complete(&claims, room, events, bytes_max);
                    complete.await?
                }
                (events, _) => events,
            };
            Ok((missed.head, events))
        };
        let read: Result<_> = timeout(READ_TIMEOUT, read)
            .await
            .unwrap_or(Err(Error::StorageUnavailable));
        let (head, events) = read.unwrap_or((EventId(0), None));
        Self {
            head,
            recovered: since.map(|_| events.is_some()),
            missed: events.unwrap_or_default(),
        }
    }

    /// Sends the client what was held back for it and is not covered by what was read.
    pub(super) fn release(&self, client: &Client, held: &Held) {
        held.release(self.head, |item| match item {
            Item::Event(event) => drop(client.offer_event(&event, events::frame(&event))),
            Item::Message(message) => client.queue(message),
            Item::Missing => client.note_missed_event(),
        });
        client.socket().flush(engineio::Writer::Task);
    }

    /// Sends the client what it has missed, as far as it may see it.
    pub(super) fn send(&self, client: &Client) {
        for event in &self.missed {
            if event.event.may_be_seen_by(&client.session) {
                client.offer_event(event, events::frame(event));
            }
        }
    }
}

/// Parses stored events; `None` where they are larger than `bytes_max`.
fn parse(stored: &[store::Event], bytes_max: usize) -> Option<Vec<Published>> {
    let bytes = stored.iter().map(|event| event.payload.to_string().len());
    if bytes.sum::<usize>() > bytes_max {
        return None;
    }
    let events = stored.iter().map(|event| {
        Published::read(event).inspect_err(|error| {
            tracing::error!(%error, "a stored event cannot be read");
        })
    });
    events.collect::<std::result::Result<_, _>>().ok()
}
