//! Events that are held back for a client while it is sent those that it has missed.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{bus::Published, id::EventId};

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

impl Held {
    /// Holds events back until they are [released](Self::release).
    pub(super) fn holding() -> Self {
        Self(Mutex::new(State::Holding(Vec::new())))
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

    /// Sends the held events whose ids follow `after`, and those without an id, and holds no more back.
    /// Returns whether none had to be dropped.
    pub(super) fn release(&self, after: EventId, send: impl Fn(&Published)) -> bool {
        // The lock is held until all are sent, so that the next event comes after them.
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, State::Open) {
            State::Open => true,
            State::Overflowed => false,
            State::Holding(held) => {
                let is_new = |event: &&Arc<Published>| event.event_id.is_none_or(|id| id > after);
                held.iter().filter(is_new).for_each(|event| send(event));
                true
            }
        }
    }
}
