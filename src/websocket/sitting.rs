//! A session of this door: how it begins, and the clients that it has, one for each document. It ends
//! when all of these have.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tracing::info;

use super::{Shared, connection::Connection};
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::{RoomName, Timestamp},
    session::{Link, Session, verify},
};

/// A client of a session: one document that it has opened.
pub(super) trait Member: Send + Sync {
    /// The room of the document.
    fn room(&self) -> &RoomName;

    /// The token expires soon.
    fn ask_for_token(&self);

    /// The session has a fresh token.
    fn apply_rights(&self);

    /// The session has ended because of `reason`.
    fn close(&self, reason: &Error);

    /// The session has ended a while ago.
    fn end_transport(&self);
}

/// A session and its clients.
pub(super) struct Sitting {
    pub(super) session: Arc<Session>,
    shared: Arc<Shared>,
    /// The token that began it, or the one that renewed it last.
    token: Mutex<Arc<str>>,
    clients: Mutex<Vec<Weak<dyn Member>>>,
}

impl Sitting {
    /// Begins the session of the person in `claims`, which are those of `token`.
    ///
    /// # Errors
    /// Those of [`Sessions::admit`](crate::session::Sessions::admit).
    pub(super) fn begin(
        shared: &Arc<Shared>,
        connection: &Connection,
        claims: Claims,
        token: Arc<str>,
    ) -> Result<Arc<Self>> {
        let session = shared.sessions.admit(claims)?;
        if let Some(place) = &connection.place {
            place.trust();
        }
        let sitting = Arc::new(Self {
            session,
            shared: Arc::clone(shared),
            token: Mutex::new(token),
            clients: Mutex::default(),
        });
        let link: Weak<dyn Link> = Arc::<Self>::downgrade(&sitting);
        sitting.session.connect(link);
        shared.presence.arrive(&sitting.session);
        if let Some(suppressed) = shared.begun.admit() {
            let claims = sitting.session.claims();
            info!(
                session = sitting.session.id().0,
                user = claims.user.id.as_str(),
                team = claims.team.as_str(),
                suppressed,
                "session of a stock client began"
            );
        }
        Ok(sitting)
    }

    /// Whether `token` is the one of this session.
    pub(super) fn has(&self, token: &str) -> bool {
        **self.token.lock() == *token
    }

    /// Continues the session with the `claims` of a fresh `token`.
    ///
    /// # Errors
    /// Those of [`Session::renew`].
    pub(super) fn renew(&self, claims: Claims, token: Arc<str>) -> Result<()> {
        self.session.renew(claims)?;
        *self.token.lock() = token;
        self.shared.presence.renew(&self.session);
        for client in self.clients() {
            client.apply_rights();
        }
        Ok(())
    }

    /// Whether one of its clients has opened `room`.
    pub(super) fn is_in(&self, room: &RoomName) -> bool {
        self.clients().iter().any(|client| *client.room() == *room)
    }

    pub(super) fn add(&self, client: Weak<dyn Member>) {
        self.clients.lock().push(client);
    }

    /// A client of the session has ended; the session ends with the last one.
    pub(super) fn remove(&self, client: &dyn Member) {
        let is_last = {
            let mut clients = self.clients.lock();
            clients.retain(|other| !std::ptr::addr_eq(other.as_ptr(), client));
            clients.is_empty()
        };
        if is_last {
            self.shared.presence.depart(&self.session);
            self.shared.sessions.forget(&self.session);
        }
    }

    fn clients(&self) -> Vec<Arc<dyn Member>> {
        let clients = self.clients.lock();
        clients.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for Sitting {
    /// For a session that has got no client.
    fn drop(&mut self) {
        self.shared.presence.depart(&self.session);
        self.shared.sessions.forget(&self.session);
    }
}

impl Link for Sitting {
    fn token_expiring(&self, _: Timestamp) {
        for client in self.clients() {
            client.ask_for_token();
        }
    }

    fn end(&self, reason: &Error) {
        for client in self.clients() {
            client.close(reason);
        }
    }

    fn close(&self) {
        for client in self.clients() {
            client.end_transport();
        }
    }
}

/// The claims of the token with which a client of `connection` connects.
pub(super) async fn verified(
    shared: &Shared,
    connection: &Connection,
    token: Option<&str>,
) -> Result<Claims> {
    let subnet = connection.place.as_ref().and_then(|it| it.subnet());
    let parts = (&shared.verifier, &shared.verifications);
    let token = token.filter(|token| !token.is_empty());
    verify(&shared.sessions, parts, token, subnet).await
}

/// Whether a person with `claims` may open `room`.
pub(super) fn admit(claims: &Claims, room: &RoomName) -> Result<()> {
    claims.rights_in(room).require(Right::View)
}
