//! The awareness states of a room, and whose they are.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::stamp::{Identity, stamp};
use super::{Entry, write};
use crate::ClientId;

/// Who sends an update. `S` names a session: whatever the caller tells sessions apart by.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a, S> {
    /// The session that it came by.
    pub session: S,
    /// The user whose session that is.
    pub user: Identity<'a>,
}

/// The states of all clients in a room.
///
/// A client id belongs to the session that first used it, until its state is
/// removed; what another one says of it is dropped. Of a removed state nothing
/// is remembered, so that its owner's next renewal brings it back.
#[derive(Debug)]
pub struct Awareness<S> {
    states: BTreeMap<ClientId, State<S>>,
    sessions: HashMap<S, Vec<ClientId>>,
    generation: Generation,
}

/// A stretch of time, for those who are told later what came since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

#[derive(Debug)]
struct State<S> {
    session: S,
    user: Arc<str>,
    clock: u32,
    seen_ms: i64,
    /// When it came.
    generation: Generation,
    text: Arc<str>,
}

impl<S> Default for Awareness<S> {
    fn default() -> Self {
        Self {
            states: BTreeMap::new(),
            sessions: HashMap::new(),
            generation: Generation::default(),
        }
    }
}

impl<S: Copy + Eq + Hash> Awareness<S> {
    /// No states.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what `by` says, and returns what of it is to be told to the
    /// others, stamped with who the author is.
    ///
    /// Dropped without a word are: ids that belong to other sessions, clocks
    /// that are not news, and ids beyond `ids_max` of one session. A session of
    /// the same user takes an id over by a newer clock: that is a client that
    /// came back before its old connection was noticed dead.
    pub fn apply(
        &mut self,
        by: &Author<'_, S>,
        entries: Vec<Entry>,
        now_ms: i64,
        ids_max: usize,
    ) -> Vec<Entry> {
        entries
            .into_iter()
            .filter_map(|entry| self.take(by, entry, now_ms, ids_max))
            .collect()
    }

    /// Removes the states of `session` and returns their removal, as of the
    /// last clock seen: a newer one would hide the owner's next renewal.
    pub fn remove_session(&mut self, session: S) -> Vec<Entry> {
        let ids = self.sessions.get(&session).cloned().unwrap_or_default();
        ids.into_iter()
            .filter_map(|client| self.remove(client))
            .collect()
    }

    /// Removes what was not renewed within `timeout_ms` and returns its removal.
    pub fn sweep(&mut self, now_ms: i64, timeout_ms: i64) -> Vec<Entry> {
        let old = |state: &State<S>| now_ms.saturating_sub(state.seen_ms) >= timeout_ms;
        let ids: Vec<_> = self
            .states
            .iter()
            .filter(|(_, state)| old(state))
            .map(|(client, _)| *client)
            .collect();
        ids.into_iter()
            .filter_map(|client| self.remove(client))
            .collect()
    }

    /// All states, as bytes for the wire.
    pub fn encode_all(&self) -> Vec<u8> {
        write(
            self.states
                .iter()
                .map(|(client, state)| (*client, state.clock, Some(&*state.text))),
        )
    }

    /// Ends a generation: what is applied from here on belongs to the next.
    pub fn end_generation(&mut self) -> Generation {
        let ended = self.generation;
        self.generation.0 += 1;
        ended
    }

    /// The states that came in `since` or later, as bytes for the wire. Of removals it says nothing.
    pub fn encode_since(&self, since: Generation) -> Vec<u8> {
        let news = |(_, state): &(&ClientId, &State<S>)| state.generation >= since;
        let states: Vec<_> = self.states.iter().filter(news).collect();
        write(
            states
                .into_iter()
                .map(|(client, state)| (*client, state.clock, Some(&*state.text))),
        )
    }

    /// The session that a client id belongs to.
    pub fn owner(&self, client: ClientId) -> Option<S> {
        self.states.get(&client).map(|state| state.session)
    }

    /// Whether there are no states.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    fn take(
        &mut self,
        by: &Author<'_, S>,
        entry: Entry,
        now_ms: i64,
        ids_max: usize,
    ) -> Option<Entry> {
        let Entry {
            client,
            clock,
            state,
        } = entry;
        if let Some(present) = self.states.get(&client) {
            let own = present.session == by.session;
            let newer = clock > present.clock;
            // The rule of y-protocols: at an equal clock only a removal is news.
            let news = newer || (own && clock == present.clock && state.is_none());
            if !news || !(own || *present.user == *by.user.id) {
                return None;
            }
        }
        let Some(state) = state else {
            self.remove(client)?;
            return Some(Entry {
                client,
                clock,
                state: None,
            });
        };
        if self.owner(client) != Some(by.session) {
            let ids = self.sessions.get(&by.session).map_or(0, Vec::len);
            if ids >= ids_max {
                return None;
            }
            self.remove(client);
            self.sessions.entry(by.session).or_default().push(client);
        }
        // `decode` let only objects in.
        let text: Arc<str> = stamp(&state, by.user).ok()?.into();
        let entry = Entry {
            client,
            clock,
            state: Some(text.clone()),
        };
        let (session, user, seen_ms) = (by.session, by.user.id.into(), now_ms);
        self.states.insert(
            client,
            State {
                session,
                user,
                clock,
                seen_ms,
                generation: self.generation,
                text,
            },
        );
        Some(entry)
    }

    fn remove(&mut self, client: ClientId) -> Option<Entry> {
        let State { session, clock, .. } = self.states.remove(&client)?;
        if let Some(ids) = self.sessions.get_mut(&session) {
            ids.retain(|id| *id != client);
            if ids.is_empty() {
                self.sessions.remove(&session);
            }
        }
        Some(Entry {
            client,
            clock,
            state: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    const IDS_MAX: usize = 16;

    fn author(session: u64, id: &str) -> Author<'_, u64> {
        let user = Identity {
            id,
            name: id,
            avatar_url: None,
            color: "#abc",
        };
        Author { session, user }
    }

    fn entry(client: ClientId, clock: u32, state: Option<&str>) -> Entry {
        Entry {
            client,
            clock,
            state: state.map(Arc::from),
        }
    }

    fn say(room: &mut Awareness<u64>, by: &Author<'_, u64>, client: ClientId, clock: u32) -> bool {
        !room
            .apply(by, vec![entry(client, clock, Some("{}"))], 0, IDS_MAX)
            .is_empty()
    }

    fn gone(room: &mut Awareness<u64>, by: &Author<'_, u64>, client: ClientId, clock: u32) -> bool {
        !room
            .apply(by, vec![entry(client, clock, None)], 0, IDS_MAX)
            .is_empty()
    }

    #[test]
    fn a_state_is_relayed_as_it_was_stamped() {
        let mut room = Awareness::new();
        let told = room.apply(
            &author(1, "ana"),
            vec![entry(7, 1, Some(r#"{"c":1}"#))],
            0,
            IDS_MAX,
        );
        let text = r##"{"c":1,"user":{"id":"ana","name":"ana","color":"#abc"}}"##;
        assert_eq!(told, [entry(7, 1, Some(text))]);
        assert_eq!(decode(&room.encode_all()).as_deref(), Ok(&told[..]));
        assert_eq!(room.owner(7), Some(1));
    }

    #[test]
    fn foreign_ids_are_dropped_without_harm() {
        let (mut room, ana, ben) = (Awareness::new(), author(1, "ana"), author(2, "ben"));
        assert!(say(&mut room, &ana, 7, 1));
        assert!(!say(&mut room, &ben, 7, 99) && !gone(&mut room, &ben, 7, 99));
        // Another tab's state, relayed in good faith, next to an own one.
        let told = room.apply(
            &ben,
            vec![entry(7, 2, Some("{}")), entry(8, 0, Some("{}"))],
            0,
            9,
        );
        assert_eq!(
            told.iter().map(|entry| entry.client).collect::<Vec<_>>(),
            [8]
        );
        assert_eq!(room.owner(7), Some(1));
    }

    #[test]
    fn stale_clocks_are_dropped() {
        let (mut room, ana) = (Awareness::new(), author(1, "ana"));
        assert!(say(&mut room, &ana, 7, 5));
        assert!(!say(&mut room, &ana, 7, 5) && !say(&mut room, &ana, 7, 4));
        assert!(!gone(&mut room, &ana, 7, 4));
        assert!(say(&mut room, &ana, 7, 6));
        assert!(gone(&mut room, &ana, 7, 6), "an equal clock removes");
        assert!(!gone(&mut room, &ana, 7, 7), "nothing is left to remove");
        assert!(room.is_empty() && room.sessions.is_empty());
    }

    #[test]
    fn a_newer_clock_of_the_same_user_takes_an_id_over() {
        let (mut room, old, new) = (Awareness::new(), author(1, "ana"), author(2, "ana"));
        assert!(say(&mut room, &old, 7, 5));
        assert!(!say(&mut room, &new, 7, 5) && !gone(&mut room, &new, 7, 5));
        assert!(say(&mut room, &new, 7, 6));
        assert_eq!(room.owner(7), Some(2));
        assert!(room.remove_session(1).is_empty(), "the old one has lost it");
        assert_eq!(room.remove_session(2), [entry(7, 6, None)]);
    }

    #[test]
    fn a_session_has_at_most_so_many_ids() {
        let (mut room, ana) = (Awareness::new(), author(1, "ana"));
        assert!((0..16).all(|client| say(&mut room, &ana, client, 1)));
        assert!(!say(&mut room, &ana, 16, 1));
        assert!(gone(&mut room, &ana, 3, 1) && say(&mut room, &ana, 16, 1));
        assert!(
            say(&mut room, &author(2, "ana"), 3, 1),
            "the limit is per session"
        );
    }

    #[test]
    fn an_ended_session_leaves_nothing_and_its_owner_comes_back_by_renewal() {
        let (mut room, ana) = (Awareness::new(), author(1, "ana"));
        assert!(say(&mut room, &ana, 7, 5) && say(&mut room, &ana, 8, 2));
        assert!(say(&mut room, &author(2, "ben"), 9, 1));
        assert_eq!(
            room.remove_session(1),
            [entry(7, 5, None), entry(8, 2, None)]
        );
        assert!(room.remove_session(1).is_empty());
        assert_eq!((room.states.len(), room.sessions.len()), (1, 1));
        assert!(say(&mut room, &author(3, "ana"), 7, 5));
    }

    #[test]
    fn what_is_not_renewed_is_swept() {
        let (mut room, ana) = (Awareness::new(), author(1, "ana"));
        room.apply(
            &ana,
            vec![entry(7, 1, Some("{}")), entry(8, 1, Some("{}"))],
            1_000,
            16,
        );
        room.apply(&ana, vec![entry(8, 2, Some("{}"))], 20_000, 16);
        assert!(room.sweep(30_999, 30_000).is_empty());
        assert_eq!(room.sweep(31_000, 30_000), [entry(7, 1, None)]);
        assert_eq!(room.sweep(50_000, 30_000), [entry(8, 2, None)]);
        assert!(room.is_empty() && room.sessions.is_empty());
    }
}
