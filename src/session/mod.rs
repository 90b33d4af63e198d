//! Sessions: connected people, whatever the door through which they came.
//!
//! ```text
//! Session    one connected client: who it is, what it may do, how much it may ask for
//! Sessions   all of this instance, found by their team and user; lets nobody in beyond the limits
//! Link       how a door reaches the client of a session; made by the door
//! Callers    the people who ask over HTTP, where a request has no session
//! expiry     what follows from the time that a token has left
//! ```
//! A door verifies a token, has the session admitted by [`Sessions::admit`], and gives it a
//! [`Link`]. What holds for every door is decided here: how many sessions a person may have, whose
//! ids they get, when a token has expired, and whether a fresh one may take its place. How a client
//! is told is the door's own business.

mod callers;
mod expiry;
mod identity;
mod registry;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::RwLock;
use tokio::time::Instant;

pub use self::{
    callers::{Caller, Callers},
    identity::Identity,
    registry::Sessions,
};
use crate::{
    auth::{Claims, Rights},
    config::Limits,
    error::{Error, Result},
    id::{DocumentKey, RoomName, SessionId, Timestamp},
    limits::{Budget, Role},
};

/// How a door reaches the client of one session. No method may block.
pub trait Link: Send + Sync + 'static {
    /// Tells the client that its token expires soon.
    fn token_expiring(&self, expires_at: Timestamp);

    /// Tells the client why its session is over, and takes it out of its rooms. The transport stays
    /// open, so that the reason arrives; [`close`](Self::close) follows.
    fn end(&self, reason: &Error);

    /// Closes the transport of a session that is over, or that cannot be looked after.
    fn close(&self);
}

/// One connected client.
pub struct Session {
    identity: Identity,
    /// What its requests and updates may take.
    pub budget: Budget,
    claims: RwLock<Arc<Claims>>,
    link: OnceLock<Weak<dyn Link>>,
    /// Whether the client was told that its present token expires.
    noticed: AtomicBool,
    /// When the client was told that the session is over.
    ended_at: OnceLock<Instant>,
}

impl Session {
    fn new(id: SessionId, claims: Claims, limits: &Limits) -> Self {
        Self {
            identity: Identity::new(id, claims.user.clone()),
            budget: Budget::new(limits, Role::of(claims.rights())),
            claims: RwLock::new(Arc::new(claims)),
            link: OnceLock::new(),
            noticed: AtomicBool::new(false),
            ended_at: OnceLock::new(),
        }
    }

    /// The session's id on this instance.
    pub fn id(&self) -> SessionId {
        self.identity.session
    }

    /// Who it is. A fresh token changes neither name nor picture: those hold for the session.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the session's present token says.
    pub fn claims(&self) -> Arc<Claims> {
        Arc::clone(&self.claims.read())
    }

    /// What the present token allows in `room`.
    pub fn rights_in(&self, room: &RoomName) -> Rights {
        self.claims.read().rights_in(room)
    }

    /// The document that `room` names for this session: the one of its team.
    pub fn key(&self, room: RoomName) -> DocumentKey {
        DocumentKey {
            team: self.claims.read().team.clone(),
            room,
        }
    }

    /// Goes on with the claims of a fresh token.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a token of another user or team; nothing has changed then.
    pub fn renew(&self, claims: Claims) -> Result<()> {
        let mut present = self.claims.write();
        if present.user.id != claims.user.id || present.team != claims.team {
            return Err(Error::Forbidden {
                needed: "the same user and team",
            });
        }
        self.budget.set_role(Role::of(claims.rights()));
        *present = Arc::new(claims);
        self.noticed.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Sets how the client is reached. Without it the session can be found, and its client is told
    /// nothing; the first one counts.
    pub fn connect(&self, link: Weak<dyn Link>) {
        // A door makes one link for a session.
        let _ = self.link.set(link);
    }

    /// Ends the session, once: the client is told why, and its transport is closed a little later.
    pub fn end(&self, reason: &Error) {
        let first = self.ended_at.set(Instant::now()).is_ok();
        if let (true, Some(link)) = (first, self.link()) {
            link.end(reason);
        }
    }

    /// Whether the session was ended: nothing that its client asks is answered any more.
    pub fn has_ended(&self) -> bool {
        self.ended_at.get().is_some()
    }

    fn link(&self) -> Option<Arc<dyn Link>> {
        self.link.get()?.upgrade()
    }
}
