//! The awareness states of a room, and their owners.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::gone::Gone;
use super::stamp::{Coloring, Identity, stamp};
use super::{Entry, write};
use crate::ClientId;

/// The sender of an update. `S` is the id of a session, of whatever type the caller uses.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a, S> {
    /// The session that it came by.
    pub session: S,
    /// The user of that session.
    pub user: Identity<'a>,
}

/// The states of all clients in a room.
///
/// A client id belongs to the session that first used it, until its state is
/// removed; states of it from other sessions are dropped. Its user's next renewal brings a
/// removed state back. For a while after the removal, other users may bring only newer
/// states of the id (`gone.rs`).
#[derive(Debug)]
pub struct Awareness<S> {
    states: BTreeMap<ClientId, State<S>>,
    sessions: HashMap<S, Vec<ClientId>>,
    gone: Gone,
    generation: Generation,
}

/// A period, for receivers that later get all states that came since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

#[derive(Debug)]
struct State<S> {
    session: S,
    user: Arc<str>,
    clock: u32,
    seen_ms: i64,
    /// The period in which it came.
    generation: Generation,
    text: Arc<str>,
}

impl<S> Default for Awareness<S> {
    fn default() -> Self {
        Self {
            states: BTreeMap::new(),
            sessions: HashMap::new(),
            gone: Gone::default(),
            generation: Generation::default(),
        }
    }
}

impl<S: Copy + Eq + Hash> Awareness<S> {
    /// No states.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the states that `by` sent, and returns those that are to be relayed to the
    /// others, stamped with the identity of the author and the colour that `coloring` decides for
    /// each state that is accepted.
    ///
    /// Dropped without an error are: ids that belong to other sessions, clocks
    /// that are not newer, and ids beyond `ids_max` of one session. Another session of
    /// the same user takes an id over by a newer clock: that is a client that
    /// reconnected before its old connection was found dead.
    pub fn apply(
        &mut self,
        by: &Author<'_, S>,
        entries: Vec<Entry>,
        now_ms: i64,
        ids_max: usize,
        coloring: Coloring<'_>,
    ) -> Vec<Entry> {
        self.gone.pass(now_ms);
        entries
            .into_iter()
            .filter_map(|entry| self.take(by, entry, now_ms, ids_max, coloring))
            .collect()
    }

    /// Removes the states of `session` and returns their removal, with the
    /// last clocks: a newer clock would hide the owner's next renewal.
    pub fn remove_session(&mut self, session: S) -> Vec<Entry> {
        let ids = self.sessions.get(&session).cloned().unwrap_or_default();
        ids.into_iter()
            .filter_map(|client| self.remove(client, 0))
            .collect()
    }

    /// Removes the states that were not renewed within `timeout_ms` and returns their removal.
    pub fn sweep(&mut self, now_ms: i64, timeout_ms: i64) -> Vec<Entry> {
        self.gone.pass(now_ms);
        let old = |state: &State<S>| now_ms.saturating_sub(state.seen_ms) >= timeout_ms;
        let ids: Vec<_> = self
            .states
            .iter()
            .filter(|(_, state)| old(state))
            .map(|(client, _)| *client)
            .collect();
        ids.into_iter()
            .filter_map(|client| self.remove(client, 0))
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

    /// Ends a generation: states that are applied from here on belong to the next.
    pub fn end_generation(&mut self) -> Generation {
        let ended = self.generation;
        self.generation.0 += 1;
        ended
    }

    /// The states that came in `since` or later, as bytes for the wire. It contains no removals.
    pub fn encode_since(&self, since: Generation) -> Vec<u8> {
        let is_new = |(_, state): &(&ClientId, &State<S>)| state.generation >= since;
        let states: Vec<_> = self.states.iter().filter(is_new).collect();
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
        coloring: Coloring<'_>,
    ) -> Option<Entry> {
        let Entry {
            client,
            clock,
            state,
        } = entry;
        if let Some(present) = self.states.get(&client) {
            let own = present.session == by.session;
            let newer = clock > present.clock;
            // The rule of y-protocols: at an equal clock only a removal counts.
            let counts = newer || (own && clock == present.clock && state.is_none());
            if !counts || !(own || *present.user == *by.user.id) {
                return None;
            }
        } else if self.gone.is_echo(by.user.id, client, clock) {
            return None;
        }
        let Some(state) = state else {
            return self.remove(client, clock);
        };
        if self.owner(client) != Some(by.session) {
            let ids = self.sessions.get(&by.session).map_or(0, Vec::len);
            if ids >= ids_max {
                return None;
            }
            self.take_out(client);
            self.sessions.entry(by.session).or_default().push(client);
        }
        // `decode` accepts only objects.
        let text: Arc<str> = stamp(&state, by.user, coloring).ok()?.into();
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

    /// Removes a state, and remembers it for a while. Returns its removal, with its clock or `clock`,
    /// whichever is newer.
    fn remove(&mut self, client: ClientId, clock: u32) -> Option<Entry> {
        let State {
            clock: last, user, ..
        } = self.take_out(client)?;
        let clock = clock.max(last);
        self.gone.add(client, clock, user);
        Some(Entry {
            client,
            clock,
            state: None,
        })
    }

    fn take_out(&mut self, client: ClientId) -> Option<State<S>> {
        let state = self.states.remove(&client)?;
        if let Some(ids) = self.sessions.get_mut(&state.session) {
            ids.retain(|id| *id != client);
            if ids.is_empty() {
                self.sessions.remove(&state.session);
            }
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Color, decode};
    use super::*;

    const IDS_MAX: usize = 16;

    fn author(session: u64, id: &str) -> Author<'_, u64> {
        let user = Identity {
            id,
            name: id,
            avatar_url: None,
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

    fn gray(_: Option<&str>) -> Color {
        Color::parse("#aabbcc").expect("a colour")
    }

    fn send(room: &mut Awareness<u64>, by: &Author<'_, u64>, client: ClientId, clock: u32) -> bool {
        !room
            .apply(
                by,
                vec![entry(client, clock, Some("{}"))],
                0,
                IDS_MAX,
                &mut gray,
            )
            .is_empty()
    }

    fn remove(
        room: &mut Awareness<u64>,
        by: &Author<'_, u64>,
        client: ClientId,
        clock: u32,
    ) -> bool {
        !room
            .apply(by, vec![entry(client, clock, None)], 0, IDS_MAX, &mut gray)
            .is_empty()
    }

    #[test]
    fn a_state_is_relayed_as_it_was_stamped() {
        let mut room = Awareness::new();
        let relayed = room.apply(
            &author(1, "ana"),
            vec![entry(7, 1, Some(r#"{"c":1}"#))],
            0,
            IDS_MAX,
            &mut gray,
        );
        let text = r##"{"c":1,"user":{"id":"ana","name":"ana","color":"#aabbcc"}}"##;
        assert_eq!(relayed, [entry(7, 1, Some(text))]);
        assert_eq!(decode(&room.encode_all()).as_deref(), Ok(&relayed[..]));
        assert_eq!(room.owner(7), Some(1));
    }

    #[test]
    fn ids_of_other_sessions_are_dropped_without_harm() {
        let (mut room, ana, ben) = (Awareness::new(), author(1, "ana"), author(2, "ben"));
        assert!(send(&mut room, &ana, 7, 1));
        assert!(!send(&mut room, &ben, 7, 99) && !remove(&mut room, &ben, 7, 99));
        // Another tab's state, relayed in good faith, next to an own one.
        let relayed = room.apply(
            &ben,
            vec![entry(7, 2, Some("{}")), entry(8, 0, Some("{}"))],
            0,
            9,
            &mut gray,
        );
        assert_eq!(
            relayed.iter().map(|entry| entry.client).collect::<Vec<_>>(),
            [8]
        );
        assert_eq!(room.owner(7), Some(1));
    }

    #[test]
    fn stale_clocks_are_dropped() {
        let (mut room, ana) = (Awareness::new(), author(1, "ana"));
        assert!(send(&mut room, &ana, 7, 5));
        assert!(!send(&mut room, &ana, 7, 5) && !send(&mut room, &ana, 7, 4));
        assert!(!remove(&mut room, &ana, 7, 4));
        assert!(send(&mut room, &ana, 7, 6));
        assert!(remove(&mut room, &ana, 7, 6), "an equal clock removes");
        assert!(!remove(&mut room, &ana, 7, 7), "nothing is left to remove");
        assert!(room.is_empty() && room.sessions.is_empty());
    }

    #[test]
    fn a_newer_clock_of_the_same_user_takes_an_id_over() {
        let (mut room, old, new) = (Awareness::new(), author(1, "ana"), author(2, "ana"));
        assert!(send(&mut room, &old, 7, 5));
        assert!(!send(&mut room, &new, 7, 5) && !remove(&mut room, &new, 7, 5));
        assert!(send(&mut room, &new, 7, 6));
        assert_eq!(room.owner(7), Some(2));
        assert!(room.remove_session(1).is_empty(), "the old one has lost it");
        assert_eq!(room.remove_session(2), [entry(7, 6, None)]);
    }

    #[test]
    fn a_session_has_a_limited_number_of_ids() {
        let (mut room, ana) = (Awareness::new(), author(1, "ana"));
        assert!((0..16).all(|client| send(&mut room, &ana, client, 1)));
        assert!(!send(&mut room, &ana, 16, 1));
        assert!(remove(&mut room, &ana, 3, 1) && send(&mut room, &ana, 16, 1));
        assert!(
            send(&mut room, &author(2, "ana"), 3, 1),
            "the limit is per session"
        );
    }

    #[test]
    fn an_ended_session_leaves_no_states_and_its_owner_returns_by_renewal() {
        let (mut room, ana) = (Awareness::new(), author(1, "ana"));
        assert!(send(&mut room, &ana, 7, 5) && send(&mut room, &ana, 8, 2));
        assert!(send(&mut room, &author(2, "ben"), 9, 1));
        assert_eq!(
            room.remove_session(1),
            [entry(7, 5, None), entry(8, 2, None)]
        );
        assert!(room.remove_session(1).is_empty());
        assert_eq!((room.states.len(), room.sessions.len()), (1, 1));
        assert!(send(&mut room, &author(3, "ana"), 7, 5));
    }

    #[test]
    fn the_echo_of_a_removed_state_does_not_bring_it_back_as_anothers() {
        let (mut room, ana, ben) = (Awareness::new(), author(1, "ana"), author(2, "ben"));
        assert!(send(&mut room, &ana, 7, 5) && send(&mut room, &ana, 8, 5));
        assert!(remove(&mut room, &ana, 8, 6));
        room.remove_session(1);
        assert!(!send(&mut room, &ben, 7, 5) && !send(&mut room, &ben, 8, 6));
        assert!(send(&mut room, &author(3, "ana"), 7, 5), "Ana returns");
        assert!(send(&mut room, &ben, 8, 7), "a newer state is no echo");
    }

    #[test]
    fn states_that_are_not_renewed_are_removed() {
        let (mut room, ana) = (Awareness::new(), author(1, "ana"));
        room.apply(
            &ana,
            vec![entry(7, 1, Some("{}")), entry(8, 1, Some("{}"))],
            1_000,
            16,
            &mut gray,
        );
        room.apply(&ana, vec![entry(8, 2, Some("{}"))], 20_000, 16, &mut gray);
        assert!(room.sweep(30_999, 30_000).is_empty());
        assert_eq!(room.sweep(31_000, 30_000), [entry(7, 1, None)]);
        assert_eq!(room.sweep(50_000, 30_000), [entry(8, 2, None)]);
        assert!(room.is_empty() && room.sessions.is_empty());
    }
}
