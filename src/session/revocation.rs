//! The end of sessions whose tokens were revoked.

use std::sync::atomic::Ordering;

use super::Session;
use crate::{auth::RevocationList, error::Error};

impl Session {
    /// Whether a revocation was added since the last check.
    pub(super) fn needs_revocation_check(&self, revocations: &RevocationList) -> bool {
        self.revocations_checked.load(Ordering::Acquire) != revocations.version() + 1
    }

    /// Ends the session if its token was revoked. Costs nothing where no revocation was added since
    /// the last call.
    pub(super) fn check_revocation(&self, revocations: &RevocationList) {
        // 0 means that the token was not checked yet.
        let version = revocations.version() + 1;
        // Set before the claims are read: a token that replaces them meanwhile is checked next time.
        if self.revocations_checked.swap(version, Ordering::AcqRel) == version {
            return;
        }
        if revocations.refuses(&self.claims()) {
            self.end(&Error::SessionRevoked);
        }
    }
}
