//! The task of one room: the only owner of its document.
//!
//! It takes what waits in its inbox as one turn: each update is applied by
//! itself, what they bring is relayed as one message and appended as one group
//! of rows, and each sender's ack goes out when the log has them. Whatever the
//! task awaits (loading, creating, rebuilding) it awaits between commands.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{error, info};

use super::{
    Answer, Command, Creation, Event, Joined, Message, ResyncReason, Seat, Synced, Ticket,
    commits::{Accepted, Commits, Integrated, Receipt},
    members::Members,
    ownership::Ownership,
    replica::{self, Replica},
    rooms::{Backlog, Released, Shared},
    turn::{self, Pace},
};
use crate::{
    document::{
        Advance, Applied, ApplyError, Checked, StateVector,
        awareness::{self, Author, Awareness, Entry, Identity},
    },
    error::{Error, Result},
    id::{DocumentKey, Seq, SessionId, Timestamp},
    store::{AppendError, Availability, DocumentRecord},
};

/// The most commands taken in one turn.
const TURN_MAX: usize = 512;
/// How often a room looks after members whose queues have to drain.
const TEND_EVERY: Duration = Duration::from_millis(100);
/// How often a room looks for awareness states that were not renewed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Room {
    key: DocumentKey,
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Command>,
    own: mpsc::UnboundedSender<Command>,
    backlog: Arc<Backlog>,
    availability: watch::Receiver<Availability>,
    record: Option<DocumentRecord>,
    replica: Replica,
    members: Members,
    ownership: Ownership,
    awareness: Awareness,
    /// The newest of each client that is yet to be told.
    moved: Vec<Entry>,
    mover: Mover,
    commits: Commits,
    relays: Pace,
    cursors: Pace,
    swept_at: Instant,
    empty_since: Instant,
    end: End,
}

/// Whose cursors wait to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mover {
    Nobody,
    Only(SessionId),
    Several,
}

/// Whether the task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Draining,
    Closed,
}

/// Whether the replica can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Sound,
    Broken,
}

impl Room {
    pub(super) fn new(
        key: DocumentKey,
        shared: Arc<Shared>,
        own: mpsc::UnboundedSender<Command>,
        inbox: mpsc::UnboundedReceiver<Command>,
        backlog: Arc<Backlog>,
    ) -> Self {
        let now = Instant::now();
        Self {
            availability: shared.store.log().availability(),
            replica: Replica::empty(&shared.limits),
            members: Members::new(shared.metrics.clone()),
            relays: Pace::new(shared.timing.relay_tick_ms),
            cursors: Pace::new(shared.timing.awareness_tick_ms),
            key,
            shared,
            inbox,
            own,
            backlog,
            record: None,
            ownership: Ownership::default(),
            awareness: Awareness::default(),
            moved: Vec::new(),
            mover: Mover::Nobody,
            commits: Commits::default(),
            swept_at: now,
            empty_since: now,
            end: End::Open,
        }
    }

    /// Loads the document and serves the room until nobody needs it.
    pub(super) async fn run(mut self) {
        self.shared.metrics.room_opened();
        if let Err(error) = self.load().await {
            self.close(error);
        }
        let mut turn = Vec::with_capacity(16);
        let timer = tokio::time::sleep_until(Instant::now());
        tokio::pin!(timer);
        while self.end != End::Closed {
            let deadline = self.next_deadline();
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                _ = self.inbox.recv_many(&mut turn, TURN_MAX) => {}
                Ok(()) = self.availability.changed() => self.announce_storage(),
                () = &mut timer => {}
            }
            for command in turn.drain(..) {
                self.backlog.take(&command);
                self.take(command).await;
            }
            self.end_turn().await;
        }
        self.shared.metrics.room_closed();
    }

    async fn load(&mut self) -> Result<()> {
        let Some(record) = self.shared.store.find_document(&self.key).await? else {
            return Ok(());
        };
        self.replica = replica::load(&self.shared, record.id, Vec::new()).await?;
        self.record = Some(record);
        Ok(())
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Join { seat, ticket, creation, state_vector } => {
                self.join(seat, ticket, creation, state_vector).await;
            }
            Command::Leave { session, answer } => {
                self.leave(session);
                if let Some((seat, ticket)) = answer {
                    seat.answer(ticket, Answer::Done);
                }
            }
            Command::Sync { seat, ticket, state_vector } => {
                self.sync(&seat, ticket, &state_vector).await;
            }
            Command::Update { seat, ticket, bytes, checked } => {
                let receipt = Receipt { seat, ticket, received: Instant::now() };
                if self.update(receipt, bytes, &checked) == Health::Broken {
                    self.rebuild().await;
                }
            }
            Command::Awareness { seat, ticket, entries, bytes } => {
                self.shared.metrics.awareness_received(bytes as u64);
                let answer = match self.move_cursors(&*seat, entries) {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Refused(error),
                };
                seat.answer(ticket, answer);
            }
            Command::Own(Event::Appended(result)) => self.appended(result).await,
            Command::Own(Event::SnapshotPut(held)) => self.replica.snapshot_settled(held),
            Command::Own(Event::Drain) if self.end == End::Open => self.end = End::Draining,
            Command::Own(Event::Drain) => {}
        }
    }

    async fn join(
        &mut self,
        seat: Arc<dyn Seat>,
        ticket: Ticket,
        creation: Creation,
        theirs: Option<StateVector>,
    ) {
        let joined = match self.record(&seat, creation).await {
            Ok(record) => {
                let now = Timestamp::now();
                let owes_reply = theirs.as_ref().is_some_and(|sv| self.replica.lacks_some_of(sv));
                self.members.admit(Arc::clone(&seat), owes_reply, now);
                self.describe(&*seat, &record, theirs.as_ref())
            }
            Err(error) => Err(error),
        };
        match joined {
            Ok(joined) => seat.answer(ticket, Answer::Joined(Box::new(joined))),
            Err(error) => {
                self.leave(seat.participant().session);
                seat.answer(ticket, Answer::Refused(error));
            }
        }
        if self.replica.is_broken() {
            self.rebuild().await;
        }
    }

    /// The document's record; brings the document into being where that is allowed.
    async fn record(&mut self, seat: &Arc<dyn Seat>, creation: Creation) -> Result<DocumentRecord> {
        match (&self.record, creation) {
            _ if self.end != End::Open => Err(Error::Draining),
            (Some(record), _) => Ok(record.clone()),
            (None, Creation::Forbidden) => Err(Error::NotFound { what: "document" }),
            (None, Creation::Allowed) => {
                let by = &seat.participant().user.id;
                let store = &self.shared.store;
                let record = store.create_document(&self.key, by, Timestamp::now()).await?;
                if record.head_seq > Seq(0) {
                    self.replica = replica::load(&self.shared, record.id, Vec::new()).await?;
                }
                self.record = Some(record.clone());
                Ok(record)
            }
        }
    }

    fn describe(
        &mut self,
        seat: &dyn Seat,
        record: &DocumentRecord,
        theirs: Option<&StateVector>,
    ) -> Result<Joined> {
        Ok(Joined {
            document: record.id,
            seq: self.replica.durable(),
            state_vector: self.replica.state_vector(),
            update: self.difference(seat, theirs)?,
            awareness: (!self.awareness.is_empty()).then(|| self.awareness.encode_all().into()),
            members: self.members.people(),
            storage: *self.availability.borrow(),
        })
    }

    /// What a client that has `theirs` lacks.
    fn difference(&mut self, seat: &dyn Seat, theirs: Option<&StateVector>) -> Result<Bytes> {
        if seat.queued_bytes() > self.shared.limits.socket_queue_bytes_max {
            return Err(Error::Overloaded);
        }
        self.replica.difference(theirs).map_err(|_| Error::Internal)
    }

    fn leave(&mut self, session: SessionId) {
        if !self.members.remove(session) {
            return;
        }
        self.ownership.release(session);
        let gone = self.awareness.remove_session(session);
        self.tell_gone(&gone);
        self.empty_since = Instant::now();
    }

    async fn sync(&mut self, seat: &Arc<dyn Seat>, ticket: Ticket, theirs: &StateVector) {
        let session = seat.participant().session;
        let answer = match self.members.find(session) {
            None => Err(NOT_JOINED),
            Some(_) => self.difference(&**seat, Some(theirs)),
        };
        match answer {
            Ok(update) => {
                let state_vector = self.replica.state_vector();
                let synced = Synced { update, state_vector, seq: self.replica.durable() };
                seat.answer(ticket, Answer::Synced(synced));
                self.members.synced(session, self.replica.lacks_some_of(theirs));
                if !self.awareness.is_empty() {
                    let everybody = Message::Awareness(self.awareness.encode_all().into());
                    seat.deliver(&super::Outgoing::new(everybody));
                }
            }
            Err(error) => seat.answer(ticket, Answer::Refused(error)),
        }
        if self.replica.is_broken() {
            self.rebuild().await;
        }
    }

    /// Takes an update in, or refuses it and leaves the document as it was.
    fn update(&mut self, receipt: Receipt, bytes: Bytes, checked: &Checked) -> Health {
        self.shared.metrics.update_received(bytes.len() as u64);
        match self.apply(&receipt, &bytes, checked) {
            Ok(Some((integrated, reservation))) => {
                self.shared.metrics.update_accepted();
                let from = receipt.seat.participant().session;
                let accepted = Accepted { bytes, from, integrated, reservation };
                self.commits.accept(accepted, receipt);
            }
            Ok(None) => {
                if let Some(due) = self.commits.await_all(receipt) {
                    due.accept(self.replica.durable());
                }
            }
            Err(error) => receipt.refuse(error),
        }
        if self.replica.is_broken() { Health::Broken } else { Health::Sound }
    }

    fn apply(
        &mut self,
        receipt: &Receipt,
        bytes: &Bytes,
        checked: &Checked,
    ) -> Result<Option<(Integrated, crate::store::Reservation)>> {
        if self.end != End::Open {
            return Err(Error::Draining);
        }
        let who = receipt.seat.participant();
        let Some(member) = self.members.find(who.session) else { return Err(NOT_JOINED) };
        let live = !std::mem::take(&mut member.owes_reply);
        member.last_seen_at = Timestamp::now();
        let news: Vec<Advance> = self.replica.news(checked);
        let shown = |client| {
            let session = self.awareness.owner(client)?;
            Some((session, self.members.user(session)?))
        };
        self.ownership
            .check(who.session, &who.user.id, &news, shown)
            .map_err(|_| Error::Conflict { reason: "the client id belongs to someone else" })?;
        self.replica.admits(bytes.len())?;
        let reservation =
            self.shared.store.log().reserve(bytes.len()).ok_or(Error::StorageUnavailable)?;
        let integrated = match self.replica.apply(bytes, checked) {
            Ok(Applied::News) => Integrated::Wholly,
            Ok(Applied::Pending) => Integrated::Pending,
            Ok(Applied::Nothing) => return Ok(None),
            Err(ApplyError::Undecodable) => return Err(invalid_update("cannot be decoded")),
            Err(ApplyError::TooDeep) => return Err(invalid_update("nests too deeply")),
            Err(ApplyError::PendingFull) => return Err(Error::Overloaded),
            Err(ApplyError::Panicked) => {
                self.shared.metrics.apply_panicked();
                error!(session = who.session.0, user = who.user.id.as_str(), "an update broke the document; rebuilding it");
                return Err(invalid_update("cannot be applied"));
            }
        };
        if live {
            self.ownership.claim(who.session, &who.user.id, &news);
        }
        Ok(Some((integrated, reservation)))
    }

    fn move_cursors(&mut self, seat: &dyn Seat, entries: Vec<Entry>) -> Result<()> {
        let who = seat.participant();
        let now = Timestamp::now();
        self.members.find(who.session).ok_or(NOT_JOINED)?.last_seen_at = now;
        let author = Author {
            session: who.session,
            user: Identity {
                id: who.user.id.as_str(),
                name: &who.user.name,
                avatar_url: who.user.avatar_url.as_deref(),
                color: who.color,
            },
        };
        let ids_max = self.shared.limits.client_ids_per_session;
        for entry in self.awareness.apply(&author, entries, now.0, ids_max) {
            match self.moved.iter_mut().find(|moved| moved.client == entry.client) {
                Some(moved) => *moved = entry,
                None => self.moved.push(entry),
            }
            self.mover = match self.mover {
                Mover::Nobody => Mover::Only(who.session),
                Mover::Only(session) if session == who.session => self.mover,
                _ => Mover::Several,
            };
        }
        Ok(())
    }

    /// Relays and appends what is due, looks after laggards, ends the room where nobody needs it.
    async fn end_turn(&mut self) {
        let now = Instant::now();
        let draining = self.end == End::Draining;
        if self.commits.accepted() > 0 && (draining || self.relays.due(now) <= now) {
            self.flush(now);
        }
        if !self.moved.is_empty() && self.cursors.due(now) <= now {
            self.tell_moved(now);
        }
        if self.members.any_behind() {
            let patience = Duration::from_millis(self.shared.timing.lag_timeout_ms);
            self.members.tend(now, self.shared.limits.socket_queue_bytes_max, patience);
        }
        if now >= self.swept_at + SWEEP_EVERY {
            self.swept_at = now;
            let timeout = self.shared.timing.awareness_timeout_ms;
            let timeout = i64::try_from(timeout).unwrap_or(i64::MAX);
            let gone = self.awareness.sweep(Timestamp::now().0, timeout);
            self.tell_gone(&gone);
        }
        self.put_snapshot_when_due();
        match self.end {
            End::Draining if self.commits.is_idle() => self.close(Error::Draining),
            End::Open if now >= self.idle_deadline() => self.unload(),
            _ => {}
        }
    }

    /// Relays what was accepted, then hands it to the log.
    fn flush(&mut self, now: Instant) {
        let Some(record) = &self.record else { return };
        let document = record.id;
        let accepted = self.commits.take_accepted();
        self.relays.went(accepted.len(), now);
        let rows = turn::merged_rows(accepted);
        for row in &rows {
            let told = self.members.tell(Message::Update(row.bytes.clone()), row.from, now);
            self.shared.metrics.relayed(row.updates, told.receivers, told.bytes);
        }
        self.commits.begin(rows.iter().map(|row| row.bytes.clone()).collect());
        let own = self.own.clone();
        let rows = rows.into_iter().map(|row| (row.bytes, row.reservation)).collect();
        let settled = move |result| {
            // Only a room that has ended does not hear it.
            let _ = own.send(Command::Own(Event::Appended(result)));
        };
        self.shared.store.log().append(document, rows, Box::new(settled));
    }

    async fn appended(&mut self, result: Result<Seq, AppendError>) {
        let Some(append) = self.commits.settle() else { return };
        match result {
            Ok(seq) => {
                let hole = self.replica.appended(seq, &append.rows);
                let now = Instant::now();
                for receipt in append.receipts {
                    self.shared.metrics.acked(now.duration_since(receipt.received));
                    receipt.accept(seq);
                }
                if hole {
                    self.catch_up().await;
                }
            }
            Err(AppendError::Gone) => {
                let gone = Error::NotFound { what: "document" };
                append.receipts.into_iter().for_each(|receipt| receipt.refuse(gone.clone()));
                self.close(gone);
            }
            Err(AppendError::Refused) => {
                append.receipts.into_iter().for_each(|receipt| receipt.refuse(Error::Internal));
                self.rebuild().await;
            }
        }
    }

    /// Reads what others wrote into this document's log, and shows it to the members.
    async fn catch_up(&mut self) {
        let Some(record) = &self.record else { return };
        match replica::read_news(&self.shared, record.id, &mut self.replica).await {
            Ok(updates) => {
                let now = Instant::now();
                for update in updates {
                    self.members.tell(Message::Update(update), None, now);
                }
            }
            Err(error) => error!(code = error.code(), document = %record.id, "the log could not be read again"),
        }
        if self.replica.is_broken() {
            self.rebuild().await;
        }
    }

    /// Builds the document anew from its log and from what is not in it yet.
    async fn rebuild(&mut self) {
        let Some(record) = &self.record else { return };
        let document = record.id;
        let mut wait = Duration::from_millis(50);
        loop {
            match replica::load(&self.shared, document, self.commits.unwritten()).await {
                Ok(replica) => break self.replica = replica,
                Err(error) if self.shared.draining() => return self.close(error),
                Err(_) => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        info!(%document, "the document was rebuilt from its log");
        self.members.resync_all(ResyncReason::Rebuilt, Instant::now());
    }

    fn tell_moved(&mut self, now: Instant) {
        let moved = std::mem::take(&mut self.moved);
        let except = match std::mem::replace(&mut self.mover, Mover::Nobody) {
            Mover::Only(session) => Some(session),
            Mover::Nobody | Mover::Several => None,
        };
        self.cursors.went(moved.len(), now);
        let bytes = awareness::encode(&moved).into();
        let told = self.members.tell(Message::Awareness(bytes), except, now);
        self.shared.metrics.awareness_relayed(told.receivers, told.bytes);
    }

    fn tell_gone(&mut self, gone: &[Entry]) {
        if gone.is_empty() {
            return;
        }
        self.moved.retain(|moved| gone.iter().all(|entry| entry.client != moved.client));
        let bytes = awareness::encode(gone).into();
        let told = self.members.tell(Message::Awareness(bytes), None, Instant::now());
        self.shared.metrics.awareness_relayed(told.receivers, told.bytes);
    }

    fn announce_storage(&mut self) {
        let availability = *self.availability.borrow_and_update();
        self.members.announce(Message::Storage(availability));
    }

    fn put_snapshot_when_due(&mut self) {
        let Some(record) = &self.record else { return };
        if *self.availability.borrow() == Availability::Ok && self.replica.snapshot_is_due() {
            let own = self.own.clone();
            replica::put_snapshot(&self.shared, record.id, &mut self.replica, move |held| {
                let _ = own.send(Command::Own(Event::SnapshotPut(held)));
            });
        }
    }

    fn idle_deadline(&self) -> Instant {
        let busy = !self.members.is_empty() || !self.commits.is_idle() || self.replica.is_saving();
        match (&self.record, busy) {
            (_, true) => far_future(),
            (None, false) => self.empty_since,
            (Some(_), false) => self.empty_since + self.shared.idle(),
        }
    }

    fn unload(&mut self) {
        if self.shared.release(&self.key, &self.inbox) == Released::Yes {
            self.end = End::Closed;
        } else {
            self.empty_since = Instant::now() + Duration::from_millis(50);
        }
    }

    /// Ends the room although members or handles exist: everyone is told why.
    fn close(&mut self, error: Error) {
        self.end = End::Closed;
        self.shared.abandon(&self.key, &mut self.inbox);
        for receipt in self.commits.abandon() {
            receipt.refuse(error.clone());
        }
        if error != Error::Draining {
            self.members.announce(Message::Closed(error.clone()));
        }
        while let Ok(command) = self.inbox.try_recv() {
            refuse(command, &error);
        }
    }

    fn next_deadline(&self) -> Instant {
        let now = Instant::now();
        let mut next = self.idle_deadline();
        if self.commits.accepted() > 0 {
            next = next.min(self.relays.due(now));
        }
        if !self.moved.is_empty() {
            next = next.min(self.cursors.due(now));
        }
        if self.members.any_behind() {
            next = next.min(now + TEND_EVERY);
        }
        if !self.awareness.is_empty() {
            next = next.min(self.swept_at + SWEEP_EVERY);
        }
        next
    }
}

const NOT_JOINED: Error = Error::Conflict { reason: "the room is not joined" };

fn invalid_update(reason: &'static str) -> Error {
    Error::Invalid { field: "update", reason }
}

/// Answers a command that will not be carried out.
fn refuse(command: Command, error: &Error) {
    let answer = Answer::Refused(error.clone());
    match command {
        Command::Join { seat, ticket, .. }
        | Command::Sync { seat, ticket, .. }
        | Command::Update { seat, ticket, .. }
        | Command::Awareness { seat, ticket, .. } => seat.answer(ticket, answer),
        Command::Leave { answer: Some((seat, ticket)), .. } => seat.answer(ticket, Answer::Done),
        Command::Leave { answer: None, .. } | Command::Own(_) => {}
    }
}

/// A moment that does not come: tokio's timers reach about two years.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}
