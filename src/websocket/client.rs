//! A client in one document: its session, its room, and messages to it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use document::StateVector;
use engineio::{Message, Sent};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{
    Shared,
    acks::Acks,
    asking::Asking,
    close,
    connection::Connection,
    hocuspocus::{self, Scope, SyncStatus},
    protocol,
    request::{self, Dialect, Question, ticket},
    sitting::{Member, Sitting},
};
use crate::{
    auth::Right,
    error::{Error, Result},
    id::RoomName,
    room::{Command, Creation, Delivery, Has, Peer, RoomHandle},
    session::Session,
};

/// One client of this door, a member of one room.
pub(super) struct Client {
    /// The client itself, as the peer of its room.
    me: Weak<Self>,
    pub(super) sitting: Arc<Sitting>,
    pub(super) session: Arc<Session>,
    pub(super) shared: Arc<Shared>,
    pub(super) room: RoomName,
    pub(super) connection: Arc<Connection>,
    pub(super) dialect: Dialect,
    /// What every message to it begins with.
    pub(super) address: Box<[u8]>,
    has_ended: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    membership: Membership,
    /// An encoded state vector up to which the client was sent everything. It is empty before the
    /// client has joined.
    sent: Box<[u8]>,
    /// The questions that the client has not answered yet.
    unanswered: VecDeque<Question>,
    asking: Asking,
    acks: Acks,
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

impl Client {
    pub(super) fn new(
        shared: &Arc<Shared>,
        sitting: &Arc<Sitting>,
        room: RoomName,
        connection: &Arc<Connection>,
        dialect: Dialect,
        address: &[u8],
    ) -> Arc<Self> {
        let client = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            sitting: Arc::clone(sitting),
            session: Arc::clone(&sitting.session),
            shared: Arc::clone(shared),
            room,
            connection: Arc::clone(connection),
            dialect,
            address: address.into(),
            has_ended: AtomicBool::new(false),
            state: Mutex::default(),
        });
        let member: Weak<dyn Member> = Arc::<Self>::downgrade(&client);
        sitting.add(member);
        client
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

    /// Whether it has left its room for good.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.state.lock().membership, Membership::After)
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
    pub(super) fn exchange(&self, question: Question, has: Vec<u8>, lacking: Bytes) {
        self.state.lock().unanswered.push_back(question);
        self.send(protocol::step_1(&self.address, &has));
        self.complete(has, lacking);
    }

    /// Sends the client `lacking`, after which it has everything up to the state vector `has`.
    pub(super) fn complete(&self, has: Vec<u8>, lacking: Bytes) {
        self.send(protocol::step_2(&self.address, lacking));
        self.state.lock().sent = has.into();
    }

    /// What the client has at least: everything that it was sent when it synchronised, since what is
    /// queued arrives in order or not at all.
    pub(super) fn has(&self) -> Has {
        let sent = StateVector::decode(&self.state.lock().sent);
        sent.unwrap_or_default().into()
    }

    /// The question that the client answers now, if it was asked any.
    pub(super) fn take_question(&self) -> Option<Question> {
        self.state.lock().unanswered.pop_front()
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

    /// How many bytes may be queued for the connection.
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

    /// Tells the client whether a write was applied, if its protocol can.
    pub(super) fn acknowledge(&self, status: SyncStatus) {
        if self.dialect == Dialect::Hocuspocus {
            self.send(hocuspocus::sync_status(&self.address, status));
        }
    }

    /// Notes by `note` what happened to a write, and acknowledges the writes for which it is time now.
    pub(super) fn acks(&self, note: impl FnOnce(&mut Acks) -> u32) {
        let due = note(&mut self.state.lock().acks);
        for _ in 0..due {
            self.acknowledge(SyncStatus::Applied);
        }
    }

    /// Tells the client that the document is open for it, if its protocol can.
    pub(super) fn tell_authenticated(&self) {
        if self.dialect == Dialect::Hocuspocus {
            let scope = match self.session.rights_in(&self.room).allows(Right::Edit) {
                true => Scope::ReadWrite,
                false => Scope::ReadOnly,
            };
            self.send(hocuspocus::authenticated(&self.address, scope));
        }
    }

    /// Ends the client because of `error`, after the messages that are queued. In Hocuspocus a document
    /// is denied for good without its connection; where a retry can help, the connection is closed,
    /// because a provider tries again only then.
    pub(super) fn close(&self, error: &Error) {
        debug!(
            session = self.session.id().0,
            code = error.code(),
            "closing a stock client"
        );
        self.shared.metrics.refused(error.code());
        match self.dialect {
            Dialect::Hocuspocus if close::is_permanent(error) => {
                if !self.has_left() {
                    self.send(hocuspocus::denied(&self.address, error.code()));
                }
                return self.end();
            }
            Dialect::Hocuspocus | Dialect::YWebsocket => {
                close::because(&self.connection.outbox, error);
            }
        }
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

    /// Removes the client, and its session with the last one. Further calls have no effect.
    pub(super) fn end(&self) {
        if !self.has_ended.swap(true, Ordering::AcqRel) {
            self.leave();
            self.sitting.remove(self);
        }
    }
}

impl Member for Client {
    fn room(&self) -> &RoomName {
        &self.room
    }

    /// Asks for a fresh token, if the protocol can. In y-websocket a token is renewed by another
    /// connection.
    fn ask_for_token(&self) {
        if self.dialect == Dialect::Hocuspocus {
            self.send(hocuspocus::token_please(&self.address));
        }
    }

    /// Ends the client where the present token does not give the right to view the room.
    fn apply_rights(&self) {
        let viewed = self.session.rights_in(&self.room).require(Right::View);
        if let Err(error) = viewed {
            self.close(&error);
        }
    }

    fn close(&self, reason: &Error) {
        Client::close(self, reason);
    }

    /// Ends the connection of a client whose session has ended a while ago. That of Hocuspocus may have
    /// other documents.
    fn end_transport(&self) {
        if self.dialect == Dialect::YWebsocket {
            self.connection.outbox.cut();
        }
    }
}

impl Drop for Client {
    /// For a client whose connection ended before it was known there.
    fn drop(&mut self) {
        self.end();
    }
}
