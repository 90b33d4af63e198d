//! A connected socket: its claims, its rooms, its budget, and its way out.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use engineio::{Message, Reason, Sent};
use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::time::Instant;
use tracing::info;

use super::{
    Shared,
    engine::EngineSocket,
    packet::{Attachments, Frame},
    protocol::{EndedPayload, Refusal, RequestError, event},
    seat::NativeSeat,
};
use crate::{
    auth::{Claims, Rights},
    error::{Error, Result},
    id::{DocumentKey, RoomName, SessionId},
    limits::{Budget, RefusalKind, Role},
    metrics::Metrics,
    room::{Command, Delivery, Participant, RoomHandle},
};

/// The answer to a request about a room that the session has not joined.
pub(super) const NOT_JOINED: Error = Error::Conflict {
    reason: "the room is not joined",
};

/// One connected socket.
pub struct Session {
    pub(super) participant: Participant,
    pub(super) budget: Budget,
    /// The rooms that were asked for and not refused.
    pub(super) rooms: Mutex<HashMap<RoomName, Membership, RandomState>>,
    claims: RwLock<Arc<Claims>>,
    socket: Arc<EngineSocket>,
    metrics: Metrics,
    /// How many bytes may wait for the socket.
    queue_bytes_max: usize,
    /// The holder was told that the token expires.
    pub(super) noticed: AtomicBool,
    /// When the session was told that it is over.
    ended_at: Mutex<Option<Instant>>,
}

/// A room that a session is in, or about to be.
#[derive(Clone)]
pub(super) struct Membership {
    pub(super) room: RoomHandle,
    pub(super) seat: Arc<NativeSeat>,
    pub(super) rights: Rights,
}

impl Session {
    pub(super) fn new(
        shared: &Shared,
        participant: Participant,
        claims: Claims,
        socket: Arc<EngineSocket>,
    ) -> Self {
        let role = Role::of(claims.rights());
        Self {
            participant,
            budget: Budget::new(&shared.limits, role),
            rooms: Mutex::default(),
            claims: RwLock::new(Arc::new(claims)),
            socket,
            metrics: shared.metrics.clone(),
            queue_bytes_max: shared.limits.socket_queue_bytes_max,
            noticed: AtomicBool::new(false),
            ended_at: Mutex::default(),
        }
    }

    /// The room that the session joined under `name`. One that has ended is
    /// not joined any more: the client has to join again.
    pub(super) fn membership(&self, name: &RoomName) -> Result<Membership> {
        let mut rooms = self.rooms.lock();
        let membership = rooms.get(name).ok_or(NOT_JOINED)?;
        if membership.room.has_ended() {
            rooms.remove(name);
            return Err(NOT_JOINED);
        }
        Ok(membership.clone())
    }

    /// Whether a room that the session joined has so much to do that it must wait.
    pub(super) fn floods(&self) -> bool {
        let rooms = self.rooms.lock();
        rooms.values().any(|joined| joined.room.is_busy())
    }

    /// What the session's present token says.
    pub(super) fn claims(&self) -> Arc<Claims> {
        Arc::clone(&self.claims.read())
    }

    /// Goes on with the claims of a fresh token.
    pub(super) fn renew(&self, claims: Claims) {
        self.budget.set_role(Role::of(claims.rights()));
        *self.claims.write() = Arc::new(claims);
        self.noticed.store(false, Ordering::Relaxed);
    }

    /// The key of the room `name` for this session.
    pub(super) fn key(&self, name: RoomName) -> DocumentKey {
        DocumentKey {
            team: self.claims.read().team.clone(),
            room: name,
        }
    }

    /// What waits behind the message that is being written.
    pub(super) fn queued_bytes(&self) -> usize {
        self.socket.waiting_bytes()
    }

    /// Queues `message` for the next flush, unless too much waits already. A message larger than
    /// the bound passes while nothing else waits.
    pub(super) fn offer(&self, message: Message) -> Delivery {
        match self.socket.queue(message, self.queue_bytes_max) {
            Sent::Full => Delivery::Full,
            // Where the connection is over, its end is on the way.
            Sent::Queued | Sent::Over => Delivery::Queued,
        }
    }

    /// Queues what must not be missing: a session that has no room for it is cut.
    pub(super) fn send(&self, message: Message) {
        if self.socket.send(message) == Sent::Full {
            self.cut("lagging");
        }
    }

    /// As [`send`](Self::send), but leaves the sending to the next flush.
    pub(super) fn queue(&self, message: Message) {
        if self.socket.queue(message, usize::MAX) == Sent::Full {
            self.cut("lagging");
        }
    }

    /// Emits an event without attachments.
    pub(super) fn tell(&self, name: &str, payload: &impl Serialize) {
        self.send(Frame::event(name, payload, Attachments::new()));
    }

    /// Answers a request with its result, if the client waits for one.
    pub(super) fn accept(&self, ack: Option<u64>, payload: &impl Serialize) {
        if let Some(ack) = ack {
            self.send(Frame::ack(ack, payload, Attachments::new()));
        }
    }

    /// Answers a request that failed, as an ack or else as an event.
    pub(super) fn refuse(&self, event: &str, ack: Option<u64>, error: &Error) {
        self.metrics.refused(error.code());
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
        match self.budget.count_refusal() {
            // Its answer comes when the client has read this one.
            RefusalKind::First if self.socket.ping() == Sent::Full => self.cut("lagging"),
            RefusalKind::First => {}
            RefusalKind::Tolerable => {}
            RefusalKind::Abusive => self.cut("flooding"),
        }
    }

    /// Closes the transport; the client reconnects by itself.
    pub(super) fn cut(&self, reason: &'static str) {
        info!(session = self.participant.session.0, reason, "socket cut");
        self.metrics.socket_cut(reason);
        self.socket.cut(Reason::Unwanted);
    }

    /// Tells the client that its session is over and takes it out of its
    /// rooms. Its transport is closed a little later, by the client itself or
    /// by [`lifecycle`](super::lifecycle), so that the reason arrives.
    pub(super) fn end(&self, code: &'static str) {
        let mut ended_at = self.ended_at.lock();
        if ended_at.is_some() {
            return;
        }
        *ended_at = Some(Instant::now());
        drop(ended_at);
        self.tell(event::SESSION_ENDED, &EndedPayload { code });
        self.send(Frame::disconnected());
        self.leave_all();
    }

    /// When the session was ended, if it was.
    pub(super) fn ended_at(&self) -> Option<Instant> {
        *self.ended_at.lock()
    }

    pub(super) fn socket(&self) -> &Arc<EngineSocket> {
        &self.socket
    }

    /// Gives up every seat.
    pub(super) fn leave_all(&self) {
        let rooms = std::mem::take(&mut *self.rooms.lock());
        let session = self.participant.session;
        for membership in rooms.into_values() {
            // A room that has ended has no seats.
            let _ = membership.room.send(Command::Leave {
                session,
                answer: None,
            });
        }
    }
}

impl Shared {
    /// The session is over: nothing of it stays.
    pub(super) fn forget(&self, session: &Session) {
        session.leave_all();
        let mut registry = self.registry.lock();
        if registry
            .sessions
            .remove(&session.participant.session)
            .is_none()
        {
            return;
        }
        let claims = session.claims();
        let key = (claims.team.clone(), claims.user.id.clone());
        if let Some(count) = registry.by_user.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                registry.by_user.remove(&key);
            }
        }
    }

    /// The next session's id.
    pub(super) fn next_session(&self) -> SessionId {
        SessionId(self.sessions_begun.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
