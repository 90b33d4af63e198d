//! Sessions: the connected clients of all doors.
//!
//! ```text
//! Session    one connected client: its identity, its claims and its budget
//! Sessions   the sessions of this instance, found by team and user; limits their number
//! Link       sends a session's notices to its client; each door implements it
//! admission  the verification of the token with which a client connects
//! budgets    the budgets that sessions have left behind
//! Callers    the users of the HTTP door, where a request has no session
//! expiry     the notice before a token expires, and the end of the session after it
//! revocation the end of a session whose token was revoked
//! validation the same, where the main service is asked
//! ```
//! A door verifies a token, has the session admitted by [`Sessions::admit`], and gives it a
//! [`Link`]. The rules that are the same for every door are here: how many sessions a person may
//! have, which ids they get, when a token has expired, and whether a fresh token may replace it.
//! Each door decides in which form its clients are notified.

mod admission;
mod budgets;
mod callers;
mod expiry;
mod identity;
mod registry;
mod revocation;
mod validation;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use parking_lot::RwLock;
use tokio::time::Instant;

pub use self::{
    admission::verify,
    callers::{Caller, Callers},
    identity::{Identity, PALETTE},
    registry::Sessions,
};
use crate::{
    auth::{Claims, Rights},
    error::{Error, Result},
    id::{DocumentKey, RoomName, SessionId, Timestamp},
    limits::{Budget, Role},
};

/// Sends the notices of one session to its client. Doors implement it. No method may block.
pub trait Link: Send + Sync + 'static {
    /// Notifies the client that its token expires soon.
    fn token_expiring(&self, expires_at: Timestamp);

    /// Notifies the client of the reason why its session has ended, and makes it leave its rooms. The
    /// transport stays open, so that the notice arrives; [`close`](Self::close) is called later.
    fn end(&self, reason: &Error);

    /// Closes the transport of a session that has ended, or whose expiry cannot be checked.
    fn close(&self);
}

/// One connected client.
pub struct Session {
    identity: Identity,
    /// Limits its requests and updates. It outlives the session for a while.
    pub budget: Arc<Budget>,
    claims: RwLock<Arc<Claims>>,
    /// When its client sent the last request, in milliseconds since 1970.
    last_seen_ms: AtomicI64,
    link: OnceLock<Weak<dyn Link>>,
    /// Whether the client was notified that its present token expires.
    expiry_announced: AtomicBool,
    /// The version of the revocations for which the present token was checked; 0 before.
    revocations_checked: AtomicU64,
    /// When the session was ended; not set before.
    ended_at: OnceLock<Instant>,
}

impl Session {
    fn new(id: SessionId, claims: Claims, budget: Arc<Budget>) -> Self {
        Self {
            identity: Identity::new(id, &claims.team, claims.user.clone()),
            budget,
            claims: RwLock::new(Arc::new(claims)),
            last_seen_ms: AtomicI64::new(0),
            link: OnceLock::new(),
            expiry_announced: AtomicBool::new(false),
            revocations_checked: AtomicU64::new(0),
            ended_at: OnceLock::new(),
        }
    }

    /// The session's id on this instance.
    pub fn id(&self) -> SessionId {
        self.identity.session
    }

    /// The session's id and its person. A fresh token changes neither name nor picture: they stay
    /// the same for the whole session.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Notes that its client has sent a request at `now`.
    pub fn seen(&self, now: Timestamp) {
        self.last_seen_ms.store(now.0, Ordering::Relaxed);
    }

    /// When its client sent the last request.
    pub fn last_seen_at(&self) -> Timestamp {
        Timestamp(self.last_seen_ms.load(Ordering::Relaxed))
    }

    /// The claims of the session's present token.
    pub fn claims(&self) -> Arc<Claims> {
        Arc::clone(&self.claims.read())
    }

    /// The rights that the present token gives in `room`.
    pub fn rights_in(&self, room: &RoomName) -> Rights {
        self.claims.read().rights_in(room)
    }

    /// The key of the document named `room` in the session's team.
    pub fn key(&self, room: &RoomName) -> DocumentKey {
        self.claims.read().key(room)
    }

    /// Replaces the claims with those of a fresh token.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a token of another user or team; the claims stay as they were.
    pub fn renew(&self, claims: Claims) -> Result<()> {
        let mut present = self.claims.write();
        if present.user.id != claims.user.id || present.team != claims.team {
            return Err(Error::Forbidden {
                needed: "the same user and team",
            });
        }
        self.budget.set_role(Role::of(claims.rights()));
        *present = Arc::new(claims);
        self.expiry_announced.store(false, Ordering::Relaxed);
        // The token may have been revoked since it was verified.
        self.revocations_checked.store(0, Ordering::Release);
        Ok(())
    }

    /// Sets the link to the client. Without a link the session can be found, but its client is not
    /// notified of anything. Only the first call has an effect.
    pub fn connect(&self, link: Weak<dyn Link>) {
        // A door makes one link for a session, so that the call succeeds.
        let _ = self.link.set(link);
    }

    /// Ends the session and notifies the client of `reason`; its transport is closed a little later.
    /// Further calls have no effect.
    pub fn end(&self, reason: &Error) {
        let first = self.ended_at.set(Instant::now()).is_ok();
        if let (true, Some(link)) = (first, self.link()) {
            link.end(reason);
        }
    }

    /// Whether the session was ended. From then on no request of its client is answered.
    pub fn has_ended(&self) -> bool {
        self.ended_at.get().is_some()
    }

    fn link(&self) -> Option<Arc<dyn Link>> {
        self.link.get()?.upgrade()
    }
}
