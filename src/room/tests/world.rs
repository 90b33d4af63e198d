//! The simulated surroundings of a room's core, and the checks at the end of a schedule.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use document::StateVector;
use tokio::time::Instant;

use super::{
    Step,
    client::{Connection, Replica, rows, written},
    log::{Log, document_of, limits, memory, metadata, metrics, opened},
    people::Person,
};
use crate::{
    config::Timing,
    id::{ClientId, Seq, SessionId, Timestamp},
    limits::Pressure,
    room::{
        Command, Peer, Standing,
        audiences::Audiences,
        core::RoomCore,
        interface::{Fetch, Fetched, Input, Now, Output, Resources},
        open_document::OpenDocument,
    },
    store::{AppendError, Availability, JournalOptions, Lineage, UpdateLog, Writers},
};

/// The client that writes through another instance …
pub(super) const FOREIGN: ClientId = 100;
/// … and the one of the author without a seat.
pub(super) const AUTHOR: ClientId = 101;

type Core = RoomCore<Arc<Connection>>;

pub(super) struct World {
    pub(super) core: Core,
    pub(super) audiences: Audiences,
    pub(super) now: Now,
    pub(super) log: Log,
    pub(super) lineage: Lineage,
    pub(super) journal: UpdateLog,
    pub(super) is_journal_full: bool,
    pub(super) people: [Person; 4],
    /// Closed connections: their last acks may still arrive.
    pub(super) gone: Vec<Arc<Connection>>,
    pub(super) author: Arc<Connection>,
    pub(super) author_wrote: u32,
    pub(super) foreign_wrote: u32,
    /// How many of these elements the room must have: it notices foreign rows at its own next
    /// append.
    pub(super) foreign_due: u32,
    /// Whether the log was read in this turn, for somebody who joined or because its head was seen: then it is not read again.
    pub(super) has_compared: bool,
    pub(super) sessions: u64,
    pub(super) tickets: u64,
    /// The updates that were sent and not answered, by ticket.
    pub(super) sent: BTreeMap<u64, Sent>,
    /// When the team was last told of an edit.
    pub(super) edit_told: Option<Instant>,
    /// The events that happened.
    pub(super) events: Vec<Before>,
    pub(super) has_ended: bool,
}

/// What the room had when an event happened.
pub(super) struct Before {
    /// What the document held: all of it is told before the event.
    pub(super) held: StateVector,
    /// The members that were told everything.
    pub(super) live: Vec<SessionId>,
}

pub(super) struct Sent {
    pub(super) client: ClientId,
    pub(super) to: u32,
    /// Whether the sender is the author of the content.
    pub(super) is_own: bool,
}

/// A core whose document is not loaded yet.
fn new_core(now: Now) -> Core {
    let limits = limits();
    let timing = Timing {
        room_idle_ms: 1_000,
        ..Timing::default()
    };
    let document = OpenDocument::empty(&limits, &memory());
    RoomCore::new(
        document,
        Arc::new(limits),
        Arc::new(timing),
        metrics(),
        Writers::Several,
        Availability::Ok,
        now,
    )
}

impl World {
    /// A room whose document does not exist yet, and four people who have not joined.
    pub(super) fn new() -> Self {
        let now = Now {
            instant: Instant::now(),
            time: Timestamp::now(),
        };
        let options = JournalOptions {
            bytes_max: 1 << 30,
            commit_interval: Duration::ZERO..=Duration::ZERO,
            history: Duration::ZERO,
        };
        let mut world = Self {
            core: new_core(now),
            audiences: Audiences::default(),
            now,
            log: Log::default(),
            lineage: Lineage::default(),
            journal: UpdateLog::new(options).0,
            is_journal_full: false,
            people: [1, 2, 3, 4].map(Person::new),
            gone: Vec::new(),
            author: Connection::new(1 << 40, 9),
            author_wrote: 0,
            foreign_wrote: 0,
            foreign_due: 0,
            has_compared: false,
            sessions: 0,
            tickets: 0,
            sent: BTreeMap::new(),
            edit_told: None,
            events: Vec::new(),
            has_ended: false,
        };
        world.put(Input::Fetched(Box::new(Fetched::Document(Ok(None)))));
        world
    }

    /// Carries out one step of a schedule.
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
            Step::Squeeze(who, messages) => {
                if let Some(connection) = &self.people[usize::from(who)].connection {
                    connection.squeeze(messages);
                }
            }
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
            Step::HeadSeen => self.see_head(),
            Step::Lost(rows) => self.lose(rows.into()),
            Step::SnapshotPut => self.snapshot_settled(true),
            Step::SnapshotFailed => self.snapshot_settled(false),
            Step::StorageAway => self.put(Input::Storage(Availability::Unavailable)),
            Step::StorageBack => self.put(Input::Storage(Availability::Ok)),
            Step::Happen => self.happen(),
            Step::JournalFull => self.is_journal_full = true,
        }
    }

    /// Lets the room and its clients come to rest, and checks that every client has everything.
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
        assert!(
            self.sent.is_empty(),
            "requests without an answer: {:?}",
            self.sent.keys()
        );
        let seen = self.seen_by_a_newcomer();
        for person in &self.people {
            if person.connection.is_none() {
                continue;
            }
            assert!(person.is_live, "{} has to resync", person.client);
            assert_eq!(
                seen.clock(person.client),
                person.sent,
                "all elements are in the log"
            );
            let foreign = person.has.clock(FOREIGN);
            assert!(
                foreign >= self.foreign_due,
                "it has {foreign} elements of another instance"
            );
            let own = |replica: &Replica| {
                let mut replica = replica.clone();
                replica.0.remove(&FOREIGN);
                replica
            };
            assert_eq!(
                own(&person.has),
                own(&seen),
                "{} has everything",
                person.client
            );
        }
    }

    pub(super) fn seen_by_a_newcomer(&self) -> Replica {
        let mut seen = Replica::default();
        let opened = opened(&self.log, &[]);
        let mut live = opened.document;
        let state = live.difference(None).expect("a state");
        seen.apply(&state);
        seen
    }

    pub(super) fn end_turn(&mut self) {
        let behind = self
            .core
            .members
            .lagging()
            .map(|(member, _)| member.peer.clone());
        let behind: Vec<_> = behind.collect();
        for connection in behind {
            if Peer::queued_bytes(&*connection) == 0 {
                self.put(Input::Drained(connection.session()));
            }
        }
        self.has_compared = false;
        self.put(Input::EndOfTurn(Pressure::Easy));
        self.audiences.flush();
        self.hear();
    }

    pub(super) fn stall(&mut self, who: usize, is_stalled: bool) {
        if let Some(connection) = &self.people[who].connection {
            connection.stall(is_stalled);
        }
    }

    pub(super) fn write(&mut self) {
        if self.author_wrote >= 100 {
            return;
        }
        let (author, from) = (Arc::clone(&self.author), self.author_wrote);
        self.author_wrote += 1;
        self.update(author, AUTHOR, from, from + 1, Standing::Author);
    }

    pub(super) fn write_elsewhere(&mut self) {
        if self.log.exists && self.foreign_wrote < 100 {
            let from = self.foreign_wrote;
            self.foreign_wrote += 1;
            self.log.write(written(FOREIGN, from, from + 1));
        }
    }

    /// The newest position in the database is seen. What is not read then because own rows are under way is noticed when these
    /// are written.
    pub(super) fn see_head(&mut self) {
        if self.log.exists {
            let head = Seq(self.log.rows.len() as i64);
            self.put(Input::HeadSeen(Some(head)));
            if self.log.under_way.is_empty() {
                // All commands of a turn were received before it began, and the log is read once for them.
                self.has_compared |= self.foreign_due < self.foreign_wrote;
                self.foreign_due = self.foreign_wrote;
            }
            self.hear();
        }
    }

    pub(super) fn append_settled(&mut self, error: Option<AppendError>) {
        let Some(entry) = self.log.under_way.pop_front() else {
            return;
        };
        let result = match error {
            Some(error) => Err(error),
            None => {
                for row in entry.rows {
                    self.log.write(row.payload);
                }
                self.foreign_due = self.foreign_wrote;
                Ok(Seq(self.log.rows.len() as i64))
            }
        };
        self.put(Input::Appended(result));
        self.hear();
    }

    pub(super) fn snapshot_settled(&mut self, is_put: bool) {
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

    pub(super) fn command(&mut self, command: Command<Arc<Connection>>) {
        let is_full = matches!(command, Command::Update(_)) && self.is_journal_full;
        if is_full {
            self.is_journal_full = false;
        }
        let queued_bytes = match &command {
            Command::Join { peer, .. } | Command::Sync { peer, .. } => Peer::queued_bytes(&**peer),
            _ => 0,
        };
        let resources = Resources {
            reservation: self.journal.reserve(0).filter(|_| !is_full),
            pressure: Pressure::Easy,
            queued_bytes,
        };
        self.put(Input::Command(command, resources));
        self.hear();
    }

    /// Gives the core one input, and carries out its outputs.
    pub(super) fn put(&mut self, input: Input<Arc<Connection>>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut full = Vec::new();
            self.core.on(self.now, input);
            for output in std::mem::take(&mut self.core.outputs) {
                self.act(output, &mut full, &mut inputs);
            }
            for session in full {
                inputs.push_front(Input::Full(session));
            }
        }
    }

    pub(super) fn act(
        &mut self,
        output: Output<Arc<Connection>>,
        full: &mut Vec<SessionId>,
        inputs: &mut VecDeque<Input<Arc<Connection>>>,
    ) {
        match output {
            Output::Answer(peer, ticket, answer) => Peer::answer(&*peer, ticket, answer),
            Output::Acks(acks) => {
                for (ack, seq) in acks {
                    Peer::accept(&*ack.peer, ack.ticket, ack.acked(seq));
                }
            }
            Output::Charge { .. } => {}
            Output::AddSeat(peer) => peer.sit(&mut self.audiences),
            Output::RemoveSeat(session) => self.audiences.remove(session),
            Output::SetGate(session, gate) => self.audiences.set_gate(session, gate),
            Output::Tell {
                message, except, ..
            } => drop(self.audiences.tell(&message, except, full)),
            Output::TellOne(session, message) => self.audiences.tell_one(session, &message, full),
            Output::RelayAwareness(moved) => {
                let core = &self.core;
                let since = |generation| core.awareness_since(generation);
                let (_, shown) = self.audiences.show(&moved, since, full);
                inputs.push_back(Input::AwarenessShown(shown));
            }
            Output::Announce(message) => self.audiences.announce(&message),
            Output::Cut(peer, reason) => Peer::cut(&*peer, reason),
            Output::Append(_, entry) => self.log.under_way.push_back(entry),
            Output::PutSnapshot { seq, state, .. } => {
                assert!(self.log.putting.is_none(), "one snapshot at a time");
                self.log.putting = Some((seq, state));
            }
            Output::NoticeEdit(..) => self.notice_edit(),
            Output::SetAside(..) => panic!("nothing is damaged here"),
            Output::Fetch(fetch) => {
                let fetched = self.fetch(fetch);
                inputs.push_front(Input::Fetched(Box::new(fetched)));
            }
            Output::Unload => {
                assert!(self.log.under_way.is_empty(), "all appends are settled");
                assert!(self.sent.is_empty(), "all requests are answered");
                assert_eq!(self.core.edit_notice_due(), None, "the last edit is told");
                assert!(self.people.iter().all(|person| person.connection.is_none()));
                self.has_ended = true;
            }
            Output::End(error) => panic!("nothing ends the room here: {error:?}"),
        }
    }

    pub(super) fn fetch(&mut self, fetch: Fetch) -> Fetched {
        match fetch {
            Fetch::Document => Fetched::Document(Ok(None)),
            Fetch::Create { at, .. } => {
                self.log.exists = true;
                Fetched::Created(Ok((Arc::new(metadata(at)), None)))
            }
            Fetch::Reload { unwritten, .. } => {
                let mut opened = opened(&self.log, &unwritten);
                opened.document.lineage = self.lineage;
                Fetched::Reloaded(Ok(opened))
            }
            Fetch::Log { since, .. } => {
                self.foreign_due = self.foreign_wrote;
                Fetched::Log(Ok(self.log.read_on(since)))
            }
        }
    }
}
