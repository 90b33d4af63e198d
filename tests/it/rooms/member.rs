//! A member of a room as a test plays it: its seat, its door, and what the room told it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use document::{StateVector, awareness};
use parking_lot::Mutex;
use realtime_server::{
    auth::{Claims, Grants, User},
    error::Error,
    id::{DocumentKey, Seq, SessionId, Team, UserId},
    room::{
        Acked, Answer, Audiences, Command, Creation, Delivery, Door, Joined, Message, Peer,
        RoomHandle, Rooms, Standing, Ticket, Update,
    },
    session::Identity,
};
use tokio::sync::mpsc;

/// How long a test waits for a message at most.
pub(super) const WAIT: Duration = Duration::from_secs(30);

pub(super) const TICKET: Ticket = Ticket {
    request: "test",
    id: Some(1),
};

/// A seat that keeps what it is told.
pub(super) struct TestSeat {
    pub(super) identity: Identity,
    answers: mpsc::UnboundedSender<Answer>,
    acks: mpsc::UnboundedSender<Seq>,
    pub(super) updates: Mutex<Vec<Bytes>>,
    awareness: mpsc::UnboundedSender<Bytes>,
    notices: mpsc::UnboundedSender<Message>,
    pub(super) queued_bytes: AtomicUsize,
    /// How many of the room's next calls of `identity` panic.
    pub(super) panics: AtomicUsize,
    /// Whether the door panics when it delivers the next update to this seat.
    pub(super) panics_at_update: AtomicBool,
}

/// The door of these seats.
struct TestDoor;

impl Door for TestDoor {
    type Seat = TestSeat;
    type Wire = ();

    fn encode(&self, _: &Message) {}

    fn deliver(&self, seat: &TestSeat, message: &Message, (): &()) -> Delivery {
        match message {
            Message::Update(_) if seat.panics_at_update.swap(false, Ordering::Relaxed) => {
                panic!("injected")
            }
            Message::Update(bytes) => seat.updates.lock().push(bytes.clone()),
            // The test may have dropped the receiver.
            Message::Awareness(bytes) => drop(seat.awareness.send(bytes.clone())),
            other => drop(seat.notices.send(other.clone())),
        }
        Delivery::Queued
    }
}

impl Peer for TestSeat {
    fn identity(&self) -> &Identity {
        let panics = self.panics.load(Ordering::Relaxed);
        if panics > 0 {
            self.panics.store(panics - 1, Ordering::Relaxed);
            panic!("injected");
        }
        &self.identity
    }

    fn accept(&self, _: Ticket, acked: Acked) {
        let _ = self.acks.send(acked.seq);
    }

    fn charge(&self, _: Duration, _: usize) {}

    fn flush(&self, _: usize) {}

    fn answer(&self, _: Ticket, answer: Answer) {
        // The test may have dropped the receiver.
        let _ = self.answers.send(answer);
    }

    fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }

    fn cut(&self, _: &'static str) {}

    fn sit(self: Arc<Self>, audiences: &mut Audiences) {
        audiences.seat(|| TestDoor, self);
    }
}

/// A member of a room, with what the room answers and tells it.
pub(crate) struct Member {
    pub(super) seat: Arc<TestSeat>,
    pub(super) answers: mpsc::UnboundedReceiver<Answer>,
    pub(super) acks: mpsc::UnboundedReceiver<Seq>,
    pub(super) awareness: mpsc::UnboundedReceiver<Bytes>,
    notices: mpsc::UnboundedReceiver<Message>,
    pub(super) room: RoomHandle,
}

impl Member {
    /// One that has not joined the room of `key` yet.
    pub(crate) fn new(rooms: &Rooms, key: &DocumentKey, session: u64) -> Self {
        let (answers_in, answers) = mpsc::unbounded_channel();
        let (acks_in, acks) = mpsc::unbounded_channel();
        let (awareness_in, awareness) = mpsc::unbounded_channel();
        let (notices_in, notices) = mpsc::unbounded_channel();
        let seat = Arc::new(TestSeat {
            identity: identity(session),
            answers: answers_in,
            acks: acks_in,
            updates: Mutex::default(),
            awareness: awareness_in,
            notices: notices_in,
            queued_bytes: AtomicUsize::new(0),
            panics: AtomicUsize::new(0),
            panics_at_update: AtomicBool::new(false),
        });
        let room = rooms.open(key).expect("not draining");
        Self {
            seat,
            answers,
            acks,
            awareness,
            notices,
            room,
        }
    }

    /// Sets the member's awareness state to the place `at`.
    pub(super) async fn point(&mut self, clock: u32, at: u32) {
        let state = Some(format!("{{\"at\":{at}}}").into());
        let client = self.seat.identity.session.0;
        let entries = vec![awareness::Entry {
            client,
            clock,
            state,
        }];
        let command = Command::Awareness {
            peer: Arc::clone(&self.seat) as _,
            ticket: TICKET,
            entries,
            bytes: 0,
        };
        self.room.send(command).expect("the inbox has room");
        assert!(matches!(self.next_answer().await, Answer::Done));
    }

    /// The next awareness message: each client with the place of its cursor.
    pub(super) async fn next_awareness(&mut self) -> Vec<(u64, String)> {
        let bytes = within(self.awareness.recv()).await;
        let entries = awareness::decode(&bytes).expect("awareness states");
        let place = |state: Option<Arc<str>>| {
            let state = state.unwrap_or_default();
            state.split(',').next().unwrap_or_default().to_owned()
        };
        let states = entries.into_iter();
        states
            .map(|entry| (entry.client, place(entry.state)))
            .collect()
    }

    /// The room's next answer to a request.
    pub(super) async fn next_answer(&mut self) -> Answer {
        within(self.answers.recv()).await
    }

    /// The next message that is neither an update nor about awareness.
    pub(super) async fn next_notice(&mut self) -> Message {
        within(self.notices.recv()).await
    }

    /// Joins without a state vector and returns what the room answers.
    pub(crate) async fn join(&mut self) -> Result<Joined, Error> {
        self.join_from(None).await
    }

    /// Joins and returns what the room answers.
    pub(super) async fn join_from(
        &mut self,
        state_vector: Option<StateVector>,
    ) -> Result<Joined, Error> {
        let peer = Arc::clone(&self.seat) as _;
        let join = Command::Join {
            peer,
            ticket: TICKET,
            creation: Creation::Allowed,
            has: state_vector.map(Into::into),
        };
        self.room.send(join).expect("the inbox has room");
        match self.next_answer().await {
            Answer::Joined(joined) => Ok(*joined),
            Answer::Refused(error) => Err(error),
            other => panic!("not the answer to a join: {other:?}"),
        }
    }

    /// Leaves and waits for the answer.
    pub(super) async fn leave(&mut self) {
        let peer = Arc::clone(&self.seat) as Arc<dyn Peer>;
        let session = self.seat.identity.session;
        let answer = Some((peer, TICKET));
        let leave = Command::Leave { session, answer };
        self.room.send(leave).expect("the room is open");
        assert!(matches!(self.next_answer().await, Answer::Done));
    }

    /// All updates that the member was told so far.
    pub(crate) fn updates(&self) -> Vec<Bytes> {
        self.seat.updates.lock().clone()
    }

    /// Sends an update without waiting for its ack.
    pub(crate) fn send(&self, update: &Bytes) {
        let update = Command::Update(Box::new(Update {
            peer: Arc::clone(&self.seat) as _,
            ticket: TICKET,
            bytes: update.clone(),
            checked: document::validate(update).expect("an update"),
            standing: Standing::Member,
        }));
        self.room.send(update).expect("the inbox has room");
    }

    /// The whole state of the document at present.
    pub(super) async fn sync(&mut self) -> Bytes {
        self.sync_from(StateVector::default()).await
    }

    /// What the member lacks if it has `state_vector`.
    pub(super) async fn sync_from(&mut self, state_vector: StateVector) -> Bytes {
        let sync = Command::Sync {
            peer: Arc::clone(&self.seat) as _,
            ticket: TICKET,
            has: state_vector.into(),
        };
        self.room.send(sync).expect("the inbox has room");
        match self.next_answer().await {
            Answer::Synced(synced) => synced.lacking.update,
            other => panic!("not the answer to a sync: {other:?}"),
        }
    }

    /// Waits for the next ack; its position in the log.
    pub(crate) async fn saved(&mut self) -> Seq {
        within(self.acks.recv()).await
    }
}

/// Waits for a message of a channel that stays open.
async fn within<T>(message: impl Future<Output = Option<T>>) -> T {
    let message = tokio::time::timeout(WAIT, message).await;
    message.expect("a message in time").expect("a message")
}

/// The identity of a session, with a person of its own.
pub(crate) fn identity(session: u64) -> Identity {
    let user = Arc::new(User {
        id: UserId::parse(&format!("user-{session}")).expect("an id"),
        name: "Somebody".into(),
        avatar_url: None,
    });
    Identity::new(
        SessionId(session),
        &Team::parse("acme").expect("a team"),
        user,
    )
}

/// The claims of an editor.
pub(crate) fn claims(team: &str, user: &str) -> Claims {
    Claims {
        user: Arc::new(User {
            id: UserId::parse(user).expect("an id"),
            name: "Somebody".into(),
            avatar_url: None,
        }),
        team: Team::parse(team).expect("a team"),
        roles: vec!["editor".into()],
        login: None,
        grants: Grants::default(),
        issued_at: None,
        expires_at: i64::MAX,
        credential: None,
    }
}
