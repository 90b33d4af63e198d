//! The expiry of tokens: the client is notified, then its session ends, then its transport is closed.
//!
//! One task checks all sessions twice a second. That is cheaper than thousands of timers, one for
//! each session, and exact enough for deadlines in seconds.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Session, Sessions, registry::Shared};
use crate::{auth::RevocationList, config::Timing, error::Error, id::Timestamp, supervise::Task};

/// How often all sessions are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long the transport of an ended session stays open, so that the reason arrives.
const CLOSE_DELAY: Duration = Duration::from_secs(2);

/// The action that a token's expiry requires at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// The client is notified that its token expires, unless that was done already.
    Notice,
    /// The session ends: its token has expired, and no fresh one came in time.
    End,
}

/// The action that is due at `now` for a session whose token expires at `expires_at`.
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
    /// Spawns the task that checks all sessions until the last clone of this registry is dropped:
    /// whether their tokens expire, and whether they are in the list of `revocations`.
    pub fn watch(&self, revocations: RevocationList) {
        let shared = &self.shared;
        let check = move |shared| Sessions { shared }.check(&revocations);
        shared
            .supervisor
            .repeat(Task::Sessions, CHECK_INTERVAL, shared, check);
    }

    fn check(&self, revocations: &RevocationList) {
        let Shared {
            timing, supervisor, ..
        } = &*self.shared;
        let now = Timestamp::now();
        let needs_check = |session: &Session| {
            session.needs_revocation_check(revocations) || session.needs_check(now, timing)
        };
        for session in self.all_where(needs_check) {
            let check = || {
                session.check_revocation(revocations, now, supervisor.metrics());
                session.check_expiry(now, timing);
            };
            // If the check panics, the session is closed, because its token might never expire.
            if supervisor.guard(Task::Sessions, check).is_none() {
                session.close();
            }
        }
    }
}

impl Session {
    /// Whether something is due for the session at `now`.
    fn needs_check(&self, now: Timestamp, timing: &Timing) -> bool {
        self.has_ended() || due(self.expires_at(), now, timing) != Due::Nothing
    }

    fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.claims.read().expires_at)
    }

    /// Does what is due for the session at `now`: notifies its client, ends the session, or closes
    /// the transport of a session that has ended.
    pub(super) fn check_expiry(&self, now: Timestamp, timing: &Timing) {
        if let Some(ended_at) = self.ended_at.get() {
            if ended_at.elapsed() >= CLOSE_DELAY {
                self.close();
            }
            return;
        }
        let expires_at = self.expires_at();
        match due(expires_at, now, timing) {
            Due::Nothing => {}
            Due::Notice => {
                if !self.expiry_announced.swap(true, Ordering::Relaxed)
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
