//! How members join, lag, resync and leave.

use std::{collections::HashMap, sync::Arc};

use super::{
    Answer, CatchingUp, Creation, Has, Identity, Joined, Lacking, Message, ResyncReason, Synced,
    Ticket,
    core::{AfterFetch, NOT_JOINED, Phase, RoomCore},
    interface::{Fetch, Output, Work},
    members::{CatchUp, Member, PeerHandle, SyncState},
    open_document::Opened,
    seats::Gate,
};
use crate::{
    auth::User,
    error::{Error, Result},
    id::{ClientId, SessionId},
    store::Metadata,
};
use document::StateVector;

/// The most people that the answer to a join lists. Listing everybody would cost a crowd that joins
/// the square of its size.
const MEMBERS_MAX: usize = 100;

impl<P: PeerHandle> RoomCore<P> {
    /// Adds a member and answers with what its client lacks. An unknown document is created first,
    /// if `creation` allows it; otherwise it is looked for once more, since somebody else may have
    /// created it by now.
    pub(super) fn join(
        &mut self,
        peer: P,
        ticket: Ticket,
        creation: Creation,
        has: Option<Has>,
        queued_bytes: usize,
    ) {
        let metadata = match &self.metadata {
            _ if self.phase != Phase::Open => Err(Error::Draining),
            Some(_) if self.may_be_behind() => {
                // Whoever joins sees what was acknowledged before, by whatever instance.
                return self.read_on(AfterFetch::Join {
                    peer,
                    ticket,
                    has,
                    queued_bytes,
                });
            }
            Some(metadata) => Ok(Arc::clone(metadata)),
            None => {
                let then = AfterFetch::Join {
                    peer: peer.clone(),
                    ticket,
                    has,
                    queued_bytes,
                };
                return match creation {
                    Creation::Allowed => self.create(&peer, then),
                    Creation::Forbidden => self.fetch(Fetch::Document, then),
                };
            }
        };
        self.admit(peer, ticket, metadata, has.as_ref(), queued_bytes);
    }

    /// Has the document created for `peer`, which may create it.
    pub(super) fn create(&mut self, peer: &P, then: AfterFetch<P>) {
        let by = User::clone(&peer.identity().user);
        let at = self.now.time;
        self.fetch(Fetch::Create { by, at }, then);
    }

    /// Continues after the document was looked for: at the room's start, or for a join.
    pub(super) fn found(
        &mut self,
        found: Result<Option<(Arc<Metadata>, Opened)>>,
        then: AfterFetch<P>,
    ) {
        match (found, then) {
            (Ok(None), AfterFetch::Nothing) => {}
            (Err(error), AfterFetch::Nothing) => self.close(error),
            (found, then) => {
                let found = found.and_then(|found| found.ok_or(Error::NO_DOCUMENT));
                let found = found.map(|(metadata, opened)| (metadata, Some(opened)));
                self.created(found, then);
            }
        }
    }

    /// Continues with the command for which the document was created.
    pub(super) fn created(
        &mut self,
        created: Result<(Arc<Metadata>, Option<Opened>)>,
        then: AfterFetch<P>,
    ) {
        let metadata = created.map(|(metadata, opened)| {
            match opened {
                Some(opened) => self.install(Arc::clone(&metadata), opened),
                None => self.metadata = Some(Arc::clone(&metadata)),
            }
            metadata
        });
        match then {
            AfterFetch::Nothing | AfterFetch::Reconcile { .. } => {}
            AfterFetch::Join {
                peer,
                ticket,
                has,
                queued_bytes,
            } => self.admit(peer, ticket, metadata, has.as_ref(), queued_bytes),
            AfterFetch::Write(update, resources) => match metadata {
                Ok(_) => self.update(update, resources),
                Err(error) => self.answer(update.peer, update.ticket, Answer::Refused(error)),
            },
        }
    }

    /// Makes `peer` a member and answers its join, or refuses it.
    pub(super) fn admit(
        &mut self,
        peer: P,
        ticket: Ticket,
        metadata: Result<Arc<Metadata>>,
        has: Option<&Has>,
        queued_bytes: usize,
    ) {
        let joined = metadata.and_then(|metadata| {
            let lacking = self.lacking(has, queued_bytes)?;
            let declared = has.map(|has| self.document.missing_here(&has.state_vector));
            let declared = declared.unwrap_or_default();
            let who = peer.identity();
            let before = self.members.admit(peer.clone(), declared, self.now.time);
            if before.is_none() {
                let (user, now) = (&who.user.id, self.now.instant);
                self.colors.enter(user, who.preferred_color, now);
            }
            self.settle_charges(before);
            self.outputs.push(Output::AddSeat(peer.clone()));
            Ok(self.describe(metadata, lacking, who))
        });
        let answer = match joined {
            Ok(joined) => Answer::Joined(Box::new(joined)),
            Err(error) => {
                self.leave(peer.identity().session);
                Answer::Refused(error)
            }
        };
        self.answer(peer, ticket, answer);
    }

    /// The answer to a join.
    fn describe(&mut self, metadata: Arc<Metadata>, lacking: Lacking, who: &Identity) -> Joined {
        Joined {
            document: metadata,
            seq: self.document.durable,
            state_vector: self.document.state_vector(),
            lacking,
            awareness: (!self.awareness.is_empty()).then(|| self.awareness.encode_all().into()),
            color: self.colors.show(&who.user.id, who.session, None),
            members: self.members.people(MEMBERS_MAX, who.session),
            members_total: self.colors.present(),
            storage: self.storage(),
        }
    }

    /// What a client that has `has` lacks.
    fn lacking(&mut self, has: Option<&Has>, queued_bytes: usize) -> Result<Lacking> {
        if queued_bytes > self.limits.socket_queue_bytes_max {
            return Err(Error::Overloaded);
        }
        let lacking = self.document.lacking(has);
        lacking.map_err(|_| Error::Internal)
    }

    /// Removes a member, with its seat and its awareness states.
    pub(super) fn leave(&mut self, session: SessionId) {
        let Some(member) = self.members.remove(session) else {
            return;
        };
        self.outputs.push(Output::RemoveSeat(session));
        let user = &member.peer.identity().user.id;
        self.colors.leave(user, session, self.now.instant);
        self.settle_charges(Some(member));
        self.ownership.release(session);
        let gone = self.awareness.remove_session(session);
        self.relay_removed(&gone);
        self.needed_at = self.now.instant;
    }

    /// Charges a removed member for what it still owes.
    fn settle_charges(&mut self, member: Option<Member<P>>) {
        let Some(member) = member else { return };
        if let SyncState::Lagging { .. } = member.sync_state() {
            self.metrics.lagging_ended();
        }
        if member.owed_bytes > 0 {
            self.outputs.push(Output::Charge {
                peer: member.peer,
                memory_bytes: member.owed_bytes,
                work: Work::Free,
            });
        }
    }

    /// Answers with what a client lacks. The member is current from now on.
    pub(super) fn sync(&mut self, peer: P, ticket: Ticket, has: &Has, queued_bytes: usize) {
        let session = peer.identity().session;
        let lacking = match self.members.get(session) {
            None => Err(NOT_JOINED),
            Some(_) => self.lacking(Some(has), queued_bytes),
        };
        let lacking = match lacking {
            Ok(lacking) => lacking,
            Err(error) => return self.answer(peer, ticket, Answer::Refused(error)),
        };
        let synced = Synced {
            lacking,
            state_vector: self.document.state_vector(),
            seq: self.document.durable,
        };
        self.answer(peer, ticket, Answer::Synced(synced));
        let declared = self.document.missing_here(&has.state_vector);
        self.members.declare(session, declared);
        self.set_sync_state(session, SyncState::Current);
        self.outputs.push(Output::SetGate(session, Gate::Open));
        self.tell_awareness(session);
    }

    /// The queue of a session was full: it has missed a message and is lagging.
    pub(super) fn started_lagging(&mut self, session: SessionId) {
        self.note_catch_up(session);
        let since = self.now.instant;
        self.set_sync_state(session, SyncState::Lagging { since });
    }

    /// Notes from where on a member that cannot ask is sent what it has missed.
    fn note_catch_up(&mut self, session: SessionId) {
        let flushes = self.flushes;
        let Some(member) = self.members.find(session) else {
            return;
        };
        if member.peer.catching_up() == CatchingUp::Asks {
            return;
        }
        // An earlier difference still counts if it was not sent, or if it was just sent and may be
        // the message that was missed.
        let may_be_missed = |sent_at: Option<u64>| sent_at.is_none_or(|sent| sent == flushes);
        let earlier = member.catch_up.take();
        let earlier = earlier.filter(|earlier| may_be_missed(earlier.sent_at));
        let had = earlier.map_or_else(|| self.state_before_last_relay(), |earlier| earlier.had);
        if let Some(member) = self.members.find(session) {
            member.catch_up = Some(Box::new(CatchUp { had, sent_at: None }));
        }
    }

    /// A state that every member has which missed only messages of the last relay and later ones.
    pub(super) fn state_before_last_relay(&self) -> StateVector {
        let mut had: HashMap<ClientId, u32> = self.document.clocks().collect();
        for update in self.last_relayed.iter().chain(self.commits.accepted_rows()) {
            let Ok(checked) = document::validate(update) else {
                continue;
            };
            for advance in &checked.advances {
                let clock = had.entry(advance.client).or_default();
                *clock = advance.from.min(*clock);
            }
        }
        had.into_iter().collect()
    }

    /// The queue of a lagging session has drained: it is told to resync.
    pub(super) fn drained(&mut self, session: SessionId) {
        let had = self.members.get(session).and_then(|member| {
            let is_sent = member.peer.catching_up() == CatchingUp::IsSent;
            let catch_up = member.catch_up.as_ref().filter(|_| is_sent);
            catch_up.map(|catch_up| catch_up.had.clone())
        });
        let resync = Message::Resync(ResyncReason::Lagging);
        self.outputs.push(Output::TellOne(session, resync));
        match had {
            Some(had) => self.send_missed(session, &had),
            None => self.set_sync_state(session, SyncState::AwaitingSync),
        }
    }

    /// Sends a member that had `had` what it lacks. The member is current from now on.
    fn send_missed(&mut self, session: SessionId, had: &StateVector) {
        let Ok(missed) = self.document.difference(Some(had)) else {
            // The document is broken. After it was rebuilt, every such member is sent the
            // difference.
            return;
        };
        let sent_at = Some(self.flushes);
        if let Some(member) = self.members.find(session) {
            let had = had.clone();
            member.catch_up = Some(Box::new(CatchUp { had, sent_at }));
        }
        self.set_sync_state(session, SyncState::Current);
        self.outputs.push(Output::SetGate(session, Gate::Open));
        let missed = Message::Update(missed);
        self.outputs.push(Output::TellOne(session, missed));
        self.tell_awareness(session);
    }

    /// Tells one member all awareness states.
    fn tell_awareness(&mut self, session: SessionId) {
        if !self.awareness.is_empty() {
            let states = Message::Awareness(self.awareness.encode_all().into());
            self.outputs.push(Output::TellOne(session, states));
        }
    }

    /// Has every member resync. Members that cannot ask, and had `had`, are sent the difference.
    pub(super) fn resync_all(&mut self, reason: ResyncReason, had: &StateVector) {
        self.outputs.push(Output::Tell {
            message: Message::Resync(reason),
            except: None,
            updates: 0,
        });
        let current: Vec<_> = self.members.current().collect();
        for session in current {
            let member = self.members.get(session);
            let catching_up = member.map(|member| member.peer.catching_up());
            if catching_up == Some(CatchingUp::IsSent) {
                self.send_missed(session, had);
            } else {
                self.set_sync_state(session, SyncState::AwaitingSync);
                self.outputs.push(Output::SetGate(session, Gate::Shut));
            }
        }
    }

    fn set_sync_state(&mut self, session: SessionId, sync_state: SyncState) {
        let is_lagging = |sync_state| matches!(sync_state, SyncState::Lagging { .. });
        let Some(before) = self.members.set_sync_state(session, sync_state) else {
            return;
        };
        match (is_lagging(before), is_lagging(sync_state)) {
            (false, true) => self.metrics.lagging_started(),
            (true, false) => self.metrics.lagging_ended(),
            _ => {}
        }
    }
}
