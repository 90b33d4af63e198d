//! A session's place in a room: writes what the room says as Socket.IO frames.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;

use super::{
    packet::{Attachments, Frame, Placeholder},
    protocol::{
        BytesPayload, Done, JoinedPayload, PresencePayload, ResyncPayload, RoomClosedPayload,
        StoragePayload, SyncedPayload, event, request, resync_reason, storage_status,
    },
    session::Session,
};
use crate::{
    auth::Rights,
    error::Error,
    id::RoomName,
    metrics::Metrics,
    room::{Acked, Answer, Audiences, Delivery, Door, Joined, Message, Participant, Peer, Ticket},
};

/// A write takes some 10 µs, and other rooms wait meanwhile: among more seats than these, each
/// connection's own task writes.
const WRITTEN_HERE: usize = 32;

/// The Socket.IO door, as one room has it.
struct NativeDoor {
    room: RoomName,
}

/// A session's place in a room.
pub(super) struct NativeSeat {
    participant: Participant,
    room: RoomName,
    /// The session holds its seats, not they it.
    session: Weak<Session>,
    metrics: Metrics,
}

impl NativeSeat {
    pub(super) fn new(session: &Arc<Session>, room: RoomName, metrics: Metrics) -> Self {
        Self {
            participant: session.participant.clone(),
            room,
            session: Arc::downgrade(session),
            metrics,
        }
    }

    fn joined(&self, rights: Rights, ack: u64, joined: Joined) -> engineio::Message {
        let mut attachments = Attachments::new();
        let mut attach = |bytes: Bytes| {
            attachments.push(bytes);
            Placeholder(attachments.len() - 1)
        };
        let payload = JoinedPayload {
            ok: true,
            room: &self.room,
            document_id: joined.document.to_string(),
            permission: rights.permission().map(|permission| permission.name()),
            rights: rights.names(),
            seq: joined.seq.0,
            state_vector: attach(joined.state_vector.into()),
            update: attach(joined.update),
            awareness: joined.awareness.map(&mut attach),
            members: joined
                .members
                .iter()
                .map(|member| PresencePayload::new(member, &self.room))
                .collect(),
            storage: storage_status(joined.storage),
        };
        Frame::ack(ack, &payload, attachments)
    }

    /// The room does not have this seat: the session must not think so either.
    fn vacate(&self, session: &Session) {
        let mut rooms = session.rooms.lock();
        if rooms
            .get(&self.room)
            .is_some_and(|membership| std::ptr::eq(&*membership.seat, self))
        {
            rooms.remove(&self.room);
        }
    }

    fn refused(&self, session: &Session, ticket: Ticket, error: &Error) {
        if ticket.request == request::JOIN_ROOM {
            self.metrics.joined(error.code());
            self.vacate(session);
        }
        session.refuse(ticket.request, ticket.id, error);
    }
}

impl Door for NativeDoor {
    type Seat = NativeSeat;
    type Wire = engineio::Message;

    fn encode(&self, message: &Message) -> engineio::Message {
        let room = &self.room;
        let none = Attachments::new;
        match message {
            Message::Update(bytes) => self.bytes(event::DOCUMENT_UPDATE, bytes),
            Message::Awareness(bytes) => self.bytes(event::AWARENESS_UPDATE, bytes),
            Message::Resync(reason) => {
                let reason = resync_reason(*reason);
                Frame::event(
                    event::DOCUMENT_RESYNC,
                    &ResyncPayload { room, reason },
                    none(),
                )
            }
            Message::Storage(availability) => {
                let status = storage_status(*availability);
                Frame::event(
                    event::DOCUMENT_STORAGE,
                    &StoragePayload { room, status },
                    none(),
                )
            }
            Message::Closed(error) => {
                let code = error.code();
                Frame::event(
                    event::ROOM_CLOSED,
                    &RoomClosedPayload { room, code },
                    none(),
                )
            }
        }
    }

    fn deliver(&self, seat: &NativeSeat, message: &Message, wire: &engineio::Message) -> Delivery {
        let Some(session) = seat.session.upgrade() else {
            return Delivery::Queued;
        };
        if let Message::Closed(_) = message {
            seat.vacate(&session);
        }
        session.offer(wire.clone())
    }
}

impl NativeDoor {
    fn bytes(&self, name: &str, bytes: &Bytes) -> engineio::Message {
        let payload = BytesPayload {
            room: &self.room,
            update: Placeholder(0),
        };
        Frame::event(name, &payload, [bytes.clone()].into_iter().collect())
    }
}

impl Peer for NativeSeat {
    fn participant(&self) -> &Participant {
        &self.participant
    }

    fn accept(&self, ticket: Ticket, acked: Acked) {
        if let (Some(session), Some(ack)) = (self.session.upgrade(), ticket.id) {
            session.queue(Frame::accepted(ack, acked));
        }
    }

    fn charge(&self, cpu: Duration, memory_bytes: usize) {
        if let Some(session) = self.session.upgrade() {
            session.budget.charge(cpu, memory_bytes);
        }
    }

    fn flush(&self, among: usize) {
        if let Some(session) = self.session.upgrade() {
            session.socket().flush(match among <= WRITTEN_HERE {
                true => engineio::Writer::Caller,
                false => engineio::Writer::Task,
            });
        }
    }

    fn answer(&self, ticket: Ticket, answer: Answer) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        match answer {
            Answer::Refused(error) => self.refused(&session, ticket, &error),
            Answer::Joined(joined) => {
                self.metrics.joined("ok");
                if let Some(ack) = ticket.id {
                    let rights = session.claims().rights_in(&self.room);
                    session.send(self.joined(rights, ack, *joined));
                }
            }
            Answer::Synced(synced) => {
                if let Some(ack) = ticket.id {
                    let payload = SyncedPayload {
                        ok: true,
                        update: Placeholder(0),
                        state_vector: Placeholder(1),
                        seq: synced.seq.0,
                    };
                    let attachments = [synced.update, synced.state_vector.into()];
                    session.send(Frame::ack(ack, &payload, attachments.into_iter().collect()));
                }
            }
            Answer::Done => session.accept(ticket.id, &Done { ok: true }),
        }
    }

    fn queued_bytes(&self) -> usize {
        self.session
            .upgrade()
            .map_or(0, |session| session.queued_bytes())
    }

    fn cut(&self, reason: &'static str) {
        if let Some(session) = self.session.upgrade() {
            session.cut(reason);
        }
    }
    fn sit(self: Arc<Self>, audiences: &mut Audiences) {
        let room = self.room.clone();
        audiences.seat(|| NativeDoor { room }, self);
    }
}
