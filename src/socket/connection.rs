//! The state that this door keeps for one Engine.IO connection.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::packet::{Attachments, NotAPacket};
use crate::{limits::Place, metrics};

/// How many attempts to begin a session one connection has. It is closed when the last one is
/// refused, because each attempt costs the verification of a signature.
const REFUSALS_MAX: u32 = 8;

/// The state of one connection. `C` is the type of its client, which exists while it has a session.
pub struct Connection<C> {
    /// Its place among all connections; `None` where HTTP is not served by the front door.
    pub(super) place: Option<Arc<Place>>,
    pub(super) opened_at: Instant,
    /// The kind of transport under which the connection is counted.
    pub(super) counted_as: Mutex<metrics::Transport>,
    state: Mutex<State<C>>,
    /// How many attempts to begin a session were refused.
    refusals: AtomicU32,
}

struct State<C> {
    phase: Phase<C>,
    partial: Option<Partial>,
}

/// The phase of a connection.
pub(super) enum Phase<C> {
    /// Open, without a session.
    Opened,
    /// A token is being verified.
    Verifying,
    /// The session has begun.
    Connected(Arc<C>),
    /// The connection has closed.
    Closed,
}

/// A packet of which some attachments have not arrived yet.
pub(super) struct Partial {
    pub(super) text: Box<str>,
    pub(super) attachments: Attachments,
    wanted: usize,
}

impl<C> Connection<C> {
    /// The state of a connection that has just opened.
    pub(super) fn new(place: Option<Arc<Place>>) -> Self {
        Self {
            place,
            opened_at: Instant::now(),
            counted_as: Mutex::new(metrics::Transport::Polling),
            state: Mutex::new(State {
                phase: Phase::Opened,
                partial: None,
            }),
            refusals: AtomicU32::new(0),
        }
    }

    /// Notes that a token was verified for the connection, which keeps its place.
    pub(super) fn trust(&self) {
        if let Some(place) = &self.place {
            place.trust();
        }
    }
    /// Calls `change` with the phase, under the connection's lock.
    pub(super) fn phase<T>(&self, change: impl FnOnce(&mut Phase<C>) -> T) -> T {
        change(&mut self.state.lock().phase)
    }

    /// The client, while the connection has a session.
    pub(super) fn client(&self) -> Option<Arc<C>> {
        match &self.state.lock().phase {
            Phase::Connected(client) => Some(Arc::clone(client)),
            Phase::Opened | Phase::Verifying | Phase::Closed => None,
        }
    }

    /// Counts a refused attempt. Returns whether the client may make another one.
    pub(super) fn count_refusal(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed) + 1 < REFUSALS_MAX
    }

    /// Receives the text of a packet and returns whether the packet is complete. If `wanted`
    /// attachments follow, the text is kept until they have arrived.
    ///
    /// # Errors
    /// [`NotAPacket`] for a text where an attachment has to follow.
    pub(super) fn take_text(&self, text: &str, wanted: usize) -> Result<bool, NotAPacket> {
        let mut state = self.state.lock();
        if state.partial.is_some() {
            return Err(NotAPacket);
        }
        if wanted == 0 {
            return Ok(true);
        }
        state.partial = Some(Partial {
            text: text.into(),
            attachments: Attachments::new(),
            wanted,
        });
        Ok(false)
    }

    /// Receives an attachment. Returns the packet if this was its last one.
    ///
    /// # Errors
    /// [`NotAPacket`] for an attachment that belongs to no packet.
    pub(super) fn take_attachment(&self, bytes: Bytes) -> Result<Option<Partial>, NotAPacket> {
        let mut state = self.state.lock();
        let mut partial = state.partial.take().ok_or(NotAPacket)?;
        partial.attachments.push(bytes);
        if partial.attachments.len() < partial.wanted {
            state.partial = Some(partial);
            return Ok(None);
        }
        Ok(Some(partial))
    }
}
