//! The client as a member of its room: the room's messages and answers, as frames.

use std::{sync::Arc, time::Duration};

use document::Visibility;
use engineio::Writer;

use super::{
    acks::Acks,
    client::Client,
    close,
    hocuspocus::{self, SyncStatus},
    protocol,
    request::{self, Dialect, Question},
};
use crate::{
    error::Error,
    room::{
        Acked, Answer, Audiences, CatchingUp, Delivery, Door, Joined, Message, Peer, ResyncReason,
        Synced, Ticket,
    },
    session::Identity,
};

/// The most seats for which the room's task writes to the sockets itself, as in the native door.
const WRITES_IN_ROOM_TASK_MAX: usize = 32;

/// The y-websocket door of one room.
struct YjsDoor;

impl Door for YjsDoor {
    type Seat = Client;
    /// `None` for what the protocol cannot say.
    type Wire = Option<engineio::Message>;

    fn encode(&self, message: &Message) -> Self::Wire {
        frame(&[], message)
    }

    fn deliver(&self, client: &Client, message: &Message, wire: &Self::Wire) -> Delivery {
        client.deliver(message, wire.clone())
    }
}

/// The Hocuspocus door of one room.
struct HocuspocusDoor {
    /// The address of most providers: the name of the room.
    address: Vec<u8>,
}

/// A message, for providers with the usual address and for others.
struct Addressed {
    message: Message,
    usual: Option<engineio::Message>,
}

impl Door for HocuspocusDoor {
    type Seat = Client;
    type Wire = Addressed;

    fn encode(&self, message: &Message) -> Addressed {
        Addressed {
            message: message.clone(),
            usual: addressed(&self.address, message),
        }
    }

    fn deliver(&self, client: &Client, message: &Message, wire: &Addressed) -> Delivery {
        match *client.address == *self.address {
            true => client.deliver(message, wire.usual.clone()),
            false => client.deliver(message, addressed(&client.address, &wire.message)),
        }
    }
}

/// The frame of a message in Hocuspocus.
fn addressed(address: &[u8], message: &Message) -> Option<engineio::Message> {
    match message {
        Message::Stateless(payload) => Some(hocuspocus::stateless(address, payload)),
        _ => frame(address, message),
    }
}

/// The frame of a message; `None` for what the protocols cannot say.
fn frame(address: &[u8], message: &Message) -> Option<engineio::Message> {
    match message {
        Message::Update(bytes) => Some(protocol::update(address, bytes.clone())),
        Message::Awareness(bytes) => Some(protocol::awareness(address, bytes.clone())),
        Message::Stateless(_)
        | Message::Resync(_)
        | Message::Storage(_)
        | Message::Event(_)
        | Message::Closed(_) => None,
    }
}

impl Client {
    fn deliver(&self, message: &Message, frame: Option<engineio::Message>) -> Delivery {
        match (message, frame) {
            (Message::Closed(error), _) => self.close(error),
            // The document may have lost content that the client still has. What the client has missed,
            // the room sends by itself.
            (Message::Resync(ResyncReason::Rebuilt), _) => self.ask(),
            (_, Some(frame)) => return self.offer(frame),
            (_, None) => {}
        }
        Delivery::Queued
    }

    /// Answers the join: the client is asked for what the server lacks, and sent what it lacks itself.
    fn welcome(&self, joined: Joined) {
        let update = joined.lacking.update;
        self.session.budget.charge_answer(update.len());
        self.shared.metrics.joined("ok");
        self.report_joined();
        self.exchange(Question::Synchronisation, joined.state_vector, update);
        if let Some(states) = joined.awareness {
            self.send(protocol::awareness(&self.address, states));
        }
    }

    fn synced(&self, request: &'static str, synced: Synced) {
        let (update, has) = (synced.lacking.update, synced.state_vector);
        self.session.budget.charge_answer(update.len());
        match (request, self.dialect) {
            (request::ASK, _) => self.exchange(Question::Missing, has, update),
            // A provider of Hocuspocus counts an answer to each of its questions.
            (request::STEP_1, Dialect::Hocuspocus) => {
                self.exchange(Question::Synchronisation, has, update);
            }
            _ => self.complete(has, update),
        }
        if request == request::QUERY_AWARENESS {
            // The states follow, if there are any.
            self.send(protocol::no_awareness(&self.address));
        }
    }

    /// Something was refused. What neither the protocol can refuse nor the client can do without ends
    /// the client.
    fn refused(&self, ticket: Ticket, error: &Error) {
        let is_write = matches!(
            ticket.request,
            request::UPDATE | request::STEP_2 | request::ANSWER
        );
        if self.dialect == Dialect::Hocuspocus && is_write && close::is_permanent(error) {
            self.shared.metrics.refused(error.code());
            if ticket.request == request::STEP_2 {
                self.acks(Acks::step_2_refused);
            }
            return self.acknowledge(SyncStatus::NotApplied);
        }
        if ticket.request == request::JOIN {
            self.shared.metrics.joined(error.code());
        }
        self.close(error);
    }

    /// A write is durable.
    fn written(&self, ticket: Ticket, visibility: Visibility) {
        self.acks(|acks| match (ticket.request, visibility) {
            (request::ANSWER, Visibility::Visible) => acks.answer(),
            (request::ANSWER, Visibility::Pending) => 0,
            (request::STEP_2, _) => acks.step_2(visibility),
            _ => acks.update(visibility),
        });
        if visibility == Visibility::Pending {
            self.note_pending();
        }
    }
}

impl Peer for Client {
    fn identity(&self) -> &Identity {
        self.session.identity()
    }

    fn accept(&self, ticket: Ticket, acked: Acked) {
        self.written(ticket, acked.visibility);
    }

    fn answer(&self, ticket: Ticket, answer: Answer) {
        match answer {
            Answer::Refused(error) => self.refused(ticket, &error),
            Answer::Joined(joined) => self.welcome(*joined),
            Answer::Synced(synced) => self.synced(ticket.request, synced),
            // No request of this door has such an answer, and a change of awareness states needs none.
            Answer::StateVector(_) | Answer::Made(_) | Answer::Gone(_) | Answer::Done => {}
        }
    }

    fn charge(&self, cpu: Duration, memory_bytes: usize) {
        self.session.budget.charge(cpu, memory_bytes);
    }

    fn flush(&self, among: usize) {
        self.connection
            .outbox
            .flush(match among <= WRITES_IN_ROOM_TASK_MAX {
                true => Writer::Caller,
                false => Writer::Task,
            });
    }

    fn queued_bytes(&self) -> usize {
        self.connection.outbox.waiting_bytes()
    }

    fn cut(&self, reason: &'static str) {
        Client::cut(self, reason);
    }

    fn catching_up(&self) -> CatchingUp {
        CatchingUp::IsSent
    }

    fn sit(self: Arc<Self>, audiences: &mut Audiences) {
        match self.dialect {
            Dialect::YWebsocket => audiences.seat(|| YjsDoor, self),
            Dialect::Hocuspocus => {
                let address = hocuspocus::address(self.room.as_str());
                audiences.seat(|| HocuspocusDoor { address }, self);
            }
        }
    }
}
