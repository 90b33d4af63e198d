//! The end of sessions whose tokens were revoked.

use std::{sync::atomic::Ordering, time::Duration};

use super::Session;
use crate::{auth::RevocationList, error::Error, id::Timestamp, metrics::Metrics};

impl Session {
    /// Whether a revocation was added since the last check.
    pub(super) fn needs_revocation_check(&self, revocations: &RevocationList) -> bool {
        self.revocations_checked.load(Ordering::Acquire) != revocations.version() + 1
    }

    /// Ends the session at `now` if its token was revoked, and counts it in `metrics`. Costs nothing where no revocation was added since
    /// the last call.
    pub(super) fn check_revocation(
        &self,
        revocations: &RevocationList,
        now: Timestamp,
        metrics: &Metrics,
    ) {
        // 0 means that the token was not checked yet.
        let version = revocations.version() + 1;
        // Set before the claims are read: a token that replaces them meanwhile is checked next time.
        if self.revocations_checked.swap(version, Ordering::AcqRel) == version {
            return;
        }
        let Some(revoked_at) = revocations.revoked_at(&self.claims()) else {
            return;
        };
        if !self.has_ended() {
            self.end(&Error::SessionRevoked);
            let since_ms = u64::try_from(now.0 - revoked_at.0).unwrap_or(0);
            metrics.session_revoked(Duration::from_millis(since_ms));
        }
    }
}
