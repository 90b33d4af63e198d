//! What a room decides: a state and what it answers to each input, without a clock, a task or a
//! database.
//!
//! [`RoomCore::on`] takes one input and the time, and says what is to be done about it as a list of
//! [`Output`]s, which the driver carries out in their order before the next input. Updates are
//! applied one by one as they come; at the end of a turn what they brought is told as one message
//! and appended as one group of rows, and each sender's ack goes out when the log has them.
//!
//! Something that has to come from the database is asked for by [`Output::Fetch`]. Until its
//! answer, [`Input::Fetched`], no other input may come.

use std::time::Duration;

use bytes::Bytes;
use document::{
    StateVector,
    awareness::{Awareness, Entry as Cursor},
};
use tokio::time::Instant;

use super::{
    Answer, Command, Message, Ticket, Update,
    commits::{Commits, Receipt},
    interface::{Fetch, Fetched, Input, Means, Now, Output},
    live::{LiveDocument, Opened},
    members::{Asker, Members, Mover},
    ownership::Ownership,
    pace::Pace,
    seats::Shown,
};
use crate::{
    config::{Limits, Timing},
    error::Error,
    id::SessionId,
    limits::Pressure,
    metrics::Metrics,
    store::{Availability, DocumentRecord},
};

/// How often a room looks after members whose queues have to drain.
const TEND_EVERY: Duration = Duration::from_millis(100);
/// How often a room looks for awareness states that were not renewed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// After so long it is asked again whether the room may be forgotten, where it was not allowed.
const KEPT_FOR: Duration = Duration::from_millis(50);

/// What goes on once something has come from the database.
pub(super) enum Then<P> {
    /// Nothing else.
    Nothing,
    /// The join for which the document had to be created.
    Join {
        peer: P,
        ticket: Ticket,
        state_vector: Option<StateVector>,
        queued_bytes: usize,
    },
    /// The update for which it had to be.
    Write(Box<Update<P>>, Means),
}

/// Whether the room goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Draining,
    Closed,
}

/// The room's state.
pub(super) struct RoomCore<P> {
    pub(super) limits: Limits,
    pub(super) timing: Timing,
    pub(super) metrics: Metrics,
    pub(super) now: Now,
    pub(super) outputs: Vec<Output<P>>,
    pub(super) then: Option<Then<P>>,
    pub(super) record: Option<DocumentRecord>,
    pub(super) document: LiveDocument,
    pub(super) members: Members<P>,
    pub(super) ownership: Ownership,
    pub(super) awareness: Awareness<SessionId>,
    /// The newest of each client that is yet to be shown.
    pub(super) moved: Vec<Cursor>,
    pub(super) mover: Mover,
    pub(super) shown: Shown,
    pub(super) commits: Commits<P>,
    pub(super) relays: Pace,
    pub(super) cursors: Pace,
    pub(super) handled: Handled,
    /// The updates that were told last: who was full for one of them lacks them at most.
    pub(super) told: Vec<Bytes>,
    pub(super) flushes: u64,
    pub(super) availability: Availability,
    pressure: Pressure,
    started: Instant,
    swept_at: Instant,
    /// When the room was needed last, or is asked again whether it is.
    pub(super) needed_at: Instant,
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

impl<P: Asker> RoomCore<P> {
    /// A room of which nothing is known yet: its first input is [`Fetched::Document`].
    pub(super) fn new(
        document: LiveDocument,
        limits: Limits,
        timing: Timing,
        metrics: Metrics,
        availability: Availability,
        now: Now,
    ) -> Self {
        Self {
            limits,
            timing,
            metrics,
            now,
            outputs: Vec::new(),
            then: Some(Then::Nothing),
            record: None,
            document,
            members: Members::default(),
            ownership: Ownership::default(),
            awareness: Awareness::default(),
            moved: Vec::new(),
            mover: Mover::Nobody,
            shown: Shown::ToAll,
            commits: Commits::default(),
            relays: Pace::new(timing.relay_tick_ms),
            cursors: Pace::new(timing.awareness_tick_ms),
            handled: Handled::default(),
            told: Vec::new(),
            flushes: 0,
            availability,
            pressure: Pressure::Easy,
            started: now.instant,
            swept_at: now.instant,
            needed_at: now.instant,
            left_alone_until: None,
            end: End::Open,
        }
    }

    /// A room that goes on where `broken`, which must not be used any more, stopped: nothing
    /// that the log was handed is lost, the document is loaded anew, and every member synchronises anew.
    /// Cursors are forgotten until their owners renew them.
    ///
    /// `handed` is how many appends the log has and has not settled. What was begun and not
    /// handed to it is refused, so that no receipt waits for another one's append.
    pub(super) fn after(broken: Self, document: LiveDocument, handed: usize) -> Self {
        let now = broken.now;
        let mut core = Self::new(
            document,
            broken.limits,
            broken.timing,
            broken.metrics,
            broken.availability,
            now,
        );
        core.then = None;
        core.record = broken.record;
        core.commits = broken.commits;
        for receipt in core.commits.keep_handed(handed) {
            core.refuse(receipt, Error::StorageUnavailable);
        }
        core.left_alone_until = broken.left_alone_until;
        core.end = broken.end;
        for peer in broken.members.peers() {
            core.members
                .admit(peer.clone(), StateVector::default(), now.time);
        }
        match core.record {
            Some(_) => core.reload(),
            None => core.fetch(Fetch::Document, Then::Nothing),
        }
        core
    }

    /// Takes one input in. Adds what is to be done about it to `outputs`.
    pub(super) fn on(&mut self, now: Now, input: Input<P>, outputs: &mut Vec<Output<P>>) {
        self.now = now;
        match input {
            Input::Command(command, means) => self.command(command, means),
            Input::EndOfTurn(pressure) => {
                self.pressure = pressure;
                self.end_turn();
            }
            Input::Fetched(fetched) => self.fetched(*fetched),
            Input::Appended(result) => self.appended(result),
            Input::SnapshotPut(held) => self.document.snapshot_settled(held),
            Input::Storage(availability) => {
                self.availability = availability;
                self.announce_storage();
            }
            Input::Happened(event) => self.happened(event),
            Input::Full(session) => self.fell_behind(session),
            Input::Drained(session) => self.drained(session),
            Input::Shown(shown) => self.shown = shown,
            Input::Kept => self.needed_at = now.instant + KEPT_FOR,
            Input::Drain if self.end == End::Open => self.end = End::Draining,
            Input::Drain => {}
        }
        if self.document.is_broken() && self.then.is_none() && self.end != End::Closed {
            self.reload();
        }
        outputs.append(&mut self.outputs);
    }

    fn command(&mut self, command: Command<P>, means: Means) {
        match command {
            Command::Join {
                peer,
                ticket,
                creation,
                state_vector,
            } => self.join(peer, ticket, creation, state_vector, means.queued_bytes),
            Command::Leave { session, answer } => {
                self.acknowledge();
                self.leave(session);
                if let Some((peer, ticket)) = answer {
                    self.answer(peer, ticket, Answer::Done);
                }
            }
            Command::Sync {
                peer,
                ticket,
                state_vector,
            } => self.sync(peer, ticket, &state_vector, means.queued_bytes),
            Command::Update(update) => self.update(update, means),
            Command::Awareness {
                peer,
                ticket,
                entries,
                bytes,
            } => {
                self.metrics.awareness_received(bytes as u64);
                let answer = match self.move_cursors(&peer, entries) {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Refused(error),
                };
                self.answer(peer, ticket, answer);
            }
        }
    }

    pub(super) fn answer(&mut self, peer: P, ticket: Ticket, answer: Answer) {
        self.outputs.push(Output::Answer(peer, ticket, answer));
    }

    pub(super) fn refuse(&mut self, receipt: Receipt<P>, error: Error) {
        self.answer(receipt.peer, receipt.ticket, Answer::Refused(error));
    }

    pub(super) fn fetch(&mut self, fetch: Fetch, then: Then<P>) {
        self.then = Some(then);
        self.outputs.push(Output::Fetch(fetch));
    }

    fn fetched(&mut self, fetched: Fetched) {
        let then = self.then.take();
        match fetched {
            Fetched::Document(Ok(None)) => {}
            Fetched::Document(Ok(Some((record, opened)))) => self.take_on(record, opened),
            Fetched::Document(Err(error)) => self.close(error),
            Fetched::Created(created) => self.created(created, then.unwrap_or(Then::Nothing)),
            Fetched::Reloaded(reloaded) => self.reloaded(reloaded),
            Fetched::Log(log) => self.caught_up(log),
        }
    }

    pub(super) fn take_on(&mut self, record: DocumentRecord, opened: Opened) {
        let before = std::mem::replace(&mut self.document, opened.document);
        self.document.go_on_saving(&before);
        self.ownership.load(opened.authors);
        self.record = Some(record);
    }

    /// Relays and appends what is due, looks after laggards, ends the room where nobody needs it.
    fn end_turn(&mut self) {
        let now = self.now.instant;
        let Handled { received, accepted } = std::mem::take(&mut self.handled);
        if received > 0 {
            self.metrics.updates_handled(received, accepted);
        }
        let draining = self.end == End::Draining;
        let updates = self.commits.accepted() > 0;
        let flush = updates && (draining || self.relays.due(now) <= now);
        if flush {
            self.flush();
        }
        // Cursors wait for the updates beside which they came: one write takes both.
        if let Some(due) = self.cursors_due()
            && (flush || (!updates && due <= now))
        {
            self.show_moved();
        }
        let due = self.commits.acks_due().is_some_and(|due| due <= now);
        if flush || due || (draining && self.commits.acks_due().is_some()) {
            self.acknowledge();
        }
        if self.members.any_behind() {
            let patience = Duration::from_millis(self.timing.lag_timeout_ms);
            let stuck = self.members.stuck(now, patience).cloned();
            let cut = stuck.map(|peer| Output::Cut(peer, "lagging"));
            self.outputs.extend(cut);
        }
        if now >= self.swept_at + SWEEP_EVERY {
            self.swept_at = now;
            let timeout = self.timing.awareness_timeout_ms;
            let timeout = i64::try_from(timeout).unwrap_or(i64::MAX);
            let gone = self.awareness.sweep(self.age_ms(), timeout);
            self.show_gone(&gone);
        }
        self.put_snapshot_when_due();
        match self.end {
            End::Draining if self.commits.is_idle() => self.close(Error::Draining),
            End::Open if self.idle_from().is_some_and(|from| now >= from) => {
                self.outputs.push(Output::Release);
            }
            _ => {}
        }
    }

    /// The room's age in milliseconds: by a clock that nobody sets.
    pub(super) fn age_ms(&self) -> i64 {
        let age = self.now.instant.saturating_duration_since(self.started);
        i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
    }

    /// From when on nobody needs the room; nothing while somebody does.
    fn idle_from(&self) -> Option<Instant> {
        let busy = !self.members.is_empty() || !self.commits.is_idle() || self.document.is_saving();
        match (&self.record, busy) {
            (_, true) => None,
            (None, false) => Some(self.needed_at),
            (Some(_), false) => Some(self.needed_at + self.idle_time()),
        }
    }

    /// How long a room is kept that nobody needs.
    fn idle_time(&self) -> Duration {
        match self.pressure {
            Pressure::Easy => Duration::from_millis(self.timing.room_idle_ms),
            Pressure::Tight | Pressure::Full => Duration::ZERO,
        }
    }

    /// Ends the room although members or handles exist: everyone is told why.
    pub(super) fn close(&mut self, error: Error) {
        self.end = End::Closed;
        self.acknowledge();
        self.outputs.push(Output::End(error.clone()));
        for receipt in self.commits.abandon() {
            self.refuse(receipt, error.clone());
        }
        if error != Error::Draining {
            let closed = Output::Announce(Message::Closed(error));
            self.outputs.push(closed);
        }
    }

    /// When the end of a turn is due at the latest, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let now = self.now.instant;
        let spoken = match self.commits.accepted() > 0 {
            true => Some(self.relays.due(now)),
            false => self.cursors_due(),
        };
        let tend = self.members.any_behind().then(|| now + TEND_EVERY);
        let sweep = (!self.awareness.is_empty()).then(|| self.swept_at + SWEEP_EVERY);
        let all = [
            self.idle_from(),
            spoken,
            self.commits.acks_due(),
            tend,
            sweep,
        ];
        all.into_iter().flatten().min()
    }
}

pub(super) const NOT_JOINED: Error = Error::Conflict {
    reason: "the room is not joined",
};
