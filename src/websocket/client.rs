//! A connected client: its session, its room, and messages to it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use document::StateVector;
use engineio::{Message, Sent};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{Shared, asking::Asking, close, connection::Connection, protocol};
use crate::{
    auth::Right,
    error::{Error, Result},
    id::{RoomName, Timestamp},
    room::{Command, Creation, Delivery, Has, Peer, RoomHandle, Ticket},
    session::{Link, Session},
};

/// The requests that this door sends to rooms, by the name in their ticket.
pub(super) mod request {
    /// Becomes a member.
    pub(in super::super) const JOIN: &str = "join";
    /// The client has asked for what it lacks.
    pub(in super::super) const STEP_1: &str = "step_1";
    /// The server is to ask the client for what it lacks itself.
    pub(in super::super) const ASK: &str = "ask";
    /// The client has asked for awareness states.
    pub(in super::super) const QUERY_AWARENESS: &str = "query_awareness";
    /// A change of the document.
    pub(in super::super) const UPDATE: &str = "update";
    /// A change of awareness states.
    pub(in super::super) const AWARENESS: &str = "awareness";
}

/// One connected client of this door. It is a member of one room.
pub(super) struct Client {
    /// The client itself, as the peer of its room.
    me: Weak<Self>,
    pub(super) session: Arc<Session>,
    pub(super) shared: Arc<Shared>,
    pub(super) room: RoomName,
    pub(super) connection: Arc<Connection>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    membership: Membership,
    /// An encoded state vector up to which the client was sent everything. It is empty before the
    /// client has joined.
    sent: Box<[u8]>,
    /// How many times the client was asked for what the server lacks, and has not answered yet.
    unanswered: u32,
    asking: Asking,
}

/// Whether the client is in its room.
#[derive(Default)]
enum Membership {
    /// It has not joined yet.
    #[default]
    Before,
    /// Its join was sent to the room and not refused.
    Joined(RoomHandle),
    /// It has left for good.
    After,
}

/// The ticket of `request`.
pub(super) fn ticket(request: &'static str) -> Ticket {
    Ticket { request, id: None }
}

impl Client {
    pub(super) fn new(
        shared: &Arc<Shared>,
        session: Arc<Session>,
        room: RoomName,
        connection: &Arc<Connection>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            session,
            shared: Arc::clone(shared),
            room,
            connection: Arc::clone(connection),
            state: Mutex::default(),
        })
    }

    /// The client as the peer of its room; `None` while it is being dropped.
    pub(super) fn peer(&self) -> Option<Arc<dyn Peer>> {
        let me = self.me.upgrade()?;
        Some(me)
    }

    /// The room, once its join was sent; `None` before, and after it has left.
    pub(super) fn joined(&self) -> Option<RoomHandle> {
        match &self.state.lock().membership {
            Membership::Joined(room) => Some(room.clone()),
            Membership::Before | Membership::After => None,
        }
    }

    /// Joins the room, unless the client has joined or left it. It has `has`, as far as it says.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to view it, and those of [`RoomHandle::send`].
    pub(super) fn join(&self, has: Option<Has>) -> Result<()> {
        let rights = self.session.rights_in(&self.room);
        rights.require(Right::View)?;
        let creation = match rights.allows(Right::Edit) {
            true => Creation::Allowed,
            false => Creation::Forbidden,
        };
        let mut state = self.state.lock();
        if !matches!(state.membership, Membership::Before) {
            return Ok(());
        }
        let room = self.shared.rooms.open(&self.session.key(&self.room))?;
        let peer = self.peer().ok_or(Error::Internal)?;
        room.send(Command::Join {
            peer,
            ticket: ticket(request::JOIN),
            creation,
            has,
        })?;
        state.membership = Membership::Joined(room);
        Ok(())
    }

    /// Reports that the client is in the room, unless it has left it meanwhile.
    pub(super) fn report_joined(&self) {
        let state = self.state.lock();
        if let Membership::Joined(_) = state.membership {
            self.shared.presence.enter(&self.session, &self.room);
        }
    }

    /// Leaves the room for good. Further calls have no effect.
    pub(super) fn leave(&self) {
        let before = {
            let mut state = self.state.lock();
            let before = std::mem::replace(&mut state.membership, Membership::After);
            self.shared.presence.exit(&self.session, &self.room);
            before
        };
        if let Membership::Joined(room) = before {
            // A room that has ended has no members.
            let _ = room.send(Command::Leave {
                session: self.session.id(),
                answer: None,
            });
        }
    }

    /// Asks the client for everything that the server lacks, whose state vector is `has`, and sends it
    /// `lacking`, after which the client has everything up to `has`.
    pub(super) fn exchange(&self, has: Vec<u8>, lacking: Bytes) {
        self.state.lock().unanswered += 1;
        self.send(protocol::step_1(&has));
        self.complete(has, lacking);
    }

    /// Sends the client `lacking`, after which it has everything up to the state vector `has`.
    pub(super) fn complete(&self, has: Vec<u8>, lacking: Bytes) {
        self.send(protocol::step_2(lacking));
        self.state.lock().sent = has.into();
    }

    /// What the client has at least: everything that it was sent when it synchronised, since what is
    /// queued arrives in order or not at all.
    pub(super) fn has(&self) -> Has {
        let sent = StateVector::decode(&self.state.lock().sent);
        sent.unwrap_or_default().into()
    }

    /// Whether an answer of the client is expected, which is this one.
    pub(super) fn take_answer(&self) -> bool {
        let mut state = self.state.lock();
        let was_asked = state.unanswered > 0;
        state.unanswered = state.unanswered.saturating_sub(1);
        was_asked
    }

    /// Some of the client's edits depend on something that the server lacks: it is asked for that, now
    /// or later.
    pub(super) fn note_pending(&self) {
        let now = self.state.lock().asking.want(Instant::now());
        match now {
            true => self.ask(),
            // The connection's task asks when it is due.
            false => self.connection.outbox.wake(),
        }
    }

    /// Asks the client for what the server lacks, if that is due.
    pub(super) fn ask_when_due(&self) {
        if self.state.lock().asking.take(Instant::now()) {
            self.ask();
        }
    }

    /// When to call [`ask_when_due`](Self::ask_when_due).
    pub(super) fn asks_at(&self) -> Option<Instant> {
        self.state.lock().asking.due()
    }

    /// Has the room say what the server lacks; the client is asked with its answer.
    pub(super) fn ask(&self) {
        if let Err(error) = self.sync(request::ASK, self.has()) {
            self.close(&error);
        }
    }

    /// Asks the room for what the client lacks, who has `has`. Without effect unless the client has
    /// joined.
    ///
    /// # Errors
    /// Those of [`RoomHandle::send`].
    pub(super) fn sync(&self, request: &'static str, has: Has) -> Result<()> {
        let (Some(room), Some(peer)) = (self.joined(), self.peer()) else {
            return Ok(());
        };
        let ticket = ticket(request);
        room.send(Command::Sync { peer, ticket, has })
    }

    /// How many bytes may be queued for the client.
    fn queue_bytes_max(&self) -> usize {
        self.shared.limits.socket_queue_bytes_max
    }

    /// Queues `message` for the next flush, unless the queue is full. A message larger than the
    /// whole queue is accepted if nothing else is queued.
    pub(super) fn offer(&self, message: Message) -> Delivery {
        let outbox = &self.connection.outbox;
        match outbox.queue(message, self.queue_bytes_max()) {
            Sent::Full => Delivery::Full,
            Sent::Queued | Sent::Over => Delivery::Queued,
        }
    }

    /// Sends a message that the client must not miss: if its queue is full, the client is cut.
    pub(super) fn send(&self, message: Message) {
        if self.connection.outbox.send(message) == Sent::Full {
            self.cut("lagging");
        }
    }

    /// Sends a message that may be missing, if there is room for it.
    pub(super) fn try_send(&self, message: Message) {
        // A client whose queue is full has enough to read.
        let _ = self
            .connection
            .outbox
            .offer(message, self.queue_bytes_max());
    }

    /// Closes the connection because of `error`, after the messages that are queued.
    pub(super) fn close(&self, error: &Error) {
        debug!(
            session = self.session.id().0,
            code = error.code(),
            "closing a stock client"
        );
        self.shared.metrics.refused(error.code());
        close::because(&self.connection.outbox, error);
        self.leave();
    }

    /// Closes the connection of a client that does not read, and drops its queue.
    pub(super) fn cut(&self, reason: &'static str) {
        if let Some(suppressed) = self.shared.cut.admit() {
            info!(
                session = self.session.id().0,
                reason, suppressed, "websocket cut"
            );
        }
        self.shared.metrics.socket_cut(reason);
        close::lagging(&self.connection.outbox, reason);
    }

    /// Removes the client, whose connection has ended, and its session.
    pub(super) fn end(&self) {
        self.leave();
        self.shared.presence.depart(&self.session);
        self.shared.sessions.forget(&self.session);
    }

    /// How often a client is shown that its connection works: half as often as the stock client
    /// requires at least, which waits for 30 s.
    pub(super) fn beat(&self) -> Duration {
        const BEAT_MAX: Duration = Duration::from_secs(15);
        Duration::from_millis(self.shared.timing.ping_interval_ms).min(BEAT_MAX)
    }
}

impl Link for Client {
    /// The protocol has no word for it, and a token is renewed by another connection.
    fn token_expiring(&self, _: Timestamp) {}

    fn end(&self, reason: &Error) {
        self.close(reason);
    }

    fn close(&self) {
        self.connection.outbox.cut();
    }
}
