//! All that is around a room's core, simulated, and what must hold of it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Step,
    client::{Connection, Heard, Replica, rows, written},
};
use crate::{
    config::{Limits, Timing},
    error::Error,
    id::{ClientId, DocumentId, Seq, SessionId, Timestamp},
    limits::{Memory, Pressure},
    metrics::Metrics,
    room::{
        Command, Creation, Standing, Ticket, Update,
        audience::Audiences,
        core::{Fetch, Fetched, Input, Means, Now, Output, RoomCore},
        live::{LiveDocument, caps},
        load::{Opened, replay},
    },
    store::{AppendError, Availability, DocumentRecord, Entry, JournalOptions, Loaded, UpdateLog},
};
use document::{self, Document, StateVector, Visibility, awareness};

/// Who writes for another instance, and who without a seat.
const FOREIGN: ClientId = 100;
const AUTHOR: ClientId = 101;

type Core = RoomCore<Arc<Connection>>;

pub(super) struct World {
    core: Core,
    audiences: Audiences,
    now: Now,
    log: Log,
    journal: UpdateLog,
    is_journal_full: bool,
    people: [Person; 4],
    /// Those that are gone: their last acks may still come.
    gone: Vec<Arc<Connection>>,
    author: Arc<Connection>,
    author_wrote: u32,
    foreign_wrote: u32,
    /// How much of that the room can know of: a hole shows when it writes itself.
    foreign_due: u32,
    sessions: u64,
    tickets: u64,
    /// What was sent and not answered, by ticket.
    sent: BTreeMap<u64, Sent>,
    has_ended: bool,
}

struct Sent {
    client: ClientId,
    to: u32,
    /// Whether its sender wrote it.
    is_own: bool,
}

/// The database.
#[derive(Default)]
struct Log {
    exists: bool,
    rows: Vec<Bytes>,
    under_way: VecDeque<Entry>,
    snapshot: Option<(Seq, Bytes)>,
    putting: Option<(Seq, Bytes)>,
    /// Which elements are in it, of each client.
    elements: BTreeMap<ClientId, BTreeSet<u32>>,
}

/// A person at one client, which keeps what it has over all its connections.
struct Person {
    client: ClientId,
    connection: Option<Arc<Connection>>,
    /// Whether it has joined, and is not told to synchronise.
    is_live: bool,
    /// It was told to synchronise, or was refused something: it will synchronise.
    owes_sync: bool,
    has: Replica,
    /// How far it has sent, and how far that was acknowledged.
    sent: u32,
    last_ack: u64,
    cursor: u32,
}

impl Log {
    /// The elements that a reader of the log sees of `client`.
    fn visible(&self, client: ClientId) -> u32 {
        let Some(elements) = self.elements.get(&client) else {
            return 0;
        };
        (0..).find(|clock| !elements.contains(clock)).unwrap_or(0)
    }

    fn write(&mut self, row: Bytes) {
        for advance in &document::validate(&row).expect("an update").advances {
            let elements = self.elements.entry(advance.client).or_default();
            elements.extend(advance.from..advance.to);
        }
        self.rows.push(row);
    }

    fn loaded(&self) -> Loaded {
        let from = self.snapshot.as_ref().map_or(0, |(seq, _)| rows(*seq));
        let updates = self.rows.iter().enumerate().skip(from);
        Loaded {
            snapshot: self.snapshot.clone(),
            updates: updates
                .map(|(at, row)| (Seq(at as i64 + 1), row.clone()))
                .collect(),
            head_seq: Seq(self.rows.len() as i64),
            ..Loaded::default()
        }
    }
}

impl World {
    pub(super) fn new() -> Self {
        let now = Now {
            instant: Instant::now(),
            time: Timestamp::now(),
        };
        let limits = limits();
        let options = JournalOptions {
            bytes_max: 1 << 30,
            commit_interval: Duration::ZERO,
        };
        let metrics = Metrics::new();
        let core = RoomCore::new(
            LiveDocument::empty(&limits, &memory()),
            limits,
            Timing {
                room_idle_ms: 1_000,
                ..Timing::default()
            },
            metrics,
            Availability::Ok,
            now,
        );
        let person = |client| Person {
            client,
            connection: None,
            is_live: false,
            owes_sync: false,
            has: Replica::default(),
            sent: 0,
            last_ack: 0,
            cursor: 0,
        };
        let mut world = Self {
            core,
            audiences: Audiences::default(),
            now,
            log: Log::default(),
            journal: UpdateLog::new(options).0,
            is_journal_full: false,
            people: [1, 2, 3, 4].map(person),
            gone: Vec::new(),
            author: Connection::new(1 << 40, 9),
            author_wrote: 0,
            foreign_wrote: 0,
            foreign_due: 0,
            sessions: 0,
            tickets: 0,
            sent: BTreeMap::new(),
            has_ended: false,
        };
        world.put(Input::Fetched(Fetched::Document(Ok(None))));
        world
    }

    pub(super) fn take(&mut self, step: Step) {
        if self.has_ended {
            return;
        }
        match step {
            Step::Join(who) => self.join(who.into()),
            Step::Leave(who) => self.leave(who.into()),
            Step::Type(who) => self.type_one(who.into()),
            Step::Resend(who) => self.resend(who.into()),
            Step::Point(who) => self.point(who.into()),
            Step::Stall(who) => self.stall(who.into(), true),
            Step::Drain(who) => self.stall(who.into(), false),
            Step::Write => self.write(),
            Step::EndTurn => self.end_turn(),
            Step::Wait(ms) => {
                self.now.instant += Duration::from_millis(ms.into());
                self.end_turn();
            }
            Step::Written => self.append_settled(None),
            Step::Refused => {
                let retry_after = Duration::from_millis(200);
                self.append_settled(Some(AppendError::Refused { retry_after }));
            }
            Step::Foreign => self.write_elsewhere(),
            Step::SnapshotPut => self.snapshot_settled(true),
            Step::SnapshotFailed => self.snapshot_settled(false),
            Step::StorageAway => self.put(Input::Storage(Availability::Unavailable)),
            Step::StorageBack => self.put(Input::Storage(Availability::Ok)),
            Step::JournalFull => self.is_journal_full = true,
        }
    }

    /// Lets everything come to rest, and looks whether all is there.
    pub(super) fn settle(&mut self) {
        self.is_journal_full = false;
        self.take(Step::StorageBack);
        for _ in 0..8 {
            for who in 0..4 {
                self.take(Step::Drain(who));
                self.take(Step::Wait(300));
                self.take(Step::Resend(who));
            }
            self.take(Step::SnapshotPut);
            for _ in 0..4 {
                self.take(Step::Wait(300));
                while !self.log.under_way.is_empty() && !self.has_ended {
                    self.take(Step::Written);
                }
            }
        }
        self.take(Step::Wait(300));
        assert!(self.sent.is_empty(), "not answered: {:?}", self.sent.keys());
        let seen = self.seen_by_a_newcomer();
        for person in &self.people {
            if person.connection.is_none() {
                continue;
            }
            assert!(person.is_live, "{} is left behind", person.client);
            assert_eq!(seen.clock(person.client), person.sent, "all is saved");
            let foreign = person.has.clock(FOREIGN);
            assert!(
                foreign >= self.foreign_due,
                "of another instance: {foreign}"
            );
            let own = |replica: &Replica| {
                let mut replica = replica.clone();
                replica.0.remove(&FOREIGN);
                replica
            };
            assert_eq!(own(&person.has), own(&seen), "{} has all", person.client);
        }
    }

    fn seen_by_a_newcomer(&self) -> Replica {
        let mut seen = Replica::default();
        let opened = opened(&self.log, &[]);
        let mut live = opened.document;
        let state = live.difference(None).expect("a state");
        seen.apply(&state);
        seen
    }

    fn end_turn(&mut self) {
        let behind = self
            .core
            .members
            .behind()
            .map(|(member, _)| member.peer.clone());
        let behind: Vec<_> = behind.collect();
        for connection in behind {
            if crate::room::Peer::queued_bytes(&*connection) == 0 {
                self.put(Input::Drained(connection.session()));
            }
        }
        self.put(Input::EndOfTurn(Pressure::Easy));
        self.audiences.flush();
        self.hear();
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket {
            request: "test",
            id: Some(self.tickets),
        }
    }

    fn join(&mut self, who: usize) {
        if self.people[who].connection.is_some() {
            return;
        }
        self.sessions += 1;
        let person = &mut self.people[who];
        let connection = Connection::new(self.sessions, who as u8);
        person.connection = Some(Arc::clone(&connection));
        person.last_ack = 0;
        let state_vector = Some(person.has.state_vector());
        let ticket = self.ticket();
        self.command(Command::Join {
            peer: connection,
            ticket,
            creation: Creation::Allowed,
            state_vector,
        });
    }

    fn leave(&mut self, who: usize) {
        let person = &mut self.people[who];
        let Some(connection) = person.connection.take() else {
            return;
        };
        person.is_live = false;
        person.owes_sync = false;
        // What was sent and not acknowledged is sent again by the next connection.
        person.sent = person.has.clock(person.client);
        let session = connection.session();
        self.gone.push(connection);
        let answer = None;
        self.command(Command::Leave { session, answer });
    }

    fn type_one(&mut self, who: usize) {
        let person = &mut self.people[who];
        if person.connection.is_none() || !person.is_live || person.sent >= 100 {
            return;
        }
        let client = person.client;
        *person.has.0.entry(client).or_default() += 1;
        self.send(who);
    }

    /// Sends what the server was not sent yet.
    fn send(&mut self, who: usize) {
        let person = &mut self.people[who];
        let (client, from) = (person.client, person.sent);
        let to = person.has.clock(client);
        let Some(connection) = person.connection.clone().filter(|_| from < to) else {
            return;
        };
        person.sent = to;
        self.update(connection, client, from, to, Standing::Member);
    }

    /// Sends what others wrote and the server lacks: they may never come back.
    fn send_others(&mut self, who: usize, theirs: &StateVector) {
        let person = &self.people[who];
        let own = person.client;
        let Some(connection) = person.connection.clone() else {
            return;
        };
        for (client, to) in person.has.0.clone() {
            let from = theirs.clock(client);
            if client != own && from < to {
                self.update(Arc::clone(&connection), client, from, to, Standing::Member);
            }
        }
    }

    fn update(
        &mut self,
        peer: Arc<Connection>,
        client: ClientId,
        from: u32,
        to: u32,
        standing: Standing,
    ) {
        let ticket = self.ticket();
        let is_own = standing == Standing::Author
            || self.people.iter().any(|person| {
                let own = person.connection.as_ref();
                person.client == client && own.is_some_and(|own| Arc::ptr_eq(own, &peer))
            });
        self.sent.insert(self.tickets, Sent { client, to, is_own });
        let bytes = written(client, from, to);
        let checked = document::validate(&bytes).expect("an update");
        self.command(Command::Update(Box::new(Update {
            peer,
            ticket,
            bytes,
            checked,
            standing,
        })));
    }

    /// Synchronises, if there is a reason, and then sends the difference.
    fn resend(&mut self, who: usize) {
        let person = &mut self.people[who];
        let owes_sync = std::mem::take(&mut person.owes_sync);
        let Some(peer) = person.connection.clone().filter(|_| owes_sync) else {
            return;
        };
        let state_vector = person.has.state_vector();
        let ticket = self.ticket();
        self.command(Command::Sync {
            peer,
            ticket,
            state_vector,
        });
    }

    fn point(&mut self, who: usize) {
        let person = &mut self.people[who];
        let Some(peer) = person.connection.clone().filter(|_| person.is_live) else {
            return;
        };
        person.cursor += 1;
        let entries = vec![awareness::Entry {
            client: person.client,
            clock: person.cursor,
            state: Some("{}".into()),
        }];
        let ticket = self.ticket();
        self.command(Command::Awareness {
            peer,
            ticket,
            entries,
            bytes: 8,
        });
    }

    fn stall(&mut self, who: usize, is_stalled: bool) {
        if let Some(connection) = &self.people[who].connection {
            connection.stall(is_stalled);
        }
    }

    fn write(&mut self) {
        if self.author_wrote >= 100 {
            return;
        }
        let (author, from) = (Arc::clone(&self.author), self.author_wrote);
        self.author_wrote += 1;
        self.update(author, AUTHOR, from, from + 1, Standing::Author);
    }

    fn write_elsewhere(&mut self) {
        if self.log.exists && self.foreign_wrote < 100 {
            let from = self.foreign_wrote;
            self.foreign_wrote += 1;
            self.log.write(written(FOREIGN, from, from + 1));
        }
    }

    fn append_settled(&mut self, error: Option<AppendError>) {
        let Some(entry) = self.log.under_way.pop_front() else {
            return;
        };
        let result = match error {
            Some(error) => Err(error),
            None => {
                for (row, _) in entry.rows {
                    self.log.write(row);
                }
                self.foreign_due = self.foreign_wrote;
                Ok(Seq(self.log.rows.len() as i64))
            }
        };
        self.put(Input::Appended(result));
        self.hear();
    }

    fn snapshot_settled(&mut self, is_put: bool) {
        let Some((seq, state)) = self.log.putting.take() else {
            return;
        };
        let before = document_of(&self.log.rows[..rows(seq)]);
        let holds = document_of(std::slice::from_ref(&state));
        for client in 0..=AUTHOR {
            let lacks = holds.clock(client) < before.clock(client);
            assert!(!lacks, "the snapshot at {seq:?} lacks some of {client}");
        }
        if is_put {
            self.log.snapshot = Some((seq, state));
        }
        self.put(Input::SnapshotPut(is_put.then_some(seq)));
    }

    fn command(&mut self, command: Command<Arc<Connection>>) {
        let is_full = matches!(command, Command::Update(_)) && self.is_journal_full;
        if is_full {
            self.is_journal_full = false;
        }
        let queued_bytes = match &command {
            Command::Join { peer, .. } | Command::Sync { peer, .. } => {
                crate::room::Peer::queued_bytes(&**peer)
            }
            _ => 0,
        };
        let means = Means {
            reservation: self.journal.reserve(0).filter(|_| !is_full),
            pressure: Pressure::Easy,
            queued_bytes,
        };
        self.put(Input::Command(command, means));
        self.hear();
    }

    /// Puts one input in, and does what comes of it.
    fn put(&mut self, input: Input<Arc<Connection>>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let (mut outputs, mut full) = (Vec::new(), Vec::new());
            self.core.on(self.now, input, &mut outputs);
            for output in outputs {
                self.act(output, &mut full, &mut inputs);
            }
            for session in full {
                inputs.push_front(Input::Full(session));
            }
        }
    }

    fn act(
        &mut self,
        output: Output<Arc<Connection>>,
        full: &mut Vec<SessionId>,
        inputs: &mut VecDeque<Input<Arc<Connection>>>,
    ) {
        use crate::room::Peer;
        match output {
            Output::Answer(peer, ticket, answer) => Peer::answer(&*peer, ticket, answer),
            Output::Acks(acks) => {
                for (receipt, seq) in acks {
                    Peer::accept(&*receipt.peer, receipt.ticket, receipt.acked(seq));
                }
            }
            Output::Charge { .. } => {}
            Output::Seat(peer) => peer.sit(&mut self.audiences),
            Output::Unseat(session) => self.audiences.remove(session),
            Output::SetGate(session, gate) => self.audiences.set_gate(session, gate),
            Output::Tell {
                message, except, ..
            } => drop(self.audiences.tell(&message, except, full)),
            Output::TellOne(session, message) => self.audiences.tell_one(session, &message, full),
            Output::Show(moved) => {
                let core = &self.core;
                let since = |generation| core.cursors_since(generation);
                let (_, shown) = self.audiences.show(&moved, since, full);
                inputs.push_back(Input::Shown(shown));
            }
            Output::Announce(message) => self.audiences.announce(&message),
            Output::Cut(peer, reason) => Peer::cut(&*peer, reason),
            Output::Append(_, entry) => self.log.under_way.push_back(entry),
            Output::PutSnapshot { seq, state, .. } => {
                assert!(self.log.putting.is_none(), "one snapshot at a time");
                self.log.putting = Some((seq, state));
            }
            Output::SetAside(..) => panic!("nothing is damaged here"),
            Output::Fetch(fetch) => {
                let fetched = self.fetch(fetch);
                inputs.push_front(Input::Fetched(fetched));
            }
            Output::Release => {
                assert!(self.log.under_way.is_empty(), "all is written");
                assert!(self.sent.is_empty(), "all is answered");
                assert!(self.people.iter().all(|person| person.connection.is_none()));
                self.has_ended = true;
            }
            Output::End(error) => panic!("nothing ends the room here: {error:?}"),
        }
    }

    fn fetch(&mut self, fetch: Fetch) -> Fetched {
        match fetch {
            Fetch::Document => Fetched::Document(Ok(None)),
            Fetch::Create { at, .. } => {
                self.log.exists = true;
                let record = DocumentRecord {
                    id: DocumentId::generate(),
                    head_seq: Seq(0),
                    created_at: at,
                };
                Fetched::Created(Ok((record, None)))
            }
            Fetch::Reload { unwritten, .. } => Fetched::Reloaded(Ok(opened(&self.log, &unwritten))),
            Fetch::Log { .. } => Fetched::Log(Ok(self.log.loaded())),
        }
    }

    /// Lets everybody hear what was said, and checks it.
    fn hear(&mut self) {
        for connection in std::mem::take(&mut self.gone) {
            for heard in connection.take_heard() {
                self.settled(&heard);
            }
            self.gone.push(connection);
        }
        for heard in self.author.take_heard() {
            self.settled(&heard);
            if let Heard::Refused(..) = heard {
                // It does not try again: what it writes later waits for this.
                self.author_wrote = 100;
            }
        }
        for who in 0..self.people.len() {
            let Some(connection) = self.people[who].connection.clone() else {
                continue;
            };
            for heard in connection.take_heard() {
                self.settled(&heard);
                self.one_hears(who, heard);
            }
            if connection.is_cut() {
                self.leave(who);
            }
        }
    }

    fn one_hears(&mut self, who: usize, heard: Heard) {
        let person = &mut self.people[who];
        match heard {
            Heard::Joined(update, theirs) | Heard::Synced(update, theirs) => {
                person.has.apply(&update);
                person.is_live = true;
                person.sent = theirs.clock(person.client);
                self.send(who);
                self.send_others(who, &theirs);
            }
            Heard::Update(update) => {
                assert!(person.is_live, "an update before the synchronisation");
                person.has.apply(&update);
            }
            Heard::Resync => {
                person.is_live = false;
                person.owes_sync = true;
            }
            Heard::Closed => panic!("nothing closes the room here"),
            Heard::Acked(ticket, acked) => {
                person.owes_sync |= acked.visibility == Visibility::Pending;
                assert!(ticket > person.last_ack, "acks come in order");
                person.last_ack = ticket;
            }
            Heard::Refused(..) => person.owes_sync = true,
            Heard::Other => {}
        }
    }

    /// Checks what was said of an update.
    fn settled(&mut self, heard: &Heard) {
        match heard {
            Heard::Acked(ticket, acked) => {
                let sent = self.sent.remove(ticket).expect("it was open");
                let elements = self.log.elements.get(&sent.client);
                let durable = |clock| elements.is_some_and(|all| all.contains(&clock));
                let is_pending = acked.visibility == Visibility::Pending;
                // What somebody may not bring for others is left out.
                let is_left_out = is_pending && !sent.is_own;
                assert!(
                    is_left_out || durable(sent.to - 1),
                    "acknowledged and not written"
                );
                assert!(
                    rows(acked.seq) <= self.log.rows.len(),
                    "a seq that does not exist"
                );
                if !is_pending {
                    assert!(
                        self.log.visible(sent.client) >= sent.to,
                        "acknowledged and not visible to newcomers"
                    );
                }
            }
            Heard::Refused(ticket, error) => {
                let expected = matches!(error, Error::StorageUnavailable | Error::Overloaded);
                assert!(expected, "refused for {error:?}");
                self.sent.remove(ticket);
            }
            _ => {}
        }
    }
}

fn document_of(updates: &[Bytes]) -> Document {
    let mut document = Document::new(caps(&limits()));
    for update in updates {
        let checked = document::validate(update).expect("an update");
        document.restore(update, &checked).expect("it applies");
    }
    document
}

fn limits() -> Limits {
    Limits {
        snapshot_rows: 5,
        ..Limits::default()
    }
}

fn memory() -> Memory {
    Memory::new(1 << 30, Metrics::new())
}

fn opened(log: &Log, unwritten: &[Bytes]) -> Opened {
    let (document, refused) = replay(
        &log.loaded(),
        unwritten,
        DocumentId::generate(),
        &limits(),
        &memory(),
    );
    assert!(refused.is_empty(), "what was written can be read");
    Opened {
        document,
        authors: Vec::new(),
    }
}
