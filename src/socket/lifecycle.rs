//! Closes connections that have not begun a session in time.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use engineio::Reason;
use tokio::time::MissedTickBehavior;

use super::{Shared, Sockets, connection::Phase};
use crate::supervise::Task;

/// How often the connections are checked. It is exact enough for a timeout in seconds.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

impl Sockets {
    /// Spawns the task that checks the connections until the last clone of [`Sockets`] is dropped.
    pub fn watch(&self) {
        let watching = watch(Arc::downgrade(&self.shared));
        self.shared.supervisor.spawn(Task::Handshakes, watching);
    }
}

async fn watch(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        close_silent(&shared);
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
