//! Closes connections that have not begun a session in time, and those of clients that have missed
//! an event.

use std::{sync::Arc, time::Duration};

use engineio::{Carrier, Reason};

use super::{Shared, Sockets, connection::Phase};
use crate::supervise::Task;

/// How often the connections are checked. It is exact enough for a timeout in seconds.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

impl Sockets {
    /// Spawns the task that checks the connections until the last clone of [`Sockets`] is dropped.
    pub fn watch(&self) {
        let shared = &self.shared;
        let check = |shared: Arc<Shared>| {
            close_silent(&shared);
            close_incomplete(&shared);
            cut_incomplete(&shared);
        };
        shared
            .supervisor
            .repeat(Task::Handshakes, CHECK_INTERVAL, shared, check);
    }
}

/// Cuts the clients that have missed an event and have read everything else.
fn cut_incomplete(shared: &Shared) {
    let clients: Vec<_> = shared.clients.lock().values().cloned().collect();
    for client in clients {
        client.cut_if_incomplete();
    }
}

/// Closes the connections by polling on which attachments that were announced do not arrive. The
/// transport observes those over a WebSocket.
fn close_incomplete(shared: &Shared) {
    let timeout = Duration::from_millis(shared.timing.message_timeout_ms);
    for socket in shared.connections() {
        if !socket.data.is_partial() || socket.carrier() == Carrier::Websocket {
            continue;
        }
        let stalled = socket.data.stalled_for().is_some_and(|it| it >= timeout);
        if stalled && !socket.is_posting() {
            socket.close(Reason::Incomplete);
        }
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
