//! What follows from the time that a token has left: a notice, the end, the closed transport.
//!
//! One task visits all sessions twice a second; that is cheaper than a timer for each of thousands
//! of them, and exact enough for rules in seconds.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::MissedTickBehavior;

use super::{Session, Sessions, registry::Shared};
use crate::{config::Timing, error::Error, id::Timestamp, supervise::Task};

/// How often all sessions are visited.
const VISIT_EVERY: Duration = Duration::from_millis(500);
/// How long the transport of an ended session is left open, so that the reason arrives.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is due for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// The client is told that its token expires, unless it has been told.
    Notice,
    /// The session ends: its token has expired, and no fresh one came in time.
    End,
}

/// What is due at `now` for a session whose token expires at `expires_at`.
pub(super) fn due(expires_at: Timestamp, now: Timestamp, timing: &Timing) -> Due {
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let left_ms = expires_at.0 - now.0;
    if left_ms <= -ms(timing.token_grace_ms) {
        Due::End
    } else if left_ms <= ms(timing.token_notice_ms) {
        Due::Notice
    } else {
        Due::Nothing
    }
}

impl Sessions {
    /// Looks after all sessions until the last clone of this is gone.
    pub fn watch(&self) {
        let watching = watch(Arc::downgrade(&self.shared));
        self.shared.supervisor.spawn(Task::Sessions, watching);
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
        let sessions = Sessions { shared };
        let Shared {
            timing, supervisor, ..
        } = &*sessions.shared;
        let now = Timestamp::now();
        for session in sessions.all() {
            let visit = || session.visit(now, timing);
            // A session for which that fails may not stay: its token might never expire.
            if supervisor.guard(Task::Sessions, visit).is_none() {
                session.close();
            }
        }
    }
}

impl Session {
    /// Does what is due at `now`.
    pub(super) fn visit(&self, now: Timestamp, timing: &Timing) {
        if let Some(ended_at) = self.ended_at.get() {
            if ended_at.elapsed() >= FAREWELL {
                self.close();
            }
            return;
        }
        let expires_at = Timestamp::from_seconds(self.claims().expires_at);
        match due(expires_at, now, timing) {
            Due::Nothing => {}
            Due::Notice => {
                if !self.noticed.swap(true, Ordering::Relaxed)
                    && let Some(link) = self.link()
                {
                    link.token_expiring(expires_at);
                }
            }
            Due::End => self.end(&Error::TokenExpired),
        }
    }

    fn close(&self) {
        if let Some(link) = self.link() {
            link.close();
        }
    }
}
