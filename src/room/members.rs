//! Who is in a room, and who of them cannot keep up.
//!
//! A member is current until a message finds its queue full. Then nothing more is
//! queued for it: when its queue has drained it is told to synchronise anew,
//! and when it does, it is live again and has missed nothing. One that does
//! not drain in time is cut.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::{CatchingUp, Identity, Peer, Person};
use crate::id::{SessionId, Timestamp, UserId};
use document::StateVector;

/// A handle to somebody who asks, as far as a room's core uses it: to know who that is. All
/// else it hands back.
pub(super) trait PeerHandle: Clone {
    fn identity(&self) -> &Identity;
    fn catching_up(&self) -> CatchingUp;
}

impl PeerHandle for Arc<dyn Peer> {
    fn identity(&self) -> &Identity {
        (**self).identity()
    }

    fn catching_up(&self) -> CatchingUp {
        (**self).catching_up()
    }
}

/// Whose cursors wait to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangedBy {
    Nobody,
    Only(SessionId),
    Several,
}

/// The members of one room.
pub(super) struct Members<P> {
    list: Vec<Member<P>>,
    places: HashMap<SessionId, usize, RandomState>,
    current: usize,
    lagging: usize,
}

/// One member.
pub(super) struct Member<P> {
    pub(super) peer: P,
    pub(super) last_seen_at: Timestamp,
    /// Memory that its updates took and that it was not charged for yet, in bytes.
    pub(super) owed_bytes: usize,
    /// What the client said to have, when it synchronised, that was not here.
    declared: StateVector,
    sync_state: SyncState,
    /// Of one that is sent what it missed: at least what it had when it fell behind, and after
    /// how many flushes it was sent the rest.
    pub(super) had: Option<(StateVector, Option<u64>)>,
}

/// How a member gets along with what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncState {
    /// Gets everything.
    Current,
    /// Its queue was full: gets nothing until it has drained.
    Lagging { since: Instant },
    /// Was told to synchronise anew: gets no updates before it has.
    AwaitingSync,
}

impl<P> Default for Members<P> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            places: HashMap::default(),
            current: 0,
            lagging: 0,
        }
    }
}

impl<P: PeerHandle> Members<P> {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// How many are told what everybody but `except` is told.
    pub(super) fn receivers(&self, except: Option<SessionId>) -> u64 {
        let is_current = |session| self.get(session).is_some_and(Member::is_current);
        (self.current - usize::from(except.is_some_and(is_current))) as u64
    }

    /// Whether somebody's queue has yet to drain.
    pub(super) fn any_lagging(&self) -> bool {
        self.lagging > 0
    }

    /// Those whose queue has yet to drain, and since when.
    pub(super) fn lagging(&self) -> impl Iterator<Item = (&Member<P>, Instant)> {
        let behind = |member: &'_ Member<P>| match member.sync_state {
            SyncState::Lagging { since } => Some(since),
            SyncState::Current | SyncState::AwaitingSync => None,
        };
        let all = self.list.iter();
        all.filter_map(move |member| Some((member, behind(member)?)))
    }

    /// The sessions of those that are live.
    pub(super) fn current(&self) -> impl Iterator<Item = SessionId> {
        let live = self.list.iter().filter(|member| member.is_current());
        live.map(|member| member.peer.identity().session)
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Member<P>> {
        self.list.get(*self.places.get(&session)?)
    }

    pub(super) fn find(&mut self, session: SessionId) -> Option<&mut Member<P>> {
        let place = *self.places.get(&session)?;
        self.list.get_mut(place)
    }

    /// What a session said to have, when it synchronised, that was not here.
    pub(super) fn declared(&self, session: SessionId) -> &StateVector {
        static NOTHING: LazyLock<StateVector> = LazyLock::new(StateVector::default);
        let member = self.get(session);
        member.map_or(&*NOTHING, |member| &member.declared)
    }

    /// The person of a session that is present.
    pub(super) fn user(&self, session: SessionId) -> Option<&UserId> {
        let member = self.get(session)?;
        Some(&member.peer.identity().user.id)
    }

    /// Takes `peer` in; what the session was before is replaced, and returned.
    pub(super) fn admit(
        &mut self,
        peer: P,
        declared: StateVector,
        now: Timestamp,
    ) -> Option<Member<P>> {
        let session = peer.identity().session;
        let before = self.remove(session);
        self.places.insert(session, self.list.len());
        self.list.push(Member {
            peer,
            last_seen_at: now,
            owed_bytes: 0,
            declared,
            sync_state: SyncState::Current,
            had: None,
        });
        self.current += 1;
        before
    }

    /// Takes the session out; `None` if it is no member.
    pub(super) fn remove(&mut self, session: SessionId) -> Option<Member<P>> {
        let place = self.places.remove(&session)?;
        let gone = self.list.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.peer.identity().session, place);
        }
        self.count(gone.sync_state, None);
        Some(gone)
    }

    /// Notes how the session gets along. Returns how it did, if that is another.
    pub(super) fn set_sync_state(
        &mut self,
        session: SessionId,
        sync_state: SyncState,
    ) -> Option<SyncState> {
        let member = self.find(session)?;
        let before = std::mem::replace(&mut member.sync_state, sync_state);
        self.count(before, Some(sync_state));
        (before != sync_state).then_some(before)
    }

    /// The session has synchronised and has what is `declared` besides what is here.
    pub(super) fn declare(&mut self, session: SessionId, declared: StateVector) {
        if let Some(member) = self.find(session) {
            member.declared = declared;
        }
    }

    /// Those whose queue has not drained for as long as `patience`.
    pub(super) fn lagging_for(&self, now: Instant, patience: Duration) -> impl Iterator<Item = &P> {
        let late = move |since| now.duration_since(since) >= patience;
        let behind = self.lagging().filter(move |(_, since)| late(*since));
        behind.map(|(member, _)| &member.peer)
    }

    /// The people present, each once, last heard of where they were last heard of.
    pub(super) fn people(&self) -> Vec<Person> {
        let mut people: Vec<Person> = Vec::with_capacity(self.list.len());
        let mut places: HashMap<&UserId, usize> = HashMap::with_capacity(self.list.len());
        for member in &self.list {
            let user = &member.peer.identity().user;
            let place = *places.entry(&user.id).or_insert(people.len());
            match people.get_mut(place) {
                Some(person) => {
                    person.last_seen_at = person.last_seen_at.max(member.last_seen_at);
                }
                None => people.push(Person {
                    user: user.clone(),
                    last_seen_at: member.last_seen_at,
                }),
            }
        }
        people
    }

    /// All handles, in no particular order.
    pub(super) fn peers(&self) -> impl Iterator<Item = &P> {
        self.list.iter().map(|member| &member.peer)
    }

    fn count(&mut self, before: SyncState, after: Option<SyncState>) {
        match before {
            SyncState::Current => self.current -= 1,
            SyncState::Lagging { .. } => self.lagging -= 1,
            SyncState::AwaitingSync => {}
        }
        match after {
            Some(SyncState::Current) => self.current += 1,
            Some(SyncState::Lagging { .. }) => self.lagging += 1,
            Some(SyncState::AwaitingSync) | None => {}
        }
    }
}

impl<P> Member<P> {
    /// How it gets along with what it is told.
    pub(super) fn sync_state(&self) -> SyncState {
        self.sync_state
    }

    /// Whether it is told everything.
    pub(super) fn is_current(&self) -> bool {
        self.sync_state == SyncState::Current
    }
}
