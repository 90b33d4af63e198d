//! Events and messages that are held back for a client while it is sent those that it has missed.

use std::sync::Arc;

use engineio::Message;
use parking_lot::Mutex;

use crate::{bus::Published, id::EventId, room::Delivery};

/// The most that is held back for one client, events and messages together.
const HELD_MAX: usize = 1000;

/// What is held back while missed events are read.
///
/// `None`, which takes little memory, once nothing is held back any more.
pub(super) struct Held(Mutex<Option<Box<Holding>>>);

#[derive(Default)]
struct Holding {
    items: Vec<Item>,
    /// The size of the messages.
    bytes: usize,
    /// There were too many events: the client has missed some.
    is_incomplete: bool,
}

/// What was held back.
pub(super) enum Item {
    /// An event.
    Event(Arc<Published>),
    /// Another message of a room, encoded.
    Message(Message),
    /// Events that were too many.
    Missing,
}

impl Held {
    /// Holds back until the [release](Self::release).
    pub(super) fn holding() -> Self {
        Self(Mutex::new(Some(Box::default())))
    }

    /// Holds `event` back, if events are held back.
    pub(super) fn hold(&self, event: &Arc<Published>) -> bool {
        let mut state = self.0.lock();
        let Some(held) = &mut *state else {
            return false;
        };
        // None is held behind one that is missing.
        held.is_incomplete |= held.items.len() >= HELD_MAX;
        if !held.is_incomplete {
            held.items.push(Item::Event(Arc::clone(event)));
        }
        true
    }

    /// Holds `message` back, if messages are held back: [`Delivery::Full`] where those that are held
    /// would be larger than `bytes_max`, unless it is the first one. `None` if it is to be sent now.
    pub(super) fn hold_message(&self, message: &Message, bytes_max: usize) -> Option<Delivery> {
        let mut state = self.0.lock();
        let held = state.as_mut()?;
        let bytes = held.bytes.saturating_add(message.wire_bytes());
        if held.items.len() >= HELD_MAX || (held.bytes > 0 && bytes > bytes_max) {
            return Some(Delivery::Full);
        }
        held.bytes = bytes;
        held.items.push(Item::Message(message.clone()));
        Some(Delivery::Queued)
    }

    /// The size of the messages that are held back, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.lock().as_ref().map_or(0, |held| held.bytes)
    }

    /// Passes to `send` what is held back, in its order, without the events up to `after`, and holds no
    /// more back.
    pub(super) fn release(&self, after: EventId, send: impl Fn(Item)) {
        // The lock is held until all are sent, so that what happens next comes after them.
        let mut state = self.0.lock();
        let Some(held) = state.take() else {
            return;
        };
        for item in held.items {
            match item {
                Item::Event(event) if event.event_id.is_some_and(|id| id <= after) => {}
                item => send(item),
            }
        }
        if held.is_incomplete {
            send(Item::Missing);
        }
    }
}
