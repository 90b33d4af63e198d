//! What the frames of a Hocuspocus connection mean: they are about several documents, each of which is
//! opened with a token.
//!
//! While a token is verified nothing is read, so that the messages behind it need not be kept. A
//! document that was denied stays closed until its client sends a token again; the frames that it has
//! sent meanwhile are ignored.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use engineio::Busy;
use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::{
    Shared,
    client::Client,
    close,
    connection::Connection,
    hocuspocus::{self, Body, Incoming, PONG},
    protocol,
    reader::Conversation,
    request::Dialect,
    requests::{self, malformed},
    sitting::{Sitting, admit, verified},
    solo::FRAMING_BYTES,
    verification::{Opened, Verification},
};
use crate::{
    error::{Error, Result},
    id::RoomName,
    limits::{Bucket, Rate, Role},
};

/// The connection of several clients.
pub(super) struct Hub {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    /// The documents that were opened, by their addresses, with the number of messages handled.
    clients: HashMap<Box<[u8]>, (Arc<Client>, usize), RandomState>,
    /// The sessions of the connection. Documents with the same token share one.
    sittings: Vec<Weak<Sitting>>,
    opening: Option<Arc<Verification>>,
    /// Limits the tokens that are verified.
    attempts: Bucket,
    /// Limits the frames about documents that are not open.
    ignored: Bucket,
    began: Instant,
}

/// The document that a token is to open.
struct Document {
    address: Box<[u8]>,
    room: RoomName,
    token: Arc<str>,
}

impl Hub {
    pub(super) fn new(shared: &Arc<Shared>, connection: &Arc<Connection>) -> Self {
        Self {
            shared: Arc::clone(shared),
            connection: Arc::clone(connection),
            clients: HashMap::default(),
            sittings: Vec::new(),
            opening: None,
            attempts: Bucket::default(),
            ignored: Bucket::default(),
            began: Instant::now(),
        }
    }

    /// Handles a token: opens a document, or goes on with one.
    fn authenticate(&mut self, incoming: &Incoming<'_>, token: &str) -> Result<()> {
        self.clients.retain(|_, (client, _)| !client.has_left());
        self.sittings.retain(|it| it.strong_count() > 0);
        let room = match incoming.name.trim() {
            "" => RoomName::parse(""),
            _ => RoomName::parse(incoming.name),
        };
        let room = match room {
            Ok(room) => room,
            Err(error) => {
                self.admit_attempt()?;
                return self.deny(incoming.address, &error);
            }
        };
        if let Some((client, _)) = self.clients.get(incoming.address) {
            if client.sitting.has(token) {
                client.session.budget.admit_request(token.len())?;
                client.tell_authenticated();
                return Ok(());
            }
            let client = Arc::clone(client);
            return self.renew(client, token.into());
        }
        if self.clients.len() >= self.documents_max() {
            self.admit_attempt()?;
            let limit = self.documents_max();
            return self.deny(incoming.address, &Error::TooManyRooms { limit });
        }
        let document = Document {
            address: incoming.address.into(),
            room,
            token: token.into(),
        };
        let known = self
            .sittings
            .iter()
            .filter_map(Weak::upgrade)
            .find(|it| it.has(token) && !it.session.has_ended() && !it.is_in(&document.room));
        match known {
            Some(sitting) => {
                sitting.session.budget.admit_request(token.len())?;
                match open(&self.shared, &self.connection, &document, &sitting) {
                    Ok(client) => self.insert(client),
                    Err(error) => return self.deny(&document.address, &error),
                }
            }
            None => self.begin(document)?,
        }
        Ok(())
    }

    /// How many documents may be open at once.
    fn documents_max(&self) -> usize {
        let limits = &self.shared.limits;
        let roles = self.sittings.iter().filter_map(Weak::upgrade);
        match roles.map(|it| it.session.budget.role()).next() {
            Some(Role::Service) => limits.service_rooms_per_socket,
            Some(Role::Person) | None => limits.rooms_per_socket,
        }
    }

    /// Tells the peer that a document is not open for it.
    fn deny(&self, address: &[u8], error: &Error) -> Result<()> {
        deny(&self.shared, &self.connection, address, error)
    }

    fn insert(&mut self, client: Arc<Client>) {
        let sitting = Arc::downgrade(&client.sitting);
        if !self.sittings.iter().any(|it| it.ptr_eq(&sitting)) {
            self.sittings.push(sitting);
        }
        client.tell_authenticated();
        self.clients.insert(client.address.clone(), (client, 0));
    }

    /// Counts a token that has to be verified, or is of no use.
    fn admit_attempt(&self) -> Result<()> {
        let per_minute = u64::from(self.shared.limits.connects_per_minute);
        // In sixtieths of an attempt, since the rate is one a second.
        let rate = Rate::new(per_minute, per_minute.saturating_mul(60));
        let taken = self.attempts.take(60, rate, self.now());
        taken.map_err(|wait_ns| self.too_fast("connects_per_minute", wait_ns))
    }

    /// The time, in nanoseconds since the connection began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn too_fast(&self, limit: &'static str, wait_ns: u64) -> Error {
        self.shared.metrics.limit_applied(limit);
        Error::RateLimited {
            limit,
            retry_after_ms: wait_ns.div_ceil(1_000_000).max(1),
        }
    }

    /// Begins to verify the token of a document.
    fn begin(&mut self, document: Document) -> Result<()> {
        self.admit_attempt()?;
        let (shared, connection) = (Arc::clone(&self.shared), Arc::clone(&self.connection));
        self.spawn(async move {
            let begun = async {
                let claims = verified(&shared, &connection, Some(&document.token)).await?;
                admit(&claims, &document.room)?;
                let token = Arc::clone(&document.token);
                let sitting = Sitting::begin(&shared, &connection, claims, token)?;
                open(&shared, &connection, &document, &sitting)
            };
            match begun.await {
                Ok(client) => Opened::Client(client),
                Err(error) => {
                    shared.metrics.authentication_failed(error.code());
                    // An error that a retry can help has closed the connection.
                    let _ = deny(&shared, &connection, &document.address, &error);
                    Opened::Nothing
                }
            }
        });
        Ok(())
    }

    /// Continues the session of `client` with a fresh token. A refused one changes nothing.
    fn renew(&mut self, client: Arc<Client>, token: Arc<str>) -> Result<()> {
        self.admit_attempt()?;
        let shared = Arc::clone(&self.shared);
        self.spawn(async move {
            let renewed = shared.verifier.verify_renewal(&token).await;
            match renewed.and_then(|claims| client.sitting.renew(claims, token)) {
                Ok(()) => client.tell_authenticated(),
                Err(error) => shared.metrics.authentication_failed(error.code()),
            }
            Opened::Nothing
        });
        Ok(())
    }

    /// Runs `work`, while which nothing is read.
    fn spawn(&mut self, work: impl Future<Output = Opened> + Send + 'static) {
        let opening = Verification::begin(&self.shared, &self.connection, work);
        self.opening = Some(opening);
    }

    /// Takes the result of a verification that has ended; `false` while it has not.
    fn has_opened(&mut self) -> bool {
        let Some(opening) = &self.opening else {
            return true;
        };
        match opening.take() {
            None => return false,
            Some(Opened::Client(client)) if !client.has_left() => self.insert(client),
            Some(Opened::Client(_) | Opened::Nothing) => {}
        }
        self.opening = None;
        true
    }

    /// Ignores a frame without a meaning, as that of a provider whose document was denied.
    fn ignore(&self) -> Result<()> {
        let limits = &self.shared.limits;
        let (per_second, burst) = (limits.bare_frames_per_second, limits.bare_frames_burst);
        let rate = Rate::new(per_second.into(), burst.into());
        let taken = self.ignored.take(1, rate, self.now());
        taken.map_err(|wait_ns| self.too_fast("bare_frames_per_second", wait_ns))
    }

    fn deadline(&self) -> Option<Instant> {
        let is_silent = self.sittings.is_empty() && self.opening.is_none();
        let timeout = Duration::from_millis(self.shared.timing.connect_timeout_ms);
        is_silent.then(|| self.began + timeout)
    }
}

/// Opens `document` for a client in the session of `sitting`.
fn open(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    document: &Document,
    sitting: &Arc<Sitting>,
) -> Result<Arc<Client>> {
    admit(&sitting.session.claims(), &document.room)?;
    let room = document.room.clone();
    let (dialect, address) = (Dialect::Hocuspocus, &document.address);
    Ok(Client::new(
        shared, sitting, room, connection, dialect, address,
    ))
}

/// Tells the peer that a document is not open for it.
///
/// # Errors
/// `error`, if a retry can help: the connection has to be closed, because providers try again only then.
fn deny(shared: &Shared, connection: &Connection, address: &[u8], error: &Error) -> Result<()> {
    shared.metrics.refused(error.code());
    if !close::is_permanent(error) {
        close::because(&connection.outbox, error);
        return Err(error.clone());
    }
    connection
        .outbox
        .send(hocuspocus::denied(address, error.code()));
    Ok(())
}

impl Conversation for Hub {
    fn receive(&mut self, frame: &Bytes) -> Result<usize> {
        let length = frame.len();
        if **frame == *PONG {
            self.ignore()?;
            return Ok(length);
        }
        let incoming = Incoming::read(frame).map_err(|_| malformed("is not complete"))?;
        match incoming.body {
            Body::Token(token) => self.authenticate(&incoming, token)?,
            Body::Stateless(payload) => match self.clients.get(incoming.address) {
                Some((client, _)) if !client.has_left() => {
                    let payload = frame.slice_ref(payload.as_bytes());
                    settle(client, requests::say(client, payload, length))?;
                }
                Some(_) | None => self.ignore()?,
            },
            Body::Close => {
                if let Some((client, _)) = self.clients.remove(incoming.address) {
                    client.end();
                }
            }
            Body::Forbidden => return Err(malformed("may be sent by servers only")),
            Body::Message(message) => match self.clients.get_mut(incoming.address) {
                Some((client, handled)) if !client.has_left() => {
                    // The greeting of a provider follows its first step, as in y-websocket.
                    let received = (frame, length);
                    let done = requests::receive(client, message, received, *handled);
                    *handled += usize::from(done.is_ok());
                    settle(client, done)?;
                }
                Some(_) | None => self.ignore()?,
            },
        }
        Ok(length)
    }

    fn busy(&mut self) -> Option<Busy> {
        if !self.has_opened() {
            let opening = self.opening.clone()?;
            return Some(opening.ended());
        }
        let rooms = self.clients.values();
        let mut rooms = rooms.filter_map(|(client, _)| client.joined());
        let room = rooms.find(|room| room.is_busy())?;
        Some(Box::pin(async move { room.becomes_free().await }))
    }

    fn message_bytes_max(&self) -> usize {
        let limits = &self.shared.limits;
        match self.sittings.is_empty() && self.opening.is_none() {
            true => limits.stranger_bytes_max,
            false => limits.update_bytes_max * 2 + FRAMING_BYTES,
        }
    }

    fn alarm(&self) -> Option<Instant> {
        let asks = self.clients.values().filter_map(|(it, _)| it.asks_at());
        asks.chain(self.deadline()).min()
    }

    fn on_alarm(&mut self, now: Instant) {
        for (client, _) in self.clients.values() {
            client.ask_when_due();
        }
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.shared.metrics.socket_cut("silent");
            let reason = "no token was sent in time";
            close::because(&self.connection.outbox, &Error::Unauthorized { reason });
        }
    }

    fn show_life(&self) {
        let mut clients = self.clients.values();
        if let Some((client, _)) = clients.find(|(client, _)| !client.has_left()) {
            client.try_send(protocol::no_awareness(&client.address));
        }
    }

    fn close(&mut self, _: &Error) {
        self.end();
    }

    fn end(&mut self) {
        for (_, (client, _)) in self.clients.drain() {
            client.end();
        }
    }
}

/// Ends the client whose message has failed, unless the error is one of the connection: the message is to be
/// handled again later, or is malformed.
fn settle(client: &Client, done: Result<()>) -> Result<()> {
    match done {
        Err(Error::RateLimited { .. } | Error::Invalid { .. }) => done,
        Err(error) => {
            client.close(&error);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
