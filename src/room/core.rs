//! The decisions of a room, as a state machine: no clock, no task and no database.
//!
//! [`RoomCore::on`] takes one input and the time, and leaves a list of [`Output`]s, which the
//! driver carries out in their order before the next input. Updates are applied one by one as
//! they come. At the end of a turn the accepted ones are relayed as one message and appended to
//! the log as one group of rows. Their acks are sent after the append has succeeded.
//!
//! The core asks for a read of the database by [`Output::Fetch`]. [`Input::Fetched`] with the
//! result is then the next input, but for reports about seats ([`Input::Full`],
//! [`Input::AwarenessShown`]).
//!
//! The rules are in files by subject: `join.rs` (joining, resync, leaving), `edits.rs` (updates),
//! `durability.rs` (relay, append, ack), `turn.rs` (what is due at the end of a turn), `awareness.rs`,
//! `metadata.rs`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use document::{
    StateVector,
    awareness::{Awareness, Entry},
};
use tokio::time::Instant;

use super::{
    Answer, Command, Has, Ticket, Update,
    colors::Colors,
    commits::{Ack, Commits},
    interface::{Fetch, Fetched, Input, Now, Output, Resources},
    members::{ChangedBy, Members, PeerHandle},
    notices::EditNotices,
    open_document::{OpenDocument, Opened},
    ownership::Ownership,
    pace::{Pace, STATES_AT_ONCE, UPDATES_AT_ONCE},
    seats::AwarenessShown,
};
use crate::{
    config::{Limits, Timing},
    error::Error,
    id::{DocumentId, Seq, SessionId},
    limits::Pressure,
    metrics::Metrics,
    store::{Availability, Lineage, Metadata, Writers},
};

/// How long a room waits until it asks again to be unloaded, after that was refused.
const UNLOAD_RETRY_AFTER: Duration = Duration::from_millis(50);

/// What the core continues with after a read of the database.
pub(super) enum AfterFetch<P> {
    /// Nothing.
    Nothing,
    /// The join for which the document was created, or looked for once more.
    Join {
        peer: P,
        ticket: Ticket,
        has: Option<Has>,
        queued_bytes: usize,
    },
    /// The update for which the document was created.
    Write(Box<Update<P>>, Resources),
    /// What only memory holds is written; these acks are sent with it, and then it continues.
    Reconcile {
        acks: Vec<Ack<P>>,
        then: Box<AfterFetch<P>>,
    },
}

/// The phase in a room's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It takes commands.
    Open,
    /// It only writes its accepted updates, and then ends.
    Draining,
    /// It has ended.
    Closed,
}

/// The state of a room.
pub(super) struct RoomCore<P> {
    pub(super) limits: Arc<Limits>,
    pub(super) timing: Arc<Timing>,
    pub(super) metrics: Metrics,
    pub(super) now: Now,
    /// What was decided and is not carried out yet.
    pub(super) outputs: Vec<Output<P>>,
    /// Set while a read of the database is under way.
    pub(super) after_fetch: Option<AfterFetch<P>>,
    /// The metadata of the document; `None` as long as it does not exist.
    pub(super) metadata: Option<Arc<Metadata>>,
    pub(super) edit_notices: EditNotices,
    pub(super) document: OpenDocument,
    pub(super) members: Members<P>,
    pub(super) colors: Colors,
    pub(super) ownership: Ownership,
    pub(super) awareness: Awareness<SessionId>,
    /// The awareness states that are not relayed yet: the newest of each client.
    pub(super) changed_states: Vec<Entry>,
    /// Who changed these.
    pub(super) changed_by: ChangedBy,
    pub(super) awareness_shown: AwarenessShown,
    pub(super) commits: Commits<P>,
    pub(super) relay_pace: Pace,
    pub(super) awareness_pace: Pace,
    pub(super) counts: UpdateCounts,
    /// The messages of the last relay. A seat that was full for one of them lacks no earlier ones.
    pub(super) last_relayed: Vec<Bytes>,
    /// How many relays there were.
    pub(super) flushes: u64,
    /// Who else may write to the log.
    pub(super) writers: Writers,
    /// Whether the log was compared with the document in this turn.
    pub(super) is_log_compared: bool,
    pub(super) availability: Availability,
    pub(super) pressure: Pressure,
    started: Instant,
    pub(super) swept_at: Instant,
    /// When the room was needed last. Later, if it was refused to be unloaded.
    pub(super) needed_at: Instant,
    /// The database has refused rows of this document; until then no update is accepted.
    pub(super) storage_refused_until: Option<Instant>,
    pub(super) phase: Phase,
}

/// How many updates one turn received and accepted. They are counted in the metrics once a turn,
/// because counting each costs more than handling some of them.
#[derive(Default)]
pub(super) struct UpdateCounts {
    pub(super) received: u64,
    pub(super) accepted: u64,
}

impl<P: PeerHandle> RoomCore<P> {
    /// A room whose document is not loaded yet: its first input is [`Fetched::Document`].
    pub(super) fn new(
        document: OpenDocument,
        limits: Arc<Limits>,
        timing: Arc<Timing>,
        metrics: Metrics,
        writers: Writers,
        availability: Availability,
        now: Now,
    ) -> Self {
        let relay_pace = Pace::new(timing.relay_tick_ms, UPDATES_AT_ONCE);
        let awareness_pace = Pace::new(timing.awareness_tick_ms, STATES_AT_ONCE);
        Self {
            limits,
            timing,
            metrics,
            now,
            outputs: Vec::new(),
            after_fetch: Some(AfterFetch::Nothing),
            metadata: None,
            edit_notices: EditNotices::new(now.instant),
            document,
            members: Members::default(),
            colors: Colors::default(),
            ownership: Ownership::default(),
            awareness: Awareness::default(),
            changed_states: Vec::new(),
            changed_by: ChangedBy::Nobody,
            awareness_shown: AwarenessShown::ToAll,
            commits: Commits::default(),
            relay_pace,
            awareness_pace,
            counts: UpdateCounts::default(),
            last_relayed: Vec::new(),
            flushes: 0,
            writers,
            is_log_compared: false,
            availability,
            pressure: Pressure::Easy,
            started: now.instant,
            swept_at: now.instant,
            needed_at: now.instant,
            storage_refused_until: None,
            phase: Phase::Open,
        }
    }

    /// A room that continues after a panic from `broken`, whose document must not be used any more.
    /// Appends that were handed to the log stay, the document is loaded again, and every member
    /// has to resync. Awareness states are dropped until their owners renew them.
    ///
    /// `handed` is the number of appends that the log has and has not settled. The updates of
    /// other appends are refused, so that no ack is released by the append of other updates.
    pub(super) fn recovered(broken: Self, document: OpenDocument, handed: usize) -> Self {
        let now = broken.now;
        let mut core = Self::new(
            document,
            broken.limits,
            broken.timing,
            broken.metrics,
            broken.writers,
            broken.availability,
            now,
        );
        core.after_fetch = None;
        core.metadata = broken.metadata;
        core.edit_notices = broken.edit_notices;
        core.commits = broken.commits;
        core.colors = broken.colors;
        for ack in core.commits.keep_first(handed) {
            core.refuse(ack, Error::StorageUnavailable);
        }
        if let Some(AfterFetch::Reconcile { acks, .. }) = broken.after_fetch {
            for ack in acks {
                core.refuse(ack, Error::StorageUnavailable);
            }
        }
        core.storage_refused_until = broken.storage_refused_until;
        core.phase = broken.phase;
        for peer in broken.members.peers() {
            core.members
                .admit(peer.clone(), StateVector::default(), now.time);
        }
        match core.metadata {
            Some(_) => core.reload(),
            None => core.fetch(Fetch::Document, AfterFetch::Nothing),
        }
        core
    }

    /// Handles one input, and adds what it leads to to `outputs`, which the caller takes.
    pub(super) fn on(&mut self, now: Now, input: Input<P>) {
        self.now = now;
        match input {
            Input::Command(command, resources) => self.command(command, resources),
            Input::EndOfTurn(pressure) => {
                self.pressure = pressure;
                self.end_turn();
            }
            Input::Fetched(fetched) => self.fetched(*fetched),
            Input::Appended(result) => self.appended(result),
            Input::SnapshotPut(seq) => self.document.snapshot_settled(seq),
            Input::Storage(availability) => {
                self.availability = availability;
                self.announce_storage();
            }
            Input::Happened(event) => self.happened(event),
            Input::HeadSeen(head) => self.head_seen(head),
            Input::LineageEnded(present) => self.lineage_ended(present),
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
    }

    fn command(&mut self, command: Command<P>, resources: Resources) {
        match command {
            Command::Join {
                peer,
                ticket,
                creation,
                has,
            } => self.join(peer, ticket, creation, has, resources.queued_bytes),
            Command::Leave { session, answer } => {
                self.acknowledge();
                self.leave(session);
                if let Some((peer, ticket)) = answer {
                    self.answer(peer, ticket, Answer::Done);
                }
            }
            Command::Sync { peer, ticket, has } => {
                self.sync(peer, ticket, &has, resources.queued_bytes);
            }
            Command::StateVector { peer, ticket } => {
                let state_vector = self.document.state_vector();
                self.answer(peer, ticket, Answer::StateVector(state_vector));
            }
            Command::Edit { peer, ticket, edit } => self.make_edit(peer, ticket, &edit),
            Command::Anchors { peer, ticket, of } => self.find_gone(peer, ticket, &of),
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
            Command::Stateless {
                peer,
                ticket,
                payload,
            } => {
                let answer = match self.tell_others(&peer, payload) {
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

    /// Asks for a read of the database, and continues with `then`.
    pub(super) fn fetch(&mut self, fetch: Fetch, then: AfterFetch<P>) {
        self.after_fetch = Some(then);
        self.outputs.push(Output::Fetch(fetch));
    }

    fn fetched(&mut self, fetched: Fetched) {
        let then = self.after_fetch.take().unwrap_or(AfterFetch::Nothing);
        match fetched {
            Fetched::Document(found) => self.found(found, then),
            Fetched::Created(created) => self.created(created, then),
            Fetched::Reloaded(reloaded) => match then {
                AfterFetch::Reconcile { acks, then } => self.reconciled(reloaded, acks, *then),
                _ => self.reloaded(reloaded),
            },
            Fetched::Log(log) => self.caught_up(log, then),
        }
    }

    /// Puts a loaded document in place of the present one.
    pub(super) fn install(&mut self, metadata: Arc<Metadata>, opened: Opened) {
        let before = std::mem::replace(&mut self.document, opened.document);
        self.document.inherit_snapshot_state(&before);
        self.ownership.load(opened.authors);
        self.metadata = Some(metadata);
    }

    /// The document, and up to which position of its log, in which lineage, the room has it; `None` before it exists, and after the room has closed.
    pub(super) fn position(&self) -> Option<(DocumentId, Seq, Lineage)> {
        let document = self.document_id().filter(|_| self.phase != Phase::Closed)?;
        Some((document, self.document.durable, self.document.lineage))
    }

    /// The age of the room in milliseconds, from a monotonic clock.
    pub(super) fn age_ms(&self) -> i64 {
        let age = self.now.instant.saturating_duration_since(self.started);
        i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
    }
}

pub(super) const NOT_JOINED: Error = Error::Conflict {
    reason: "the room is not joined",
};
