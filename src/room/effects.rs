//! Carries out what a room's core decided: the side effects of its outputs.
//!
//! It encodes messages for the seats, answers peers, hands rows to the log and starts snapshots. It
//! never waits: work in the database is started here, and its result arrives as an [`Event`]
//! in the room's inbox. Outputs that concern the room's own task come back as a [`FollowUp`].

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{
    Message, Peer,
    audiences::Audiences,
    commits::Ack,
    core::RoomCore,
    interface::{Fetch, Now, Output, Work},
    seats::{AwarenessChange, AwarenessShown},
    shared::{Event, Incoming, Shared},
    snapshot,
};
use crate::{
    auth::User,
    error::Error,
    id::{DocumentId, DocumentKey, Seq, SessionId, Timestamp},
    store::{Damage, Metadata, NewRows},
    supervise::Task,
};

/// The handle to a peer, as the driver gives it to the core.
pub(super) type DynPeer = Arc<dyn Peer>;

/// The seats of one room, and its connection to the log and the database.
pub(super) struct Effects {
    key: DocumentKey,
    shared: Arc<Shared>,
    /// Where the results of the work that is started here are sent: the room's inbox.
    events: mpsc::UnboundedSender<Incoming>,
    pub(super) audiences: Audiences,
    /// The sessions whose queue was full for a message of the last outputs.
    pub(super) full: Vec<SessionId>,
    /// What the core wants from the database next.
    pub(super) fetch: Option<Fetch>,
    /// How many appends were handed to the log and are not settled yet.
    appends: usize,
}

/// What the room's task has to do after an output was carried out.
pub(super) enum FollowUp {
    Nothing,
    /// Report to the core whether every seat was shown the newest awareness states.
    ReportShown(AwarenessShown),
    /// Unload the room if nobody holds a handle to it.
    Unload,
    /// End the room; refuse all further commands with this error.
    End(Error),
}

impl Effects {
    /// No seats yet; the document is to be fetched first.
    pub(super) fn new(
        key: DocumentKey,
        shared: Arc<Shared>,
        events: mpsc::UnboundedSender<Incoming>,
    ) -> Self {
        Self {
            key,
            shared,
            events,
            audiences: Audiences::default(),
            full: Vec::new(),
            fetch: Some(Fetch::Document),
            appends: 0,
        }
    }

    /// How many appends were handed to the log and are not settled yet.
    pub(super) fn appends(&self) -> usize {
        self.appends
    }

    /// Notes that the log has settled one append.
    pub(super) fn append_settled(&mut self) {
        self.appends = self.appends.saturating_sub(1);
    }

    /// Drops what is left over from before a panic. The appends stay counted, because the log has
    /// them.
    pub(super) fn discard(&mut self) {
        self.full.clear();
        self.fetch = None;
    }

    /// Carries out one output of `core`.
    pub(super) fn carry_out(
        &mut self,
        now: Now,
        output: Output<DynPeer>,
        core: &mut RoomCore<DynPeer>,
    ) -> FollowUp {
        match output {
            Output::Answer(peer, ticket, answer) => peer.answer(ticket, answer),
            Output::Acks(acks) => self.acknowledge(now, &acks),
            Output::Charge {
                peer,
                memory_bytes,
                work,
            } => charge(now, &peer, memory_bytes, work, core),
            Output::AddSeat(peer) => peer.sit(&mut self.audiences),
            Output::RemoveSeat(session) => self.audiences.remove(session),
            Output::SetGate(session, gate) => self.audiences.set_gate(session, gate),
            Output::Tell {
                message,
                except,
                updates,
            } => self.tell(&message, except, updates),
            Output::TellOne(session, message) => {
                self.audiences.tell_one(session, &message, &mut self.full);
            }
            Output::RelayAwareness(change) => return self.relay_awareness(&change, core),
            Output::Announce(message) => self.audiences.announce(&message),
            Output::Cut(peer, reason) => peer.cut(reason),
            Output::Append(document, entry) => self.append(document, entry),
            Output::NoticeEdit(metadata, at, writers) => {
                let wait = self.shared.catalog.edited(&self.key.team, &metadata, at);
                core.next_edit_notice_after(wait);
                self.record_edit(metadata, at, writers);
            }
            Output::PutSnapshot {
                document,
                lineage,
                seq,
                state,
            } => {
                let events = self.events.clone();
                snapshot::put(&self.shared, events, document, lineage, seq, state);
            }
            Output::SetAside(document, damage) => self.set_aside(document, damage),
            Output::Fetch(fetch) => self.fetch = Some(fetch),
            Output::Unload => return FollowUp::Unload,
            Output::End(error) => return FollowUp::End(error),
        }
        FollowUp::Nothing
    }

    fn acknowledge(&self, now: Now, acks: &[(Ack<DynPeer>, Seq)]) {
        for (ack, seq) in acks {
            let latency = now.instant.saturating_duration_since(ack.received);
            self.shared.metrics.acked(latency);
            ack.peer.accept(ack.ticket, ack.acked(*seq));
        }
        // A peer with several acks in a row is flushed once.
        for of_one in acks.chunk_by(|(one, _), (next, _)| Arc::ptr_eq(&one.peer, &next.peer)) {
            of_one[0].0.peer.flush(acks.len());
        }
    }

    fn tell(&mut self, message: &Message, except: Option<SessionId>, updates: u64) {
        let told = self.audiences.tell(message, except, &mut self.full);
        let metrics = &self.shared.metrics;
        match message {
            Message::Update(_) => metrics.relayed(updates, told.receivers, told.bytes),
            Message::Awareness(_) => metrics.awareness_relayed(told.receivers, told.bytes),
            Message::Stateless(_)
            | Message::Resync(_)
            | Message::Storage(_)
            | Message::Event(_)
            | Message::Closed(_) => {}
        }
    }

    fn relay_awareness(&mut self, change: &AwarenessChange, core: &RoomCore<DynPeer>) -> FollowUp {
        let since = |generation| core.awareness_since(generation);
        let (told, shown) = self.audiences.show(change, since, &mut self.full);
        let metrics = &self.shared.metrics;
        metrics.awareness_relayed(told.receivers, told.bytes);
        FollowUp::ReportShown(shown)
    }

    fn append(&mut self, document: DocumentId, entry: NewRows) {
        let events = self.events.clone();
        let receipt = move |result| {
            // The send fails only if the room has ended.
            let _ = events.send(Incoming::Event(Event::Appended(result)));
        };
        let log = self.shared.store.log();
        log.append(document, entry, Box::new(receipt));
        self.appends += 1;
    }

    /// Has it recorded that the document was edited, and by whom.
    fn record_edit(&self, document: Arc<Metadata>, at: Timestamp, writers: Vec<User>) {
        let (shared, team) = (Arc::clone(&self.shared), self.key.team.clone());
        self.shared.spawn(Task::Activity, async move {
            let catalog = &shared.catalog;
            catalog.record_edit(&team, &document, &writers, at).await;
        });
    }

    fn set_aside(&self, document: DocumentId, damage: Vec<Damage>) {
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(Task::Snapshot, async move {
            shared.store.set_aside(document, &damage).await;
        });
    }
}

/// Charges a peer for memory and, where the core measured the work, for processor time. The time
/// that an update waited for its turn among the large ones is not the peer's.
fn charge(now: Now, peer: &DynPeer, memory_bytes: usize, work: Work, core: &mut RoomCore<DynPeer>) {
    let waited = core.document.take_lock_wait();
    let cpu = match work {
        Work::Free => Duration::ZERO,
        Work::Timed => now.instant.elapsed().saturating_sub(waited),
    };
    peer.charge(cpu, memory_bytes);
}
