//! Closes connections that have not begun a session in time, those of clients that have missed
//! an event, and those that hold most of the [memory of all queues](crate::limits::Queues).

use std::{sync::Arc, time::Duration};

use engineio::{Carrier, Reason};
use tokio::time::Instant;

use super::{
    Shared, Sockets,
    client::{Client, EngineSocket},
    connection::Phase,
};
use crate::{config::Timing, supervise::Task};

/// How often the connections are checked. It is exact enough for a timeout in seconds.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

impl Sockets {
    /// Spawns the task that checks the connections, and the queues of all doors, until the last clone of
    /// [`Sockets`] is dropped.
    pub fn watch(&self) {
        let shared = &self.shared;
        let queues = Arc::downgrade(shared);
        let holding = move || queues.upgrade().map(|shared| shared.holding());
        shared.queues.add(move || holding().unwrap_or_default());
        let check = |shared: Arc<Shared>| {
            close_due(&shared);
            shared.queues.limit();
        };
        shared
            .supervisor
            .repeat(Task::Handshakes, CHECK_INTERVAL, shared, check);
    }
}

/// A connection that has to be closed.
enum Due {
    /// Its client has not begun a session in time.
    Silent(Arc<EngineSocket>),
    /// Attachments that its client has announced do not arrive.
    Stalled(Arc<EngineSocket>),
    /// Its client has missed an event and has read everything else.
    Incomplete(Arc<Client>),
}

/// Closes the connections for which it is due.
fn close_due(shared: &Shared) {
    let now = Instant::now();
    // Most connections are neither, so that only the others are collected.
    let due: Vec<_> = {
        let connections = shared.connections.lock();
        let all = connections.values();
        all.filter_map(|socket| Due::of(socket, now, &shared.timing))
            .collect()
    };
    for due in due {
        match due {
            Due::Silent(socket) => {
                shared.metrics.socket_cut("silent");
                socket.close(Reason::Unwanted);
            }
            Due::Stalled(socket) => socket.close(Reason::Incomplete),
            Due::Incomplete(client) => client.cut("missed_event"),
        }
    }
}

impl Due {
    fn of(socket: &Arc<EngineSocket>, now: Instant, timing: &Timing) -> Option<Self> {
        if is_stalled(socket, now, timing) {
            return Some(Due::Stalled(Arc::clone(socket)));
        }
        let timeout = Duration::from_millis(timing.connect_timeout_ms);
        let is_in_use = socket.data.open_namespaces() > 0;
        socket.data.phase(|phase| match phase {
            Phase::Opened => {
                let silent = now.duration_since(socket.data.opened_at) >= timeout && !is_in_use;
                silent.then(|| Due::Silent(Arc::clone(socket)))
            }
            Phase::Connected(client) => client
                .is_incomplete()
                .then(|| Due::Incomplete(Arc::clone(client))),
            Phase::Verifying(_) | Phase::Closed => None,
        })
    }
}

/// Whether attachments that were announced do not arrive on a connection by polling. The transport
/// observes those over a WebSocket.
fn is_stalled(socket: &EngineSocket, now: Instant, timing: &Timing) -> bool {
    if !socket.data.is_partial() || socket.carrier() == Carrier::Websocket {
        return false;
    }
    let timeout = Duration::from_millis(timing.message_timeout_ms);
    let stalled = socket.data.stalled_for(now).is_some_and(|it| it >= timeout);
    stalled && !socket.is_posting()
}
