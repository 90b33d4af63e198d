//! Closes connections that have not begun a session in time.

use std::{sync::Arc, time::Duration};

use engineio::Reason;

use super::{Shared, Sockets, connection::Phase};
use crate::supervise::Task;

/// How often the connections are checked. It is exact enough for a timeout in seconds.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

impl Sockets {
    /// Spawns the task that checks the connections until the last clone of [`Sockets`] is dropped.
    pub fn watch(&self) {
        let shared = &self.shared;
        let check = |shared: Arc<Shared>| close_silent(&shared);
        shared
            .supervisor
            .repeat(Task::Handshakes, CHECK_INTERVAL, shared, check);
    }
}

/// Closes the connections whose clients have not begun a session in time.
fn close_silent(shared: &Shared) {
    let timeout = Duration::from_millis(shared.timing.connect_timeout_ms);
    for socket in shared.connections() {
        let silent = socket.data.phase(|phase| matches!(phase, Phase::Opened));
        if silent && socket.data.opened_at.elapsed() >= timeout {
            shared.metrics.socket_cut("silent");
            socket.close(Reason::Unwanted);
        }
    }
}
