//! What this door keeps of one Engine.IO connection.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::packet::{Attachments, NotAPacket};
use crate::metrics;

/// How often one connection may be refused a session before it is closed:
/// each try costs a signature to check.
const REFUSALS_MAX: u32 = 8;

/// The data of one connection; `C` is the client that it has once it is in session.
pub struct Connection<C> {
    pub(super) opened_at: Instant,
    /// The kind of transport under which the connection is counted.
    pub(super) counted_as: Mutex<metrics::Transport>,
    state: Mutex<State<C>>,
    /// How often this connection was refused a session.
    refusals: AtomicU32,
}

struct State<C> {
    phase: Phase<C>,
    partial: Option<Partial>,
}

/// How far a connection has come.
pub(super) enum Phase<C> {
    /// Open, without a session.
    Opened,
    /// A token is being verified.
    Verifying,
    /// In session.
    Connected(Arc<C>),
    /// Gone.
    Closed,
}

/// A packet whose attachments are still coming.
pub(super) struct Partial {
    pub(super) text: Box<str>,
    pub(super) attachments: Attachments,
    wanted: usize,
}

impl<C> Default for Connection<C> {
    fn default() -> Self {
        Self {
            opened_at: Instant::now(),
            counted_as: Mutex::new(metrics::Transport::Polling),
            state: Mutex::new(State {
                phase: Phase::Opened,
                partial: None,
            }),
            refusals: AtomicU32::new(0),
        }
    }
}

impl<C> Connection<C> {
    /// Runs `change` on the phase.
    pub(super) fn phase<T>(&self, change: impl FnOnce(&mut Phase<C>) -> T) -> T {
        change(&mut self.state.lock().phase)
    }

    /// The client, while the connection is in session.
    pub(super) fn client(&self) -> Option<Arc<C>> {
        match &self.state.lock().phase {
            Phase::Connected(client) => Some(Arc::clone(client)),
            Phase::Opened | Phase::Verifying | Phase::Closed => None,
        }
    }

    /// Counts a refusal; `true` while the client may try again.
    pub(super) fn may_try_again(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed) + 1 < REFUSALS_MAX
    }

    /// Takes the text of a packet. Where `wanted` attachments follow it, it is kept until they have
    /// come; returns whether it is complete.
    ///
    /// # Errors
    /// [`NotAPacket`] for a text in place of an attachment.
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

    /// Takes an attachment. Returns the packet if it was the last one.
    ///
    /// # Errors
    /// [`NotAPacket`] for an attachment that no packet wants.
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
