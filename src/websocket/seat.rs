//! The client as a member of its room: the room's messages and answers, as frames.

use std::{sync::Arc, time::Duration};

use document::Visibility;
use engineio::Writer;

use super::{
    client::{Client, request},
    protocol,
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
        match message {
            Message::Update(bytes) => Some(protocol::update(bytes.clone())),
            Message::Awareness(bytes) => Some(protocol::awareness(bytes.clone())),
            Message::Resync(_) | Message::Storage(_) | Message::Event(_) | Message::Closed(_) => {
                None
            }
        }
    }

    fn deliver(&self, client: &Client, message: &Message, wire: &Self::Wire) -> Delivery {
        match (message, wire) {
            (Message::Closed(error), _) => client.close(error),
            // The document may have lost content that the client still has. What the client has missed,
            // the room sends by itself.
            (Message::Resync(ResyncReason::Rebuilt), _) => client.ask(),
            (_, Some(wire)) => return client.offer(wire.clone()),
            (_, None) => {}
        }
        Delivery::Queued
    }
}

impl Client {
    /// Answers the join: the client is asked for what the server lacks, and sent what it lacks itself.
    fn welcome(&self, joined: Joined) {
        let update = joined.lacking.update;
        self.session.budget.charge_answer(update.len());
        self.shared.metrics.joined("ok");
        self.report_joined();
        self.exchange(joined.state_vector, update);
        if let Some(states) = joined.awareness {
            self.send(protocol::awareness(states));
        }
    }

    fn synced(&self, request: &'static str, synced: Synced) {
        let update = synced.lacking.update;
        self.session.budget.charge_answer(update.len());
        match request {
            request::ASK => self.exchange(synced.state_vector, update),
            _ => self.complete(synced.state_vector, update),
        }
        if request == request::QUERY_AWARENESS {
            // The states follow, if there are any.
            self.send(protocol::no_awareness());
        }
    }

    /// Something was refused that the protocol cannot refuse: the connection is closed, with the reason
    /// as its code.
    fn refused(&self, ticket: Ticket, error: &Error) {
        if ticket.request == request::JOIN {
            self.shared.metrics.joined(error.code());
        }
        self.close(error);
    }
}

impl Peer for Client {
    fn identity(&self) -> &Identity {
        self.session.identity()
    }

    fn accept(&self, _: Ticket, acked: Acked) {
        match acked.visibility {
            Visibility::Visible => {}
            Visibility::Pending => self.note_pending(),
        }
    }

    fn answer(&self, ticket: Ticket, answer: Answer) {
        match answer {
            Answer::Refused(error) => self.refused(ticket, &error),
            Answer::Joined(joined) => self.welcome(*joined),
            Answer::Synced(synced) => self.synced(ticket.request, synced),
            // No request of this door has such an answer, and a change of awareness states needs none.
            Answer::Made(_) | Answer::Gone(_) | Answer::Done => {}
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
        audiences.seat(|| YjsDoor, self);
    }
}
