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
    commits::{Ack, Commits},
    interface::{Fetch, Fetched, Input, Now, Output, Resources},
    members::{ChangedBy, Members, PeerHandle},
    open_document::{OpenDocument, Opened},
    ownership::Ownership,
    pace::Pace,
    seats::AwarenessShown,
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
const LAGGING_CHECK_EVERY: Duration = Duration::from_millis(100);
/// How often a room looks for awareness states that were not renewed.
const AWARENESS_SWEEP_EVERY: Duration = Duration::from_secs(5);
/// After so long it is asked again whether the room may be forgotten, where it was not allowed.
const UNLOAD_RETRY_AFTER: Duration = Duration::from_millis(50);

/// What goes on once something has come from the database.
pub(super) enum AfterFetch<P> {
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
    Write(Box<Update<P>>, Resources),
}

/// Whether the room goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
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
    pub(super) after_fetch: Option<AfterFetch<P>>,
    pub(super) record: Option<DocumentRecord>,
    pub(super) document: OpenDocument,
    pub(super) members: Members<P>,
    pub(super) ownership: Ownership,
    pub(super) awareness: Awareness<SessionId>,
    /// The newest of each client that is yet to be shown.
    pub(super) changed_states: Vec<Cursor>,
    pub(super) changed_by: ChangedBy,
    pub(super) awareness_shown: AwarenessShown,
    pub(super) commits: Commits<P>,
    pub(super) relay_pace: Pace,
    pub(super) awareness_pace: Pace,
    pub(super) counts: UpdateCounts,
    /// The updates that were told last: who was full for one of them lacks them at most.
    pub(super) last_relayed: Vec<Bytes>,
    pub(super) flushes: u64,
    pub(super) availability: Availability,
    pressure: Pressure,
    started: Instant,
    swept_at: Instant,
    /// When the room was needed last, or is asked again whether it is.
    pub(super) needed_at: Instant,
    /// The database has refused this document; until then nothing is accepted.
    pub(super) storage_refused_until: Option<Instant>,
    pub(super) phase: Phase,
}

/// What came of the updates of one turn: counting each costs more than some of them.
#[derive(Default)]
pub(super) struct UpdateCounts {
    pub(super) received: u64,
    pub(super) accepted: u64,
}

impl<P: PeerHandle> RoomCore<P> {
    /// A room of which nothing is known yet: its first input is [`Fetched::Document`].
    pub(super) fn new(
        document: OpenDocument,
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
            after_fetch: Some(AfterFetch::Nothing),
            record: None,
            document,
            members: Members::default(),
            ownership: Ownership::default(),
            awareness: Awareness::default(),
            changed_states: Vec::new(),
            changed_by: ChangedBy::Nobody,
            awareness_shown: AwarenessShown::ToAll,
            commits: Commits::default(),
            relay_pace: Pace::new(timing.relay_tick_ms),
            awareness_pace: Pace::new(timing.awareness_tick_ms),
            counts: UpdateCounts::default(),
            last_relayed: Vec::new(),
            flushes: 0,
            availability,
            pressure: Pressure::Easy,
            started: now.instant,
            swept_at: now.instant,
            needed_at: now.instant,
            storage_refused_until: None,
            phase: Phase::Open,
        }
    }

    /// A room that goes on where `broken`, which must not be used any more, stopped: nothing
    /// that the log was handed is lost, the document is loaded anew, and every member synchronises anew.
    /// Cursors are forgotten until their owners renew them.
    ///
    /// `handed` is how many appends the log has and has not settled. What was begun and not
    /// handed to it is refused, so that no ack waits for another one's append.
    pub(super) fn recovered(broken: Self, document: OpenDocument, handed: usize) -> Self {
        let now = broken.now;
        let mut core = Self::new(
            document,
            broken.limits,
            broken.timing,
            broken.metrics,
            broken.availability,
            now,
        );
        core.after_fetch = None;
        core.record = broken.record;
        core.commits = broken.commits;
        for ack in core.commits.keep_first(handed) {
            core.refuse(ack, Error::StorageUnavailable);
        }
        core.storage_refused_until = broken.storage_refused_until;
        core.phase = broken.phase;
        for peer in broken.members.peers() {
            core.members
                .admit(peer.clone(), StateVector::default(), now.time);
        }
        match core.record {
            Some(_) => core.reload(),
            None => core.fetch(Fetch::Document, AfterFetch::Nothing),
        }
        core
    }

    /// Takes one input in. Adds what is to be done about it to `outputs`.
    pub(super) fn on(&mut self, now: Now, input: Input<P>, outputs: &mut Vec<Output<P>>) {
        self.now = now;
        match input {
            Input::Command(command, resources) => self.command(command, resources),
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
            Input::Full(session) => self.started_lagging(session),
            Input::Drained(session) => self.drained(session),
            Input::AwarenessShown(shown) => self.awareness_shown = shown,
            Input::UnloadRefused => self.needed_at = now.instant + UNLOAD_RETRY_AFTER,
            Input::Drain if self.phase == Phase::Open => self.phase = Phase::Draining,
            Input::Drain => {}
        }
        if self.document.is_broken() && self.after_fetch.is_none() && self.phase != Phase::Closed {
            self.reload();
        }
        outputs.append(&mut self.outputs);
    }

    fn command(&mut self, command: Command<P>, resources: Resources) {
        match command {
            Command::Join {
                peer,
                ticket,
                creation,
                state_vector,
            } => self.join(peer, ticket, creation, state_vector, resources.queued_bytes),
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
            } => self.sync(peer, ticket, &state_vector, resources.queued_bytes),
            Command::Update(update) => self.update(update, resources),
            Command::Awareness {
                peer,
                ticket,
                entries,
                bytes,
            } => {
                self.metrics.awareness_received(bytes as u64);
                let answer = match self.change_awareness(&peer, entries) {
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

    pub(super) fn refuse(&mut self, ack: Ack<P>, error: Error) {
        self.answer(ack.peer, ack.ticket, Answer::Refused(error));
    }

    pub(super) fn fetch(&mut self, fetch: Fetch, then: AfterFetch<P>) {
        self.after_fetch = Some(then);
        self.outputs.push(Output::Fetch(fetch));
    }

    fn fetched(&mut self, fetched: Fetched) {
        let then = self.after_fetch.take();
        match fetched {
            Fetched::Document(Ok(None)) => {}
            Fetched::Document(Ok(Some((record, opened)))) => self.install(record, opened),
            Fetched::Document(Err(error)) => self.close(error),
            Fetched::Created(created) => self.created(created, then.unwrap_or(AfterFetch::Nothing)),
            Fetched::Reloaded(reloaded) => self.reloaded(reloaded),
            Fetched::Log(log) => self.caught_up(log),
        }
    }

    pub(super) fn install(&mut self, record: DocumentRecord, opened: Opened) {
        let before = std::mem::replace(&mut self.document, opened.document);
        self.document.inherit_snapshot_state(&before);
        self.ownership.load(opened.authors);
        self.record = Some(record);
    }

    /// Relays, appends and acknowledges what is due, then does the periodic work.
    fn end_turn(&mut self) {
        let UpdateCounts { received, accepted } = std::mem::take(&mut self.counts);
        if received > 0 {
            self.metrics.updates_handled(received, accepted);
        }
        self.send_due();
        self.cut_lagging();
        self.sweep_awareness();
        self.put_snapshot_when_due();
        self.end_when_due();
    }

    /// Relays updates and awareness states and sends acks, as far as they are due.
    fn send_due(&mut self) {
        let now = self.now.instant;
        let is_draining = self.phase == Phase::Draining;
        let has_updates = self.commits.accepted() > 0;
        let flush = has_updates && (is_draining || self.relay_pace.due(now) <= now);
        if flush {
            self.flush();
        }
        // Awareness states wait for the updates that came with them, so that one write takes both.
        if let Some(due) = self.awareness_due()
            && (flush || (!has_updates && due <= now))
        {
            self.relay_awareness();
        }
        let acks_due = self.commits.acks_due();
        if flush || acks_due.is_some_and(|due| is_draining || due <= now) {
            self.acknowledge();
        }
    }

    /// Cuts the members that have lagged for too long.
    fn cut_lagging(&mut self) {
        if self.members.any_lagging() {
            let timeout = Duration::from_millis(self.timing.lag_timeout_ms);
            let late = self.members.lagging_for(self.now.instant, timeout).cloned();
            let cut = late.map(|peer| Output::Cut(peer, "lagging"));
            self.outputs.extend(cut);
        }
    }

    /// Removes awareness states that were not renewed in time.
    fn sweep_awareness(&mut self) {
        let now = self.now.instant;
        if now >= self.swept_at + AWARENESS_SWEEP_EVERY {
            self.swept_at = now;
            let timeout = self.timing.awareness_timeout_ms;
            let timeout = i64::try_from(timeout).unwrap_or(i64::MAX);
            let removed = self.awareness.sweep(self.age_ms(), timeout);
            self.relay_removed(&removed);
        }
    }

    /// Ends a draining room once all is written, and asks to unload an idle one.
    fn end_when_due(&mut self) {
        match self.phase {
            Phase::Draining if self.commits.is_idle() => self.close(Error::Draining),
            Phase::Open
                if self
                    .idle_from()
                    .is_some_and(|from| self.now.instant >= from) =>
            {
                self.outputs.push(Output::Unload);
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
        let busy = !self.members.is_empty()
            || !self.commits.is_idle()
            || self.document.is_snapshot_in_progress();
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
        self.phase = Phase::Closed;
        self.acknowledge();
        self.outputs.push(Output::End(error.clone()));
        for ack in self.commits.abandon() {
            self.refuse(ack, error.clone());
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
            true => Some(self.relay_pace.due(now)),
            false => self.awareness_due(),
        };
        let tend = self
            .members
            .any_lagging()
            .then(|| now + LAGGING_CHECK_EVERY);
        let sweep = (!self.awareness.is_empty()).then(|| self.swept_at + AWARENESS_SWEEP_EVERY);
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
