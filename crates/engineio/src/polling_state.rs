//! What a connection that began with polling has beside a WebSocket: its waiting tasks, and the
//! order of their calls.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The state of one connection that began with polling.
#[derive(Default)]
pub(super) struct PollingState {
    /// Held while the door is called about a packet of a POST, about the upgrade, or about the end,
    /// so that there are never two calls at once.
    pub(super) calls: Mutex<()>,
    /// Wakes the task that observes the deadlines: after the end, an answer to a ping, or
    /// an upgrade.
    pub(super) changed: Notify,
    /// Wakes a WebSocket that waits for the end of a POST.
    pub(super) post_ended: Notify,
    /// Wakes a POST whose body is being read when the connection ends.
    pub(super) ending: Notify,
    /// A ping was answered since this was last asked.
    ping_answered: AtomicBool,
}

impl PollingState {
    /// Notes that a ping was answered.
    pub(super) fn note_ping_answer(&self) {
        self.ping_answered.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Whether a ping was answered since the last call.
    pub(super) fn take_ping_answer(&self) -> bool {
        self.ping_answered.swap(false, Ordering::AcqRel)
    }

    /// Wakes whoever waits for the end of the connection.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
        self.ending.notify_waiters();
    }
}
