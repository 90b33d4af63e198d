//! The members of a room, and which of them are lagging.
//!
//! A member is current until a message finds its queue full. Then it is lagging, and
//! nothing more is queued for it. When its queue has drained it is told to resync;
//! after that it is current again and has missed nothing. A member whose queue does not
//! drain in time is cut.

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

/// The part of a peer that a room's core uses: who it is, and how it catches up. The core returns
/// the handle in its outputs; the tests use another type of handle.
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

/// Who has changed awareness states since they were last relayed.
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

/// The room's record of a session that has joined.
pub(super) struct Member<P> {
    pub(super) peer: P,
    pub(super) last_seen_at: Timestamp,
    /// Memory that its updates have taken and that it was not charged for yet, in bytes.
    pub(super) owed_bytes: usize,
    /// The clocks that the client declared when it synchronised, as far as they were ahead of the
    /// document.
    declared: StateVector,
    sync_state: SyncState,
    /// Set for a member that cannot ask for what it missed and has lagged. It is boxed, because few
    /// members are such.
    pub(super) catch_up: Option<Box<CatchUp>>,
}

/// From where on a member is sent what it missed.
#[derive(Clone)]
pub(super) struct CatchUp {
    /// A state that the member had when it started to lag, or an earlier one.
    pub(super) had: StateVector,
    /// The number of the room's relays when it was last sent the difference to that; `None` if
    /// it was not sent yet.
    pub(super) sent_at: Option<u64>,
}

/// Whether a member receives what the room tells everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncState {
    /// It receives everything.
    Current,
    /// Its queue was full: it receives nothing until the queue has drained.
    Lagging { since: Instant },
    /// It was told to resync: it receives no updates before it has.
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

    /// How many members receive a message to everybody but `except`.
    pub(super) fn receivers(&self, except: Option<SessionId>) -> u64 {
        let is_current = |session| self.get(session).is_some_and(Member::is_current);
        (self.current - usize::from(except.is_some_and(is_current))) as u64
    }

    /// Whether a member is lagging.
    pub(super) fn any_lagging(&self) -> bool {
        self.lagging > 0
    }

    /// The lagging members, and since when they are lagging.
    pub(super) fn lagging(&self) -> impl Iterator<Item = (&Member<P>, Instant)> {
        let since = |member: &'_ Member<P>| match member.sync_state {
            SyncState::Lagging { since } => Some(since),
            SyncState::Current | SyncState::AwaitingSync => None,
        };
        let all = self.list.iter();
        all.filter_map(move |member| Some((member, since(member)?)))
    }

    /// The sessions of the members that are current.
    pub(super) fn current(&self) -> impl Iterator<Item = SessionId> {
        let current = self.list.iter().filter(|member| member.is_current());
        current.map(|member| member.peer.identity().session)
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Member<P>> {
        self.list.get(*self.places.get(&session)?)
    }

    pub(super) fn find(&mut self, session: SessionId) -> Option<&mut Member<P>> {
        let place = *self.places.get(&session)?;
        self.list.get_mut(place)
    }

    /// The clocks that a session declared when it synchronised, as far as they were ahead of the
    /// document.
    pub(super) fn declared(&self, session: SessionId) -> &StateVector {
        static NOTHING: LazyLock<StateVector> = LazyLock::new(StateVector::default);
        let member = self.get(session);
        member.map_or(&*NOTHING, |member| &member.declared)
    }

    /// The user of a session that is a member.
    pub(super) fn user(&self, session: SessionId) -> Option<&UserId> {
        let member = self.get(session)?;
        Some(&member.peer.identity().user.id)
    }

    /// Adds `peer` as a member. Replaces and returns the earlier member of the same session.
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
            catch_up: None,
        });
        self.current += 1;
        before
    }

    /// Removes the session's member; `None` if there is none.
    pub(super) fn remove(&mut self, session: SessionId) -> Option<Member<P>> {
        let place = self.places.remove(&session)?;
        let gone = self.list.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.peer.identity().session, place);
        }
        self.count(gone.sync_state, None);
        Some(gone)
    }

    /// Sets the state of a session. Returns the earlier one if it was different.
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

    /// Notes what a session `declared` when it synchronised.
    pub(super) fn declare(&mut self, session: SessionId, declared: StateVector) {
        if let Some(member) = self.find(session) {
            member.declared = declared;
        }
    }

    /// The members that have been lagging for `timeout` or longer.
    pub(super) fn lagging_for(&self, now: Instant, timeout: Duration) -> impl Iterator<Item = &P> {
        let late = move |since| now.duration_since(since) >= timeout;
        let lagging = self.lagging().filter(move |(_, since)| late(*since));
        lagging.map(|(member, _)| &member.peer)
    }

    /// The people in the room, each once, with the newest time at which one of their sessions sent
    /// a command: at most `max`, among them the person of `session`.
    pub(super) fn people(&self, max: usize, session: SessionId) -> Vec<Person> {
        let capacity = self.list.len().min(max);
        let mut people: Vec<Person> = Vec::with_capacity(capacity);
        let mut places: HashMap<&UserId, usize, RandomState> =
            HashMap::with_capacity_and_hasher(capacity, RandomState::default());
        let own = self.get(session).into_iter();
        for member in own.chain(&self.list) {
            if people.len() == max {
                break;
            }
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
    /// Whether it receives what the room tells everybody.
    pub(super) fn sync_state(&self) -> SyncState {
        self.sync_state
    }

    /// Whether it receives everything.
    pub(super) fn is_current(&self) -> bool {
        self.sync_state == SyncState::Current
    }
}
