//! A client's seat in a room: sends the room's messages and answers as Socket.IO packets.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::{
    client::{Client, JoinedRoom},
    events,
    packet::{Attachments, Frame, Placeholder},
    protocol::{
        BytesPayload, Done, JoinedPayload, ResyncPayload, RoomClosedPayload, StoragePayload,
        SyncedPayload, event, request, resync_reason, storage_status,
    },
};
use crate::{
    auth::Claims,
    catalog::Document,
    error::Error,
    id::RoomName,
    metrics::Metrics,
    presence::{Entry, Status},
    room::{Acked, Answer, Audiences, Delivery, Door, Joined, Message, Peer, Person, Ticket},
    session::{Identity, Session},
    store::Metadata,
};

/// The most seats for which the room's task writes to the sockets itself. A write takes some 10 µs,
/// in which other rooms wait; for more seats, the task of each connection writes.
const WRITES_IN_ROOM_TASK_MAX: usize = 32;

/// The Socket.IO door of one room.
struct NativeDoor {
    room: RoomName,
}

/// A client's seat in a room.
pub(super) struct NativeSeat {
    session: Arc<Session>,
    room: RoomName,
    /// A weak reference, because the client holds its seats.
    client: Weak<Client>,
    metrics: Metrics,
}

impl NativeSeat {
    pub(super) fn new(client: &Arc<Client>, room: RoomName, metrics: Metrics) -> Self {
        Self {
            session: Arc::clone(&client.session),
            room,
            client: Arc::downgrade(client),
            metrics,
        }
    }

    fn joined(&self, client: &Client, ack: u64, joined: Joined) -> engineio::Message {
        let claims = client.session.claims();
        let rights = claims.rights_in(&self.room);
        let members = self.members(client, &claims, joined.members);
        let workflow = client.workflow.state(&joined.document, rights);
        let mut attachments = Attachments::new();
        let mut attach = |bytes: Bytes| {
            attachments.push(bytes);
            Placeholder(attachments.len() - 1)
        };
        let payload = JoinedPayload {
            ok: true,
            room: &self.room,
            document_id: joined.document.document_id,
            document: Document::new(Metadata::clone(&joined.document), &workflow.status),
            permission: rights.permission().map(|permission| permission.name()),
            rights: rights.names(),
            seq: joined.seq.0,
            state_vector: attach(joined.state_vector.into()),
            update: attach(joined.update),
            awareness: joined.awareness.map(&mut attach),
            color: joined.color.as_str(),
            members,
            members_total: joined.members_total,
            workflow,
            storage: storage_status(joined.storage),
        };
        Frame::ack(ack, &payload, attachments)
    }

    /// The entries of the people in the room. Presence does not know people of doors that do not
    /// report to it.
    fn members(&self, client: &Client, claims: &Claims, people: Vec<Person>) -> Vec<Entry> {
        let ids = people.iter().map(|person| &person.user.id);
        let entries = client.presence.entries_of(claims, ids);
        let or_online = |(person, entry): (Person, Option<Entry>)| {
            entry.unwrap_or_else(|| Entry {
                user: person.user,
                status: Status::Online,
                activity: None,
                rooms: vec![self.room.clone()],
                last_seen_at: person.last_seen_at,
            })
        };
        people.into_iter().zip(entries).map(or_online).collect()
    }

    /// Reports that the client is in the room, unless it has left or joined again meanwhile.
    fn report_joined(&self, client: &Client) {
        let rooms = client.rooms.lock();
        if self.is_seat_in(&rooms) {
            client.presence.enter(&self.session, &self.room);
        }
    }

    fn is_seat_in(&self, rooms: &HashMap<RoomName, JoinedRoom, RandomState>) -> bool {
        let joined = rooms.get(&self.room);
        joined.is_some_and(|joined| std::ptr::addr_eq(Arc::as_ptr(&joined.seat), self))
    }

    /// Removes this seat from the client's joined rooms, because the room no longer has it.
    fn remove_from(&self, client: &Client) {
        let mut rooms = client.rooms.lock();
        if self.is_seat_in(&rooms) {
            rooms.remove(&self.room);
            client.presence.exit(&self.session, &self.room);
        }
    }

    fn refused(&self, client: &Client, ticket: Ticket, error: &Error) {
        if ticket.request == request::JOIN_ROOM {
            self.metrics.joined(error.code());
            self.remove_from(client);
        }
        client.refuse(ticket.request, ticket.id, error);
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
            Message::Event(event) => events::frame(event),
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
        let Some(client) = seat.client.upgrade() else {
            return Delivery::Queued;
        };
        if let Message::Closed(_) = message {
            seat.remove_from(&client);
        }
        match message {
            Message::Event(_) => {
                if client.offer_event(wire.clone()) == Delivery::Full {
                    client.note_missed_event();
                }
                Delivery::Queued
            }
            _ => client.offer(wire.clone()),
        }
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
    fn identity(&self) -> &Identity {
        self.session.identity()
    }

    fn accept(&self, ticket: Ticket, acked: Acked) {
        if let (Some(client), Some(ack)) = (self.client.upgrade(), ticket.id) {
            client.queue(Frame::accepted(ack, acked));
        }
    }

    fn charge(&self, cpu: Duration, memory_bytes: usize) {
        if let Some(client) = self.client.upgrade() {
            client.session.budget.charge(cpu, memory_bytes);
        }
    }

    fn flush(&self, among: usize) {
        if let Some(client) = self.client.upgrade() {
            client
                .socket()
                .flush(match among <= WRITES_IN_ROOM_TASK_MAX {
                    true => engineio::Writer::Caller,
                    false => engineio::Writer::Task,
                });
        }
    }

    fn answer(&self, ticket: Ticket, answer: Answer) {
        let Some(client) = self.client.upgrade() else {
            return;
        };
        match answer {
            Answer::Refused(error) => self.refused(&client, ticket, &error),
            Answer::Joined(joined) => {
                self.metrics.joined("ok");
                self.report_joined(&client);
                if let Some(ack) = ticket.id {
                    client.send(self.joined(&client, ack, *joined));
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
                    client.send(Frame::ack(ack, &payload, attachments.into_iter().collect()));
                }
            }
            // No request of this door asks the room for an edit.
            Answer::Made(_) => {}
            Answer::Done => client.accept(ticket.id, &Done { ok: true }),
        }
    }

    fn queued_bytes(&self) -> usize {
        self.client
            .upgrade()
            .map_or(0, |client| client.queued_bytes())
    }

    fn cut(&self, reason: &'static str) {
        if let Some(client) = self.client.upgrade() {
            client.cut(reason);
        }
    }

    fn sit(self: Arc<Self>, audiences: &mut Audiences) {
        let room = self.room.clone();
        audiences.seat(|| NativeDoor { room }, self);
    }
}
