//! A connected client: its session, the rooms that it has joined, and messages to it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use engineio::{Message, Reason, Sent};
use parking_lot::Mutex;
use serde::Serialize;
use tracing::info;

use super::{
    Shared,
    connection::Connection,
    held::Held,
    joined_rooms::{JoinedRoom, JoinedRooms},
    packet::{Attachments, Frame},
    protocol::{EndedPayload, ExpiringPayload, Refusal, RequestError, RoomClosedPayload, event},
};
use crate::{
    auth::Right,
    bus::{Event, Published},
    error::{Error, Result},
    id::{RoomName, Timestamp},
    limits::RefusalKind,
    room::{Command, Delivery, RoomHandle},
    session::{Link, Session},
};

/// The Engine.IO connection of a client.
pub(super) type EngineSocket = engineio::Connection<Connection<Client>>;

/// The answer to a request about a room that the client has not joined.
pub(super) const NOT_JOINED: Error = Error::Conflict {
    reason: "the room is not joined",
};

/// One connected client of this door.
pub struct Client {
    pub(super) session: Arc<Session>,
    pub(super) shared: Arc<Shared>,
    /// The rooms whose joins were sent to the room and not refused. Presence is told of joined and left
    /// rooms under this lock, so that it never knows a room that the client has left meanwhile.
    pub(super) rooms: Mutex<JoinedRooms>,
    /// The events that are held back while the session begins.
    pub(super) held: Held,
    /// How many operations are carried out for it.
    pub(super) calls: AtomicUsize,
    socket: Arc<EngineSocket>,
    /// Whether a durable event was dropped, because the queue was full.
    has_missed_event: AtomicBool,
}

impl Client {
    /// A client whose session begins; events are held back until it has.
    pub(super) fn new(
        shared: &Arc<Shared>,
        session: Arc<Session>,
        socket: Arc<EngineSocket>,
    ) -> Self {
        Self {
            session,
            shared: Arc::clone(shared),
            rooms: Mutex::default(),
            calls: AtomicUsize::new(0),
            held: Held::holding(),
            socket,
            has_missed_event: AtomicBool::new(false),
        }
    }

    /// The room that the client joined under `name`.
    ///
    /// # Errors
    /// [`NOT_JOINED`] also for a room that has ended: the client has to join again. [`Error::Invalid`] where `name` cannot be a
    /// room's.
    pub(super) fn joined(&self, name: &str) -> Result<JoinedRoom> {
        let mut rooms = self.rooms.lock();
        match rooms.find(name) {
            Some(joined) if !joined.handle.has_ended() => return Ok(joined.clone()),
            Some(_) => {
                if let Some((name, _)) = rooms.remove(name) {
                    self.shared.presence.exit(&self.session, &name);
                }
            }
            None => drop(RoomName::parse(name)?),
        }
        Err(NOT_JOINED)
    }

    /// How many bytes may be queued for the client; twice as many for events.
    pub(super) fn queue_bytes_max(&self) -> usize {
        self.shared.limits.socket_queue_bytes_max
    }

    /// Whether the client receives `event` as the member of a room, so that it must not receive it a
    /// second time.
    pub(super) fn receives_in_a_room(&self, event: &Event) -> bool {
        let rooms = self.rooms.lock();
        rooms.iter().any(|(room, _)| event.goes_to(room))
    }

    /// A room that the client has joined and whose inbox is so full that the server must not
    /// read the client's next frame yet.
    pub(super) fn busy_room(&self) -> Option<RoomHandle> {
        let rooms = self.rooms.lock();
        let busy = rooms.iter().find(|(_, joined)| joined.handle.is_busy());
        busy.map(|(_, joined)| joined.handle.clone())
    }

    /// How many bytes are queued behind the message that is being written.
    pub(super) fn queued_bytes(&self) -> usize {
        self.socket.waiting_bytes()
    }

    /// Queues `message` for the next flush, unless the queue is full. A message larger than the
    /// whole queue is accepted if nothing else is queued.
    pub(super) fn offer(&self, message: Message) -> Delivery {
        self.queue_within(message, self.queue_bytes_max())
    }

    /// Queues `message`, which is `event`, as [`offer`](Self::offer) does, with twice the bound: events
    /// are not sent again, so that a client whose queue is full of updates still receives them. After
    /// a durable event that was dropped the client gets no further ones, because it would ask for
    /// those after the last one only.
    pub(super) fn offer_event(&self, event: &Published, message: Message) -> Delivery {
        if self.has_missed_event.load(Ordering::Relaxed) {
            return Delivery::Full;
        }
        let delivery = self.queue_within(message, self.queue_bytes_max().saturating_mul(2));
        if delivery == Delivery::Full && event.event_id.is_some() {
            self.note_missed_event();
        }
        delivery
    }

    /// Notes that a durable event was dropped, because the queue was full. A client that is reading a
    /// large document can read it to its end; then it [is cut](Self::is_incomplete).
    pub(super) fn note_missed_event(&self) {
        self.has_missed_event.store(true, Ordering::Relaxed);
    }

    /// Whether the client has missed an event and has read everything else. Its transport has to be
    /// closed: it connects again, and asks for what it has missed.
    pub(super) fn is_incomplete(&self) -> bool {
        self.has_missed_event.load(Ordering::Relaxed) && self.socket.is_drained()
    }

    fn queue_within(&self, message: Message, bytes_max: usize) -> Delivery {
        match self.socket.queue(message, bytes_max) {
            Sent::Full => Delivery::Full,
            // If the connection has ended, `closed` follows, which removes the client.
            Sent::Queued | Sent::Over => Delivery::Queued,
        }
    }

    /// Sends a message that the client must not miss: if its queue is full, the client is cut.
    pub(super) fn send(&self, message: Message) {
        if self.socket.send(message) == Sent::Full {
            self.cut("lagging");
        }
    }

    /// As [`send`](Self::send), but only queues the message, which the next flush sends.
    pub(super) fn queue(&self, message: Message) {
        if self.socket.queue(message, usize::MAX) == Sent::Full {
            self.cut("lagging");
        }
    }

    /// Sends an event without attachments.
    pub(super) fn tell(&self, name: &str, payload: &impl Serialize) {
        self.send(Frame::event(name, payload, Attachments::new()));
    }

    /// Answers a request with its result, if the client expects an ack.
    pub(super) fn accept(&self, ack: Option<u64>, payload: &impl Serialize) {
        if let Some(ack) = ack {
            self.send(Frame::ack(ack, payload, Attachments::new()));
        }
    }

    /// Answers a request that failed: with an ack if the client expects one, otherwise with the event
    /// `request_error`. A client that ignores refusals for its rate is cut.
    pub(super) fn refuse(&self, event: &str, ack: Option<u64>, error: &Error) {
        self.shared.metrics.refused(error.code());
        match ack {
            Some(ack) => {
                let refusal = Refusal { ok: false, error };
                self.send(Frame::ack(ack, &refusal, Attachments::new()));
            }
            None => self.tell(event::REQUEST_ERROR, &RequestError { event, error }),
        }
        if !matches!(error, Error::RateLimited { .. }) {
            return;
        }
        match self.session.budget.count_refusal() {
            // The client answers the ping when it has read this refusal.
            RefusalKind::First if self.socket.ping() == Sent::Full => self.cut("lagging"),
            RefusalKind::First => {}
            RefusalKind::Tolerable => {}
            RefusalKind::Abusive => self.cut("flooding"),
        }
    }

    /// Closes the transport at once and drops its queue; the client reconnects by itself.
    pub(super) fn cut(&self, reason: &'static str) {
        if let Some(suppressed) = self.shared.cut.admit() {
            info!(
                session = self.session.id().0,
                reason, suppressed, "socket cut"
            );
        }
        self.shared.metrics.socket_cut(reason);
        self.socket.cut(Reason::Unwanted);
    }

    /// Sets the rights in every joined room to those of the present token, and leaves the rooms
    /// that the client may no longer view.
    pub(super) fn apply_rights(&self) {
        let claims = self.session.claims();
        let mut closed = Vec::new();
        self.rooms.lock().retain(|name, joined| {
            joined.rights = claims.rights_in(name);
            let stays = joined.rights.allows(Right::View);
            if !stays {
                self.shared.presence.exit(&self.session, name);
                closed.push((name.clone(), joined.handle.clone()));
            }
            stays
        });
        for (name, room) in closed {
            self.leave(&room);
            let code = "forbidden";
            let payload = RoomClosedPayload { room: &name, code };
            self.tell(event::ROOM_CLOSED, &payload);
        }
        self.shared.presence.renew(&self.session);
    }

    /// Leaves every room, because the session has ended.
    pub(super) fn leave_all(&self) {
        let rooms = {
            let mut rooms = self.rooms.lock();
            self.shared.presence.depart(&self.session);
            std::mem::take(&mut *rooms)
        };
        for (_, joined) in rooms.iter() {
            self.leave(&joined.handle);
        }
    }

    fn leave(&self, room: &RoomHandle) {
        // A room that has ended has no members.
        let _ = room.send(Command::Leave {
            session: self.session.id(),
            answer: None,
        });
    }

    pub(super) fn socket(&self) -> &Arc<EngineSocket> {
        &self.socket
    }
}

impl Link for Client {
    fn token_expiring(&self, expires_at: Timestamp) {
        self.tell(event::TOKEN_EXPIRING, &ExpiringPayload { expires_at });
    }

    fn end(&self, reason: &Error) {
        let code = reason.code();
        self.tell(event::SESSION_ENDED, &EndedPayload { code });
        self.send(Frame::disconnected());
        self.leave_all();
    }

    fn close(&self) {
        self.socket.cut(Reason::Unwanted);
    }
}
