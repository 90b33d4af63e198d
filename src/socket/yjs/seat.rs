//! A client of y-socket.io as a member of its room: sends the room's messages and answers as its packets.

use std::{sync::Arc, time::Duration};

use engineio::Message as Packet;

use super::{
    client::Client,
    greeting::Greeting,
    packets::{AWARENESS_UPDATE, CONNECT, Namespace, SYNC_STEP_1, SYNC_STEP_2, SYNC_UPDATE},
};
use crate::{
    error::{Error, ErrorCode},
    id::RoomName,
    room::{
        Acked, Answer, Audiences, CatchingUp, Delivery, Door, Joined, Message, Peer, ResyncReason,
        Ticket,
    },
    session::Identity,
    socket::{
        protocol::{RoomClosedPayload, event},
        seat::WRITES_IN_ROOM_TASK_MAX,
    },
};
use document::Visibility;

/// The y-socket.io door of one room.
struct YjsDoor {
    room: RoomName,
}

impl Door for YjsDoor {
    type Seat = Client;
    type Wire = Option<Packet>;

    fn encode(&self, message: &Message) -> Option<Packet> {
        let namespace = Namespace(&self.room);
        match message {
            Message::Update(bytes) => Some(namespace.bytes(SYNC_UPDATE, bytes.clone())),
            Message::Awareness(bytes) => Some(namespace.bytes(AWARENESS_UPDATE, bytes.clone())),
            Message::Closed(error) => {
                let (room, code) = (&self.room, error.code());
                let payload = RoomClosedPayload { room, code };
                Some(namespace.event(event::ROOM_CLOSED, &payload))
            }
            // The protocol has no words for these.
            Message::Stateless(_)
            | Message::Resync(_)
            | Message::Storage(_)
            | Message::Event(_) => None,
        }
    }

    fn deliver(&self, client: &Client, message: &Message, wire: &Option<Packet>) -> Delivery {
        match (message, wire) {
            (Message::Closed(error), Some(packet)) => {
                client.room_closed(error, packet.clone());
                Delivery::Queued
            }
            // It may have content that the document has lost.
            (Message::Resync(ResyncReason::Rebuilt), _) => {
                client.owe();
                Delivery::Queued
            }
            (_, Some(packet)) => client.offer(packet.clone()),
            (_, None) => Delivery::Queued,
        }
    }
}

impl Client {
    /// The room is closed for this client, or for all: `closed` says why.
    fn room_closed(&self, error: &Error, closed: Packet) {
        match error.kind() {
            ErrorCode::NotFound | ErrorCode::Forbidden | ErrorCode::SessionRevoked => {
                self.end_with(closed);
            }
            // The client reconnects by itself, and the room is opened anew.
            _ => self.cut_transport("room_ended"),
        }
    }

    /// The client has joined: it is told that it is connected, and who else is there. It then sends its
    /// step 1.
    fn welcome(&self, joined: Joined) {
        *self.greeting.lock() = Greeting::expect(joined.awareness.as_deref());
        if !self.enter() {
            // Of no effect if the client has left.
            return self.refuse_connection(&Error::SessionRevoked);
        }
        self.shared.metrics.joined("ok");
        if let Some(states) = joined.awareness {
            self.send(self.namespace().bytes(AWARENESS_UPDATE, states));
        }
    }

    fn refused(&self, ticket: Ticket, error: &Error) {
        match ticket.request {
            CONNECT => {
                self.shared.metrics.joined(error.code());
                self.refuse_connection(error);
            }
            // Without an answer the client would never have the document.
            SYNC_STEP_1 => self.cut_transport("unanswered"),
            SYNC_UPDATE | SYNC_STEP_2 if error.retryable() => {
                self.shared.metrics.refused(error.code());
                self.owe();
            }
            SYNC_UPDATE => self.refuse(SYNC_UPDATE, error),
            SYNC_STEP_2 => self.refuse(SYNC_STEP_1, error),
            _ => {}
        }
    }
}

impl Peer for Client {
    fn identity(&self) -> &Identity {
        self.session.identity()
    }

    fn accept(&self, ticket: Ticket, acked: Acked) {
        match acked.visibility {
            Visibility::Pending => self.owe(),
            // The answer to a step 1 has all that the client has.
            Visibility::Visible if ticket.request == SYNC_STEP_2 => self.asking.lock().settled(),
            Visibility::Visible => {}
        }
    }

    fn answer(&self, ticket: Ticket, answer: Answer) {
        match answer {
            Answer::Refused(error) => self.refused(ticket, &error),
            Answer::Joined(joined) => self.welcome(*joined),
            Answer::Synced(synced) => {
                let update = synced.lacking.update;
                self.session.budget.charge_answer(update.len());
                if let Some(ack) = ticket.id {
                    self.send(self.namespace().step_2(ack, update));
                }
                // Bound first, since the lock must not be held while it is asked.
                let asks = self.asking.lock().belongs_to_answer();
                if asks {
                    self.send_step_1(synced.state_vector);
                }
            }
            Answer::StateVector(state_vector) => self.send_step_1(state_vector),
            // No request of this door asks the room for an edit, or about anchors.
            Answer::Made(_) | Answer::Gone(_) | Answer::Done => {}
        }
    }

    fn charge(&self, cpu: Duration, memory_bytes: usize) {
        self.session.budget.charge(cpu, memory_bytes);
    }

    fn flush(&self, among: usize) {
        self.socket().flush(match among <= WRITES_IN_ROOM_TASK_MAX {
            true => engineio::Writer::Caller,
            false => engineio::Writer::Task,
        });
    }

    fn queued_bytes(&self) -> usize {
        self.socket().waiting_bytes()
    }

    fn cut(&self, reason: &'static str) {
        self.cut_transport(reason);
    }

    fn catching_up(&self) -> CatchingUp {
        CatchingUp::IsSent
    }

    fn sit(self: Arc<Self>, audiences: &mut Audiences) {
        let room = self.room.clone();
        audiences.seat(|| YjsDoor { room }, self);
    }
}
