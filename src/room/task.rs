//! The task of one room: the only owner of its document.
//!
//! It takes what waits in its inbox as one turn: each update is applied by
//! itself, what they bring is relayed as one message and appended as one group
//! of rows, and each sender's ack goes out when the log has them. Whatever the
//! task awaits (loading, creating, rebuilding) it awaits between commands, and
//! boxed: the task is as large as the largest thing that it may wait for, and
//! there is one for each open document.

use std::{sync::Arc, time::Duration};

use document::{
    Visibility,
    awareness::{Awareness, Entry},
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Answer, Command, Event, Message, Update,
    commits::{Commits, Receipt},
    cursors::Mover,
    live::LiveDocument,
    load::{self, Opened},
    members::Members,
    ownership::Ownership,
    rooms::{Backlog, Released, Shared},
    turn::Pace,
};
use crate::{
    error::{Error, Result},
    id::{DocumentKey, SessionId, Timestamp},
    store::{Availability, DocumentRecord},
};

/// The most commands taken in one turn.
const TURN_MAX: usize = 512;
/// How often a room looks after members whose queues have to drain.
const TEND_EVERY: Duration = Duration::from_millis(100);
/// How often a room looks for awareness states that were not renewed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Room {
    pub(super) key: DocumentKey,
    pub(super) shared: Arc<Shared>,
    pub(super) inbox: mpsc::UnboundedReceiver<Command>,
    pub(super) own: mpsc::UnboundedSender<Command>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) availability: watch::Receiver<Availability>,
    pub(super) record: Option<DocumentRecord>,
    pub(super) document: LiveDocument,
    pub(super) members: Members,
    pub(super) ownership: Ownership,
    pub(super) awareness: Awareness<SessionId>,
    /// The newest of each client that is yet to be told.
    pub(super) moved: Vec<Entry>,
    pub(super) mover: Mover,
    pub(super) commits: Commits,
    pub(super) relays: Pace,
    pub(super) cursors: Pace,
    pub(super) handled: Handled,
    /// When this turn began, by the clock on the wall.
    pub(super) heard_at: Timestamp,
    started: Instant,
    pub(super) swept_at: Instant,
    pub(super) empty_since: Instant,
    /// The database has refused this document; until then nothing is accepted.
    pub(super) left_alone_until: Option<Instant>,
    pub(super) end: End,
}

/// What came of the updates of one turn: counting each costs more than some of them.
#[derive(Default)]
pub(super) struct Handled {
    pub(super) received: u64,
    pub(super) accepted: u64,
}

/// Whether the task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Draining,
    Closed,
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
            document: LiveDocument::empty(&shared.limits, &shared.memory),
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
            handled: Handled::default(),
            heard_at: Timestamp::now(),
            started: now,
            swept_at: now,
            empty_since: now,
            left_alone_until: None,
            end: End::Open,
        }
    }

    /// Loads the document and serves the room until nobody needs it.
    pub(super) async fn run(mut self) {
        self.shared.metrics.room_opened();
        if let Err(error) = Box::pin(self.load()).await {
            self.close(error);
        }
        let mut turn = Vec::new();
        let timer = tokio::time::sleep_until(Instant::now());
        tokio::pin!(timer);
        while self.end != End::Closed {
            // One that goes off early only makes for a look around; a reset costs more.
            let deadline = self.next_deadline();
            if deadline < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                // First, because it is rare: a flooded room is never without commands.
                Ok(()) = self.availability.changed() => self.announce_storage(),
                _ = self.inbox.recv_many(&mut turn, TURN_MAX) => {}
                () = &mut timer => {}
            }
            self.heard_at = Timestamp::now();
            for command in turn.drain(..) {
                self.backlog.take(&command);
                self.take(command).await;
            }
            self.end_turn();
        }
        self.shared.metrics.room_closed();
    }

    async fn load(&mut self) -> Result<()> {
        let Some(record) = self.shared.store.find_document(&self.key).await? else {
            return Ok(());
        };
        let opened = load::load(&self.shared, record.id, Vec::new()).await?;
        self.take_on(opened);
        self.record = Some(record);
        Ok(())
    }

    pub(super) fn take_on(&mut self, opened: Opened) {
        self.document = opened.document;
        self.ownership.load(opened.authors);
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Join {
                seat,
                ticket,
                creation,
                state_vector,
            } => {
                self.join(seat, ticket, creation, state_vector).await;
            }
            Command::Leave { session, answer } => {
                self.acknowledge();
                self.leave(session);
                if let Some((seat, ticket)) = answer {
                    seat.answer(ticket, Answer::Done);
                }
            }
            Command::Sync {
                seat,
                ticket,
                state_vector,
            } => {
                self.sync(&seat, ticket, &state_vector);
            }
            Command::Update(update) => {
                let Update {
                    seat,
                    ticket,
                    bytes,
                    checked,
                } = *update;
                let receipt = Receipt {
                    seat,
                    ticket,
                    received: Instant::now(),
                    visibility: Visibility::Visible,
                };
                self.update(receipt, bytes, &checked);
            }
            Command::Awareness {
                seat,
                ticket,
                entries,
                bytes,
            } => {
                self.shared.metrics.awareness_received(bytes as u64);
                let answer = match self.move_cursors(&*seat, entries) {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Refused(error),
                };
                seat.answer(ticket, answer);
            }
            Command::Own(Event::Appended(result)) => self.appended(result).await,
            Command::Own(Event::SnapshotPut(held)) => self.document.snapshot_settled(held),
            Command::Own(Event::Drain) if self.end == End::Open => self.end = End::Draining,
            Command::Own(Event::Drain) => {}
        }
        if self.document.is_broken() {
            Box::pin(self.rebuild()).await;
        }
    }

    /// Relays and appends what is due, looks after laggards, ends the room where nobody needs it.
    fn end_turn(&mut self) {
        let now = Instant::now();
        let Handled { received, accepted } = std::mem::take(&mut self.handled);
        if received > 0 {
            self.shared.metrics.updates_handled(received, accepted);
        }
        let draining = self.end == End::Draining;
        let updates = self.commits.accepted() > 0;
        let flush = updates && (draining || self.relays.due(now) <= now);
        if flush {
            self.flush(now);
        }
        // Cursors wait for the updates beside which they came: one write takes both.
        if let Some(due) = self.cursors_due(now)
            && (flush || (!updates && due <= now))
        {
            self.tell_moved(now);
        }
        if flush
            || self
                .commits
                .acks_due()
                .is_some_and(|due| due <= now || draining)
        {
            self.acknowledge();
        }
        self.members.flush();
        if self.members.any_behind() {
            let patience = Duration::from_millis(self.shared.timing.lag_timeout_ms);
            self.members
                .tend(now, self.shared.limits.socket_queue_bytes_max, patience);
        }
        if now >= self.swept_at + SWEEP_EVERY {
            self.swept_at = now;
            let timeout = self.shared.timing.awareness_timeout_ms;
            let timeout = i64::try_from(timeout).unwrap_or(i64::MAX);
            let gone = self.awareness.sweep(self.age_ms(now), timeout);
            self.tell_gone(&gone);
        }
        self.put_snapshot_when_due();
        match self.end {
            End::Draining if self.commits.is_idle() => self.close(Error::Draining),
            End::Open if now >= self.idle_deadline() => self.unload(),
            _ => {}
        }
    }

    /// The room's age in milliseconds: a clock that nobody sets.
    pub(super) fn age_ms(&self, now: Instant) -> i64 {
        let age = now.saturating_duration_since(self.started).as_millis();
        i64::try_from(age).unwrap_or(i64::MAX)
    }

    pub(super) fn announce_storage(&mut self) {
        self.availability.mark_unchanged();
        self.members.announce(Message::Storage(self.storage()));
    }

    fn idle_deadline(&self) -> Instant {
        let busy = !self.members.is_empty() || !self.commits.is_idle() || self.document.is_saving();
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
    pub(super) fn close(&mut self, error: Error) {
        self.end = End::Closed;
        self.acknowledge();
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
        } else if let Some(due) = self.cursors_due(now) {
            next = next.min(due);
        }
        if let Some(due) = self.commits.acks_due() {
            next = next.min(due);
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

pub(super) const NOT_JOINED: Error = Error::Conflict {
    reason: "the room is not joined",
};

/// Answers a command that will not be carried out.
fn refuse(command: Command, error: &Error) {
    let answer = Answer::Refused(error.clone());
    match command {
        Command::Join { seat, ticket, .. }
        | Command::Sync { seat, ticket, .. }
        | Command::Awareness { seat, ticket, .. } => seat.answer(ticket, answer),
        Command::Update(update) => update.seat.answer(update.ticket, answer),
        Command::Leave {
            answer: Some((seat, ticket)),
            ..
        } => seat.answer(ticket, Answer::Done),
        Command::Leave { answer: None, .. } | Command::Own(_) => {}
    }
}

/// A moment that does not come: tokio's timers reach about two years.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}
