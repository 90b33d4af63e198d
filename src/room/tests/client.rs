//! A client of the model: its connection, its replica, and the messages and acks that it received.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    auth::User,
    error::Error,
    id::{ClientId, EventId, Seq, SessionId, UserId},
    room::{
        Acked, Answer, Audiences, CatchingUp, Delivery, Door, Identity, Message, Peer, Ticket,
        members::PeerHandle,
    },
};
use document::{self, StateVector};

/// The person whose client cannot ask for what it lacks ([`CatchingUp::IsSent`]).
pub(super) const CANNOT_ASK: u8 = 3;

/// A message or an answer that a client received.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    Joined(Bytes, StateVector),
    Synced(Bytes, StateVector),
    Update(Bytes),
    Event(EventId),
    Other,
    Resync,
    Closed,
    Acked(u64, Acked),
    Refused(u64, Error),
}

/// One connection of a client.
pub(super) struct Connection {
    identity: Identity,
    catching_up: CatchingUp,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    heard: Vec<Heard>,
    is_stalled: bool,
    /// This many of the next messages find the queue full, although it is reported empty.
    squeezed: u8,
    is_cut: bool,
}

/// The door of these connections.
struct TestDoor;

impl Connection {
    pub(super) fn new(session: u64, person: u8) -> Arc<Self> {
        let id = UserId::parse(&format!("person-{person}")).expect("an id");
        let (name, avatar_url) = ("Somebody".into(), None);
        Arc::new(Self {
            catching_up: match person {
                CANNOT_ASK => CatchingUp::IsSent,
                _ => CatchingUp::Asks,
            },
            identity: Identity {
                session: SessionId(session),
                user: Arc::new(User {
                    id,
                    name,
                    avatar_url,
                }),
                preferred_color: usize::from(person),
            },
            state: Mutex::default(),
        })
    }

    pub(super) fn session(&self) -> SessionId {
        self.identity.session
    }

    pub(super) fn stall(&self, is_stalled: bool) {
        self.state.lock().is_stalled = is_stalled;
    }

    pub(super) fn squeeze(&self, messages: u8) {
        self.state.lock().squeezed = messages;
    }

    fn is_full(&self) -> bool {
        let mut state = self.state.lock();
        let is_squeezed = state.squeezed > 0;
        state.squeezed = state.squeezed.saturating_sub(1);
        state.is_stalled || is_squeezed
    }

    pub(super) fn is_cut(&self) -> bool {
        self.state.lock().is_cut
    }

    /// Takes what it received since the last call.
    pub(super) fn take_heard(&self) -> Vec<Heard> {
        std::mem::take(&mut self.state.lock().heard)
    }

    fn hear(&self, heard: Heard) {
        self.state.lock().heard.push(heard);
    }
}

impl Door for TestDoor {
    type Seat = Connection;
    type Wire = Heard;

    fn encode(&self, message: &Message) -> Heard {
        match message {
            Message::Update(bytes) => Heard::Update(bytes.clone()),
            Message::Resync(_) => Heard::Resync,
            Message::Awareness(_) | Message::Stateless(_) | Message::Storage(_) => Heard::Other,
            Message::Event(event) => Heard::Event(event.event_id.expect("an id")),
            Message::Closed(_) => Heard::Closed,
        }
    }

    fn deliver(&self, seat: &Connection, _: &Message, wire: &Heard) -> Delivery {
        if seat.is_full() {
            return Delivery::Full;
        }
        seat.hear(wire.clone());
        Delivery::Queued
    }
}

impl Peer for Connection {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn accept(&self, ticket: Ticket, acked: Acked) {
        self.hear(Heard::Acked(number(ticket), acked));
    }

    fn answer(&self, ticket: Ticket, answer: Answer) {
        let state_vector = |bytes: &[u8]| StateVector::decode(bytes).expect("a state vector");
        match answer {
            Answer::Joined(joined) => {
                let theirs = state_vector(&joined.state_vector);
                self.hear(Heard::Joined(joined.lacking.update, theirs));
            }
            Answer::Synced(synced) => {
                let theirs = state_vector(&synced.state_vector);
                self.hear(Heard::Synced(synced.lacking.update, theirs));
            }
            Answer::Made(_) | Answer::Gone(_) | Answer::StateVector(_) | Answer::Done => {}
            Answer::Refused(error) => self.hear(Heard::Refused(number(ticket), error)),
        }
    }

    fn charge(&self, _: Duration, _: usize) {}

    fn flush(&self, _: usize) {}

    fn queued_bytes(&self) -> usize {
        match self.state.lock().is_stalled {
            true => 1 << 40,
            false => 0,
        }
    }

    fn cut(&self, _: &'static str) {
        self.state.lock().is_cut = true;
    }

    fn catching_up(&self) -> CatchingUp {
        self.catching_up
    }

    fn sit(self: Arc<Self>, audiences: &mut Audiences) {
        audiences.seat(|| TestDoor, self);
    }
}

impl PeerHandle for Arc<Connection> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn catching_up(&self) -> CatchingUp {
        self.catching_up
    }
}

fn number(ticket: Ticket) -> u64 {
    ticket.id.expect("each request has a number")
}

/// A client's replica of the document: how many elements it has of each client, from the first on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Replica(pub(super) BTreeMap<ClientId, u32>);

impl Replica {
    pub(super) fn clock(&self, client: ClientId) -> u32 {
        self.0.get(&client).copied().unwrap_or(0)
    }

    /// Applies an update.
    ///
    /// # Panics
    /// If an element before it is missing.
    pub(super) fn apply(&mut self, bytes: &[u8]) {
        let checked = document::validate(bytes).expect("an update");
        for advance in &checked.advances {
            let known = self.0.entry(advance.client).or_default();
            assert!(
                advance.from <= *known,
                "elements are missing before {advance:?}: the replica has {known}"
            );
            *known = advance.to.max(*known);
        }
    }

    pub(super) fn state_vector(&self) -> StateVector {
        self.0
            .iter()
            .map(|(client, clock)| (*client, *clock))
            .collect()
    }
}

/// The update that inserts the elements `from..to` of `client` one after another into a list.
pub(super) fn written(client: ClientId, from: u32, to: u32) -> Bytes {
    let (client, count) = (client as u8, (to - from) as u8);
    let mut bytes = vec![1, 1, client, from as u8];
    match from {
        0 => bytes.extend([8, 1, 1, b'a']),
        _ => bytes.extend([0x88, client, from as u8 - 1]),
    }
    bytes.push(count);
    bytes.extend(std::iter::repeat_n(126, count.into()));
    bytes.push(0);
    bytes.into()
}

/// The number of rows up to a seq.
pub(super) fn rows(seq: Seq) -> usize {
    usize::try_from(seq.0).expect("a seq")
}
