//! Connections that never begin a session are closed after a while.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use engineio::Reason;
use tokio::time::MissedTickBehavior;

use super::{Shared, Sockets, connection::Phase};
use crate::supervise::Task;

/// How often the connections are visited: exact enough for a rule in seconds.
const VISIT_EVERY: Duration = Duration::from_millis(500);

impl Sockets {
    /// Looks after the connections until the last [`Sockets`] is gone.
    pub fn watch(&self) {
        let watching = watch(Arc::downgrade(&self.shared));
        self.shared.supervisor.spawn(Task::Handshakes, watching);
    }
}

async fn watch(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(VISIT_EVERY);
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
    let patience = Duration::from_millis(shared.timing.connect_timeout_ms);
    for socket in shared.connections() {
        let silent = socket.data.phase(|phase| matches!(phase, Phase::Opened));
        if silent && socket.data.opened_at.elapsed() >= patience {
            shared.metrics.socket_cut("silent");
            socket.close(Reason::Unwanted);
        }
    }
}
