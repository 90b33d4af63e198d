//! Rooms on a real store: what they recover, and what they never do twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use document::{Document, PendingLimits, StateVector, awareness};
use parking_lot::Mutex;
use realtime_server::{
    auth::User,
    config::{Limits, Timing},
    error::Error,
    id::{DocumentKey, Seq, SessionId, UserId},
    limits::Memory,
    metrics::Metrics,
    room::{
        Acked, Answer, Audiences, Command, Creation, Delivery, Door, Joined, Message, Participant,
        Peer, RoomHandle, Rooms, Standing, Ticket, Update,
    },
    store::Store,
    supervise::Supervisor,
};
use tokio::sync::mpsc;
use yrs::{GetString, ReadTxn, Text, Transact, WriteTxn, updates::decoder::Decode};

use crate::store::{Home, key, on_both};

mod log;
mod panics;

on_both!(
    a_damaged_update_costs_only_itself,
    a_damaged_snapshot_costs_nothing,
    a_document_that_cannot_be_read_harms_no_other,
    acks_of_one_client_come_in_order_and_rise,
    many_who_open_at_once_get_one_room,
    who_reads_slowly_is_shown_where_everyone_is_by_then,
);

const TICKET: Ticket = Ticket {
    request: "test",
    id: Some(1),
};

/// A seat that keeps what it is told.
struct Listener {
    participant: Participant,
    answers: mpsc::UnboundedSender<Answer>,
    acks: mpsc::UnboundedSender<Seq>,
    updates: Mutex<Vec<Bytes>>,
    cursors: mpsc::UnboundedSender<Bytes>,
    notices: mpsc::UnboundedSender<Message>,
    queued_bytes: AtomicUsize,
    /// How often the room panics when it next looks who this is.
    panics: AtomicUsize,
    /// Whether its door panics when it next hands it an update.
    panics_at_update: AtomicBool,
}

/// The door through which listeners come.
struct TestDoor;

impl Door for TestDoor {
    type Seat = Listener;
    type Wire = ();

    fn encode(&self, _: &Message) {}

    fn deliver(&self, seat: &Listener, message: &Message, (): &()) -> Delivery {
        match message {
            Message::Update(_) if seat.panics_at_update.swap(false, Ordering::Relaxed) => {
                panic!("injected")
            }
            Message::Update(bytes) => seat.updates.lock().push(bytes.clone()),
            // A test that no longer looks has seen enough.
            Message::Awareness(bytes) => drop(seat.cursors.send(bytes.clone())),
            other => drop(seat.notices.send(other.clone())),
        }
        Delivery::Queued
    }
}

impl Peer for Listener {
    fn participant(&self) -> &Participant {
        let panics = self.panics.load(Ordering::Relaxed);
        if panics > 0 {
            self.panics.store(panics - 1, Ordering::Relaxed);
            panic!("injected");
        }
        &self.participant
    }

    fn accept(&self, _: Ticket, acked: Acked) {
        let _ = self.acks.send(acked.seq);
    }

    fn charge(&self, _: Duration, _: usize) {}

    fn flush(&self, _: usize) {}

    fn answer(&self, _: Ticket, answer: Answer) {
        // A test that no longer listens has seen enough.
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

/// A member of a room, and what the room answers.
pub(crate) struct Member {
    seat: Arc<Listener>,
    answers: mpsc::UnboundedReceiver<Answer>,
    acks: mpsc::UnboundedReceiver<Seq>,
    cursors: mpsc::UnboundedReceiver<Bytes>,
    notices: mpsc::UnboundedReceiver<Message>,
    room: RoomHandle,
}

impl Member {
    pub(crate) fn new(rooms: &Rooms, key: &DocumentKey, session: u64) -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        let (acked, acks) = mpsc::unbounded_channel();
        let (shown, cursors) = mpsc::unbounded_channel();
        let (noticed, notices) = mpsc::unbounded_channel();
        let user = User {
            id: UserId::parse(&format!("user-{session}")).expect("an id"),
            name: "Somebody".into(),
            avatar_url: None,
        };
        let participant = Participant {
            session: SessionId(session),
            user,
            color: "#000000",
        };
        let seat = Arc::new(Listener {
            participant,
            answers: sender,
            acks: acked,
            updates: Mutex::default(),
            cursors: shown,
            notices: noticed,
            queued_bytes: AtomicUsize::new(0),
            panics: AtomicUsize::new(0),
            panics_at_update: AtomicBool::new(false),
        });
        let room = rooms.open(key).expect("not draining");
        Self {
            seat,
            answers,
            acks,
            cursors,
            notices,
            room,
        }
    }

    async fn points(&mut self, clock: u32, at: u32) {
        let state = Some(format!("{{\"at\":{at}}}").into());
        let client = self.seat.participant.session.0;
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
        assert!(matches!(self.answers.recv().await, Some(Answer::Done)));
    }

    /// The next message about cursors: whose, and where they are.
    async fn sees(&mut self) -> Vec<(u64, String)> {
        let bytes = self.cursors.recv().await.expect("a message");
        let entries = awareness::decode(&bytes).expect("cursors");
        let place = |state: Option<Arc<str>>| {
            let state = state.unwrap_or_default();
            state.split(',').next().unwrap_or_default().to_owned()
        };
        let seen = entries.into_iter();
        seen.map(|entry| (entry.client, place(entry.state)))
            .collect()
    }

    pub(crate) async fn join(&mut self) -> Result<Joined, Error> {
        let peer = Arc::clone(&self.seat) as _;
        let join = Command::Join {
            peer,
            ticket: TICKET,
            creation: Creation::Allowed,
            state_vector: None,
        };
        self.room.send(join).expect("the inbox has room");
        match self.answers.recv().await {
            Some(Answer::Joined(joined)) => Ok(*joined),
            Some(Answer::Refused(error)) => Err(error),
            other => panic!("not the answer to a join: {other:?}"),
        }
    }

    /// The updates that it was told.
    pub(crate) fn updates(&self) -> Vec<Bytes> {
        self.seat.updates.lock().clone()
    }

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

    /// Everything that the room holds by now.
    async fn sync(&mut self) -> Bytes {
        let sync = Command::Sync {
            peer: Arc::clone(&self.seat) as _,
            ticket: TICKET,
            state_vector: StateVector::default(),
        };
        self.room.send(sync).expect("the inbox has room");
        match self.answers.recv().await {
            Some(Answer::Synced(synced)) => synced.update,
            other => panic!("not the answer to a sync: {other:?}"),
        }
    }

    pub(crate) async fn saved(&mut self) -> Seq {
        self.acks.recv().await.expect("an ack")
    }
}

/// What client `id` writes into the text `name`, as an update.
pub(crate) fn written(id: u64, name: &str, text: &str) -> Bytes {
    let doc = yrs::Doc::with_client_id(id);
    let mut txn = doc.transact_mut();
    txn.get_or_insert_text(name).insert(&mut txn, 0, text);
    txn.encode_update_v1().into()
}

/// The text `name` of the state `update`.
fn read(update: &[u8], name: &str) -> String {
    let doc = yrs::Doc::new();
    let mut txn = doc.transact_mut();
    let update = yrs::Update::decode_v1(update).expect("an update");
    txn.apply_update(update).expect("applies");
    let text = txn.get_text(name);
    text.map_or_else(String::new, |text| text.get_string(&txn))
}

pub(crate) fn rooms(store: &Store) -> Rooms {
    rooms_within(store, Limits::default())
}

fn rooms_within(store: &Store, limits: Limits) -> Rooms {
    let timing = Timing {
        room_idle_ms: 0,
        ..Timing::default()
    };
    let memory = Memory::new(0, Metrics::new());
    let (metrics, supervisor) = (Metrics::new(), Supervisor::new(Metrics::new()));
    Rooms::new(store.clone(), limits, timing, memory, metrics, supervisor)
}

/// Writes three texts as three rows of the document `name`.
async fn with_three_texts(home: &Home, name: &str) -> Store {
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key(name), 1);
    ana.join().await.expect("joined");
    for (id, text) in [(11, "one"), (12, "two"), (13, "three")] {
        ana.send(&written(id, text, text));
        ana.saved().await;
    }
    store
}

async fn join(store: &Store, name: &str) -> Result<Joined, Error> {
    Member::new(&rooms(store), &key(name), 9).join().await
}

async fn a_damaged_update_costs_only_itself(home: Home) {
    let store = with_three_texts(&home, "a").await;
    let rot = home.rot();
    home.run(&format!(
        "update update_log set payload = {rot} where seq = 2"
    ))
    .await;
    let joined = join(&store, "a").await.expect("it opens all the same");
    let texts = ["one", "two", "three"].map(|name| read(&joined.update, name));
    assert_eq!(texts, ["one", "", "three"]);
    assert_eq!(joined.seq, Seq(3));

    // Whoever still has it brings it back, because the server's state vector lacks it.
    let rooms = rooms(&store);
    let mut ben = Member::new(&rooms, &key("a"), 2);
    ben.join().await.expect("joined");
    ben.send(&written(12, "two", "two"));
    assert_eq!(ben.saved().await, Seq(4));
    let joined = join(&store, "a").await.expect("joined");
    assert_eq!(read(&joined.update, "two"), "two");
}

async fn a_damaged_snapshot_costs_nothing(home: Home) {
    let store = with_three_texts(&home, "a").await;
    let joined = join(&store, "a").await.expect("joined");
    for seq in [1, 3] {
        store
            .put_snapshot(joined.document, Seq(seq), joined.update.clone())
            .await
            .expect("kept");
    }
    let rot = home.rot();
    home.run(&format!("update snapshot set state = {rot} where seq = 3"))
        .await;
    let again = join(&store, "a").await.expect("it opens all the same");
    for name in ["one", "two", "three"] {
        assert_eq!(read(&again.update, name), name);
    }
}

async fn a_document_that_cannot_be_read_harms_no_other(home: Home) {
    let store = with_three_texts(&home, "bad").await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key("good"), 1);
    ana.join().await.expect("joined");
    let rot = home.rot();
    let bad = join(&store, "bad").await.expect("joined").document;
    home.run(&format!(
        "update update_log set payload = {rot} where document_id = '{bad}'"
    ))
    .await;
    let joined = join(&store, "bad").await.expect("it opens, empty");
    assert_eq!(read(&joined.update, "one"), "");
    ana.send(&written(21, "text", "goes on"));
    ana.saved().await;
}

async fn acks_of_one_client_come_in_order_and_rise(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let (mut ana, mut ben) = (
        Member::new(&rooms, &key("a"), 1),
        Member::new(&rooms, &key("a"), 2),
    );
    ana.join().await.expect("joined");
    ben.join().await.expect("joined");
    let doc = yrs::Doc::with_client_id(11);
    let text = doc.get_or_insert_text("text");
    for n in 0..500_u32 {
        let mut txn = doc.transact_mut();
        text.insert(&mut txn, n, "x");
        ana.send(&txn.encode_update_v1().into());
    }
    let mut last = Seq(0);
    for _ in 0..500 {
        let seq = ana.saved().await;
        assert!(seq >= last, "{seq:?} after {last:?}");
        last = seq;
    }
    let mut replica = Document::new(PendingLimits {
        updates_max: 0,
        bytes_max: 0,
    });
    for update in ben.seat.updates.lock().iter() {
        let checked = document::validate(update).expect("an update");
        replica.restore(update, &checked).expect("in order");
    }
    assert_eq!(replica.clock(11), 500);
    assert!(
        ben.seat.updates.lock().len() < 500,
        "a burst arrives merged"
    );
}

async fn many_who_open_at_once_get_one_room(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut members: Vec<_> = (1..=50)
        .map(|session| Member::new(&rooms, &key("a"), session))
        .collect();
    let mut documents = Vec::new();
    for member in &mut members {
        documents.push(member.join().await.expect("joined").document);
    }
    documents.dedup();
    assert_eq!((documents.len(), rooms.len()), (1, 1));
}

async fn who_reads_slowly_is_shown_where_everyone_is_by_then(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut members: Vec<Member> = (1..=4)
        .map(|session| Member::new(&rooms, &key("a"), session))
        .collect();
    for member in &mut members {
        member.join().await.expect("joined");
    }
    let [ana, ben, quick, slow] = &mut members[..] else {
        panic!("four")
    };
    slow.seat.queued_bytes.store(1 << 20, Ordering::Relaxed);
    for clock in 1..=3 {
        ana.points(clock, clock * 10).await;
        let at = format!("{{\"at\":{}", clock * 10);
        assert_eq!(quick.sees().await, [(1, at.clone())]);
    }
    ben.points(1, 7).await;
    assert_eq!(quick.sees().await, [(2, "{\"at\":7".to_owned())]);
    assert!(slow.cursors.try_recv().is_err(), "nothing is queued for it");

    slow.seat.queued_bytes.store(0, Ordering::Relaxed);
    let both = [(1, "{\"at\":30".to_owned()), (2, "{\"at\":7".to_owned())];
    assert_eq!(slow.sees().await, both, "in one message, the newest alone");
    ana.points(4, 40).await;
    assert_eq!(slow.sees().await, [(1, "{\"at\":40".to_owned())]);
}
