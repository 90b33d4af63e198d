//! What comes with time: silent connections, expiring and expired tokens.
//!
//! One task looks at everybody twice a second; that is cheaper than a timer
//! for each of thousands of sockets, and exact enough for rules in seconds.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use engineio::Reason;
use tokio::time::Instant;

use super::{
    Shared, Sockets,
    engine::Phase,
    protocol::{ExpiringPayload, event},
    session::Session,
};
use crate::{id::Timestamp, supervise::Task};

/// How often everybody is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How long an ended session's transport is left open, so that the reason arrives.
const FAREWELL: Duration = Duration::from_secs(2);

impl Sockets {
    /// Looks after everybody until the last [`Sockets`] is gone.
    pub fn watch(&self) {
        let shared = Arc::downgrade(&self.shared);
        let supervisor = &self.shared.supervisor;
        supervisor.spawn(Task::Sessions, watch(shared));
    }
}

async fn watch(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        close_silent(&shared);
        let sessions: Vec<Arc<Session>> =
            shared.registry.lock().sessions.values().cloned().collect();
        let now = Timestamp::now();
        for session in sessions {
            let looked = || look_after(&shared, &session, now);
            // Whom that fails for may not stay: the token might never expire.
            if shared.supervisor.guard(Task::Sessions, looked).is_none() {
                session.socket().cut(Reason::Unwanted);
            }
        }
    }
}

/// Closes who opened a connection and did not begin a session in time.
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

fn look_after(shared: &Shared, session: &Session, now: Timestamp) {
    if let Some(ended_at) = session.ended_at() {
        if Instant::now() >= ended_at + FAREWELL {
            session.socket().cut(Reason::Unwanted);
        }
        return;
    }
    let expires_at = Timestamp::from_seconds(session.claims().expires_at);
    let left_ms = expires_at.0 - now.0;
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    if left_ms <= -ms(shared.timing.token_grace_ms) {
        session.end("token_expired");
    } else if left_ms <= ms(shared.timing.token_notice_ms)
        && !session.noticed.swap(true, Ordering::Relaxed)
    {
        session.tell(event::TOKEN_EXPIRING, &ExpiringPayload { expires_at });
    }
}
