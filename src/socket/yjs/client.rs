//! A client in one namespace of y-socket.io: its session, its room, and messages to it.
//!
//! It is a member of its room, and the room's seat is the client itself. The namespace ends with it.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use engineio::{Message, Reason, Sent};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;

use super::{
    asking::{Asking, Due},
    greeting::Greeting,
    namespaces::Occupant,
    packets::{Event, Namespace, PREFIX, STATE_VECTOR},
};
use crate::{
    auth::Rights,
    error::Error,
    id::{RoomName, Timestamp},
    room::{Command, Delivery, Peer, RoomHandle, Ticket},
    session::{Link, Session},
    socket::{
        Shared,
        client::EngineSocket,
        packet::Frame,
        protocol::{EndedPayload, ExpiringPayload, RequestError, event},
        public_id,
    },
    supervise::Task,
};

/// How many malformed events a client may send in one session: stock clients send none.
const MALFORMED_MAX: u32 = 32;

/// One client in one namespace.
pub(in crate::socket) struct Client {
    pub(super) session: Arc<Session>,
    pub(super) shared: Arc<Shared>,
    pub(super) room: RoomName,
    pub(super) handle: RoomHandle,
    /// What its token permits here. Its clients cannot renew a token.
    pub(super) rights: Rights,
    socket: Arc<EngineSocket>,
    /// Whether the client was told that it is connected.
    is_connected: AtomicBool,
    malformed: AtomicU32,
    pub(super) asking: Mutex<Asking>,
    pub(super) greeting: Mutex<Greeting>,
    /// Set while an event waits because it came too fast.
    pub(super) pause: Mutex<Option<Box<Pause>>>,
    this: Weak<Self>,
}

/// An event that came too fast and is carried out later. Everything that arrives behind it on the
/// connection waits too, and nothing more is read.
pub(super) struct Pause {
    pub(super) until: Instant,
    pub(super) event: Event,
}

impl Client {
    /// A client that is about to join the room of `handle`.
    pub(super) fn new(
        shared: &Arc<Shared>,
        session: Arc<Session>,
        rights: Rights,
        handle: RoomHandle,
        socket: &Arc<EngineSocket>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            session,
            shared: Arc::clone(shared),
            room: handle.name().clone(),
            handle,
            rights,
            socket: Arc::clone(socket),
            is_connected: AtomicBool::new(false),
            malformed: AtomicU32::new(0),
            asking: Mutex::default(),
            greeting: Mutex::default(),
            pause: Mutex::default(),
            this: Weak::clone(this),
        })
    }

    /// By which its connection finds it.
    fn place(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }

    pub(super) fn namespace(&self) -> Namespace<'_> {
        Namespace(&self.room)
    }

    pub(super) fn socket(&self) -> &Arc<EngineSocket> {
        &self.socket
    }

    /// This client as the peer of a command; `None` when the last owner has let it go.
    pub(super) fn peer(&self) -> Option<Arc<dyn Peer>> {
        self.this.upgrade().map(|this| this as Arc<dyn Peer>)
    }

    /// Queues `message` for the next flush, unless the queue is full. A message larger than the
    /// whole queue is accepted if nothing else is queued.
    pub(super) fn offer(&self, message: Message) -> Delivery {
        let bytes_max = self.shared.limits.socket_queue_bytes_max;
        match self.socket.queue(message, bytes_max) {
            Sent::Full => Delivery::Full,
            // If the connection has ended, `closed` follows, which removes the client.
            Sent::Queued | Sent::Over => Delivery::Queued,
        }
    }

    /// Sends a message that the client must not miss: if its queue is full, the client is cut.
    pub(super) fn send(&self, message: Message) {
        if self.socket.send(message) == Sent::Full {
            self.cut_transport("lagging");
        }
    }

    fn tell(&self, name: &str, payload: &impl Serialize) {
        self.send(self.namespace().event(name, payload));
    }

    /// Tells the client that what it sent as `event` was refused. Stock clients ignore it; applications may
    /// listen.
    pub(super) fn refuse(&self, event: &str, error: &Error) {
        self.shared.metrics.refused(error.code());
        self.tell(event::REQUEST_ERROR, &RequestError { event, error });
    }

    /// Refuses bytes that cannot be read. A client that sends many such is cut.
    pub(super) fn refuse_malformed(&self, event: &str, error: &Error) {
        match self.malformed.fetch_add(1, Ordering::Relaxed) < MALFORMED_MAX {
            true => self.refuse(event, error),
            false => self.cut_transport("malformed"),
        }
    }

    /// Closes the transport at once and drops its queue; the client reconnects by itself.
    pub(super) fn cut_transport(&self, reason: &'static str) {
        if let Some(suppressed) = self.shared.cut.admit() {
            info!(
                session = self.session.id().0,
                reason, suppressed, "socket cut"
            );
        }
        self.shared.metrics.socket_cut(reason);
        self.socket.cut(Reason::Unwanted);
    }

    /// The client is in the room: tells it that it is connected. Returns `false` if it has left meanwhile, or its
    /// session has ended.
    pub(super) fn enter(&self) -> bool {
        let id = public_id();
        // Under the connection's lock, so that presence never knows a room that the client has left, and
        // the end of the session comes after its beginning.
        let has_entered = self.socket.data.namespaces(|namespaces| {
            let is_there = namespaces.have(self.place()) && !self.session.has_ended();
            if is_there {
                self.is_connected.store(true, Ordering::Release);
                self.shared.presence.enter(&self.session, &self.room);
                self.send(self.namespace().connected(&id));
            }
            is_there
        });
        if let (true, Some(suppressed)) = (has_entered, self.shared.begun.admit()) {
            let claims = self.session.claims();
            info!(
                session = self.session.id().0,
                id,
                user = claims.user.id.as_str(),
                team = claims.team.as_str(),
                suppressed,
                "session began"
            );
        }
        has_entered
    }

    /// Refuses the connection to the namespace of a client that has not joined yet.
    pub(super) fn refuse_connection(&self, error: &Error) {
        if !self
            .socket
            .data
            .namespaces(|namespaces| namespaces.remove(self.place()))
        {
            return;
        }
        self.forget();
        let name = format!("{PREFIX}{}", self.room.as_str());
        let queued = self.socket.send(Frame::refused(&name, error.code())) == Sent::Queued;
        if !queued || !self.socket.data.count_refusal() {
            self.socket.close(Reason::Unwanted);
        }
    }

    /// Ends the namespace after `last`, which says why. The client does not reconnect by itself.
    pub(super) fn end_with(&self, last: Message) {
        if !self
            .socket
            .data
            .namespaces(|namespaces| namespaces.end(self.place()))
        {
            return;
        }
        self.send(last);
        self.send(self.namespace().disconnected());
        self.forget();
    }

    /// Something of the client is missing: the server asks for it, by and by.
    pub(super) fn owe(&self) {
        let Some(mut wait) = self.asking.lock().owe() else {
            return;
        };
        let this = Weak::clone(&self.this);
        self.shared.supervisor.spawn(Task::Connection, async move {
            loop {
                sleep(wait).await;
                let Some(client) = this.upgrade() else { return };
                let due = client.asking.lock().due(Instant::now());
                match due {
                    Due::Nothing => return,
                    Due::Question => return client.ask(),
                    Due::After(more) => wait = more,
                }
            }
        });
    }

    /// Asks the room for its state vector, with which the client is asked.
    fn ask(&self) {
        let Some(peer) = self.peer() else { return };
        let ticket = Ticket {
            request: STATE_VECTOR,
            id: None,
        };
        // A room that has ended closes the namespace, and a full inbox is asked again.
        let asked = self.handle.send(Command::StateVector { peer, ticket });
        if asked == Err(Error::Overloaded) {
            self.owe();
        }
    }

    /// Asks the client for what the server lacks, whose state vector this is.
    pub(super) fn send_step_1(&self, state_vector: Vec<u8>) {
        let number = self.asking.lock().asked(Instant::now());
        self.send(self.namespace().step_1(state_vector.into(), number));
    }
}

impl Occupant for Client {
    fn receive(&self, event: Event) {
        self.carry_out(event);
    }

    fn is_paused(&self) -> bool {
        self.pause.lock().is_some()
    }

    fn resume(self: Arc<Self>) -> engineio::Busy {
        Box::pin(async move {
            let until = self.pause.lock().as_ref().map(|pause| pause.until);
            let Some(until) = until else { return };
            sleep_until(until).await;
            let waited = self.pause.lock().take();
            if let Some(pause) = waited {
                self.carry_out(pause.event);
            }
        })
    }

    fn room(&self) -> &RoomHandle {
        &self.handle
    }

    fn forget(&self) {
        // A room that has ended has no members.
        let _ = self.handle.send(Command::Leave {
            session: self.session.id(),
            answer: None,
        });
        self.shared.presence.depart(&self.session);
        self.shared.sessions.forget(&self.session);
        self.socket.data.distrust();
    }
}

impl Link for Client {
    fn token_expiring(&self, expires_at: Timestamp) {
        if self.is_connected.load(Ordering::Acquire) {
            self.tell(event::TOKEN_EXPIRING, &ExpiringPayload { expires_at });
        }
    }

    fn end(&self, reason: &Error) {
        if !self.is_connected.load(Ordering::Acquire) {
            return self.refuse_connection(reason);
        }
        let code = reason.code();
        let ended = self
            .namespace()
            .event(event::SESSION_ENDED, &EndedPayload { code });
        self.end_with(ended);
    }

    fn close(&self) {
        self.socket.cut(Reason::Unwanted);
    }
}
