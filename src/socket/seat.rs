//! A client's seat in a room: sends the room's messages and answers as Socket.IO packets.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;

use super::{
    client::Client,
    events,
    held::Held,
    joined,
    joined_rooms::JoinedRooms,
    packet::{Attachments, Frame, Placeholder},
    protocol::{
        BytesPayload, Done, ResyncPayload, RoomClosedPayload, StoragePayload, SyncedPayload,
        deletions_omitted, event, request, resync_reason, storage_status,
    },
    replay::Recovery,
};
use crate::{
    bus::Published,
    error::Error,
    id::{EventId, RoomName},
    room::{Acked, Answer, Audiences, Delivery, Door, Joined, Message, Peer, Ticket},
    session::{Identity, Session},
    store::Receiver,
    supervise::Task,
};

/// The most seats for which the room's task writes to the sockets itself. A write takes some 10 µs,
/// in which other rooms wait; for more seats, the task of each connection writes.
pub(super) const WRITES_IN_ROOM_TASK_MAX: usize = 32;

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
    replay: Option<Replay>,
}

/// How a client that joins gets the events that it has missed since one.
struct Replay {
    since: EventId,
    /// The room's events and messages that are held back until the join is answered.
    held: Arc<Held>,
}

impl NativeSeat {
    /// A seat that is not taken yet. With `since`, the client gets the room's events after that one.
    pub(super) fn new(client: &Arc<Client>, room: RoomName, since: Option<EventId>) -> Self {
        let replay = since.map(|since| Replay {
            since,
            held: Arc::new(Held::holding()),
        });
        Self {
            session: Arc::clone(&client.session),
            room,
            client: Arc::downgrade(client),
            replay,
        }
    }

    /// Answers the join, with the events before it that the client has missed, if it asked.
    fn welcome(&self, client: &Arc<Client>, ack: Option<u64>, joined: Joined) {
        self.session
            .budget
            .charge_answer(joined.lacking.update.len());
        self.report_joined(client);
        let Some(replay) = &self.replay else {
            if let Some(ack) = ack {
                client.send(joined::ack(&self.room, client, ack, joined, None));
            }
            return;
        };
        let (client, room, held) = (
            Arc::clone(client),
            self.room.clone(),
            Arc::clone(&replay.held),
        );
        let since = Some(replay.since);
        let supervisor = client.shared.supervisor.clone();
        supervisor.spawn(Task::Operation, async move {
            let (store, comments) = (&client.shared.store, &client.shared.operations.comments);
            let receiver = Receiver::Room(&room);
            let recovery = Recovery::read(store, comments, &client, since, receiver).await;
            recovery.send(&client);
            if let Some(ack) = ack {
                let recovered = recovery.recovered;
                client.send(joined::ack(&room, &client, ack, joined, recovered));
            }
            recovery.release(&client, &held);
        });
    }

    /// Holds `event` back, if events are held back.
    fn holds(&self, event: &Arc<Published>) -> bool {
        let replay = self.replay.as_ref();
        replay.is_some_and(|replay| replay.held.hold(event))
    }

    /// Holds `message` back, if messages are held back; `None` if it is to be sent now.
    fn hold_message(&self, message: &engineio::Message, client: &Client) -> Option<Delivery> {
        let held = &self.replay.as_ref()?.held;
        held.hold_message(message, client.queue_bytes_max())
    }

    /// Reports that the client is in the room, unless it has left or joined again meanwhile.
    fn report_joined(&self, client: &Client) {
        let rooms = client.rooms.lock();
        if self.is_seat_in(&rooms) {
            client.shared.presence.enter(&self.session, &self.room);
        }
    }

    fn is_seat_in(&self, rooms: &JoinedRooms) -> bool {
        let joined = rooms.find(self.room.as_str());
        joined.is_some_and(|joined| std::ptr::addr_eq(Arc::as_ptr(&joined.seat), self))
    }

    /// Removes this seat from the client's joined rooms, because the room no longer has it.
    fn remove_from(&self, client: &Client) {
        let mut rooms = client.rooms.lock();
        if self.is_seat_in(&rooms) {
            rooms.remove(self.room.as_str());
            client.shared.presence.exit(&self.session, &self.room);
        }
    }

    fn refused(&self, client: &Client, ticket: Ticket, error: &Error) {
        if ticket.request == request::JOIN_ROOM {
            client.shared.metrics.joined(error.code());
            self.remove_from(client);
        }
        client.refuse(ticket.request, ticket.id, error);
    }
}

impl Door for NativeDoor {
    type Seat = NativeSeat;
    /// `None` for what only another protocol says.
    type Wire = Option<engineio::Message>;

    fn encode(&self, message: &Message) -> Option<engineio::Message> {
        let room = &self.room;
        let none = Attachments::new;
        Some(match message {
            Message::Stateless(_) => return None,
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
        })
    }

    fn deliver(
        &self,
        seat: &NativeSeat,
        message: &Message,
        wire: &Option<engineio::Message>,
    ) -> Delivery {
        let (Some(wire), Some(client)) = (wire, seat.client.upgrade()) else {
            return Delivery::Queued;
        };
        if let Message::Closed(_) = message {
            seat.remove_from(&client);
        }
        match message {
            Message::Event(event) if seat.holds(event) => Delivery::Queued,
            Message::Event(event) => {
                client.offer_event(event, wire.clone());
                Delivery::Queued
            }
            _ => {
                let held = seat.hold_message(wire, &client);
                held.unwrap_or_else(|| client.offer(wire.clone()))
            }
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
                client.shared.metrics.joined("ok");
                self.welcome(&client, ticket.id, *joined);
            }
            Answer::Synced(synced) => {
                self.session
                    .budget
                    .charge_answer(synced.lacking.update.len());
                if let Some(ack) = ticket.id {
                    let payload = SyncedPayload {
                        ok: true,
                        update: Placeholder(0),
                        state_vector: Placeholder(1),
                        seq: synced.seq.0,
                        deletions_omitted: deletions_omitted(synced.lacking.deletions),
                    };
                    let attachments = [synced.lacking.update, synced.state_vector.into()];
                    client.send(Frame::ack(ack, &payload, attachments.into_iter().collect()));
                }
            }
            // No request of this door asks the room for an edit, about anchors, or for the state vector alone.
            Answer::Made(_) | Answer::Gone(_) | Answer::StateVector(_) => {}
            Answer::Done => client.accept(ticket.id, &Done { ok: true }),
        }
    }

    fn queued_bytes(&self) -> usize {
        let held = self.replay.as_ref().map_or(0, |replay| replay.held.bytes());
        let queued = |client: Arc<Client>| client.queued_bytes() + held;
        self.client.upgrade().map_or(0, queued)
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
