//! Which user owns which Yjs client id, so that nobody writes under another user's name.
//!
//! An update that advances a foreign client id makes the next edits of that client
//! contradict the document. So the part of an update that advances an id of
//! another user is left out, and the rest is applied.
//!
//! An id belongs to the user who first typed with it: who sent an update that
//! advances this id alone, is new as a whole, and contains nothing that the sender
//! declared when it synchronised. The owner is written into the database with
//! the update. While a session of the owner has typed with the id, or shows a
//! cursor under it, only the owner's sessions may advance it. Otherwise, every
//! session may advance it up to the clock that it declared when it synchronised,
//! because the answer to a resync carries what an absent author has left with others.

use std::collections::{HashMap, HashSet};

use document::{Advance, StateVector};
use foldhash::fast::RandomState;

use crate::{
    id::{ClientId, SessionId, Timestamp, UserId},
    store::Author,
};

/// The owned client ids of one room.
#[derive(Default)]
pub(super) struct Ownership {
    /// The owner of each id, as the database has it or is about to have it.
    authors: HashMap<ClientId, UserId, RandomState>,
    /// The id's session, for ids with which a present session has typed.
    typing: HashMap<ClientId, SessionId, RandomState>,
}

/// The sender of an update.
pub(super) struct Sender<'a> {
    pub(super) session: SessionId,
    pub(super) user: &'a UserId,
    /// The clocks that it declared when it synchronised, as far as they were ahead of the document.
    pub(super) declared: &'a StateVector,
}

impl Ownership {
    /// Adds the owners that the database has.
    pub(super) fn load(&mut self, authors: Vec<(ClientId, UserId)>) {
        self.authors.extend(authors);
    }

    /// The owners that are not among the `stored` ones, to be written again.
    pub(super) fn missing_in(&self, stored: &[(ClientId, UserId)]) -> Vec<Author> {
        let stored: HashSet<ClientId> = stored.iter().map(|(client, _)| *client).collect();
        let missing = self
            .authors
            .iter()
            .filter(|(client, _)| !stored.contains(client));
        let since = Timestamp::now();
        let author = |(client, user): (&ClientId, &UserId)| Author {
            client: *client,
            user: user.clone(),
            first_clock: 0,
            since,
        };
        missing.map(author).collect()
    }

    /// The clock up to which `sender` may bring elements of `client`. `shown` returns the session
    /// that shows a cursor under an id, with its user.
    pub(super) fn clock_limit<'a>(
        &self,
        sender: &Sender<'_>,
        client: ClientId,
        shown: impl FnOnce(ClientId) -> Option<(SessionId, &'a UserId)>,
    ) -> u32 {
        let author = self.authors.get(&client);
        if author == Some(sender.user) {
            return u32::MAX;
        }
        let shown = shown(client).filter(|(session, _)| *session != sender.session);
        let shown = shown.map(|(_, user)| user);
        match (author, shown) {
            (None, None) => u32::MAX,
            (None, Some(user)) if user == sender.user => u32::MAX,
            (Some(author), shown) if self.typing.contains_key(&client) || shown == Some(author) => {
                0
            }
            // The owner is absent or not certain.
            (_, _) => sender.declared.clock(client),
        }
    }

    /// Notes that `sender` typed with the only id of an update. Returns the id's author if it had
    /// none. A session has one replica of the document, and so one id of its own. A further id
    /// counts only if the session's cursor is `shown` under it, because a session may also
    /// bring the edits of others.
    pub(super) fn claim(
        &mut self,
        sender: &Sender<'_>,
        advance: Advance,
        shown: impl FnOnce(ClientId) -> Option<SessionId>,
    ) -> Option<Author> {
        let Advance { client, from, .. } = advance;
        if self.typing.get(&client) == Some(&sender.session) {
            return None;
        }
        if from < sender.declared.clock(client) {
            return None;
        }
        if let Some(author) = self.authors.get(&client) {
            if author == sender.user {
                self.typing.insert(client, sender.session);
            }
            return None;
        }
        let has_one = || {
            self.typing
                .values()
                .any(|session| *session == sender.session)
        };
        if has_one() && shown(client) != Some(sender.session) {
            return None;
        }
        self.typing.insert(client, sender.session);
        self.authors.insert(client, sender.user.clone());
        Some(Author {
            client,
            user: sender.user.clone(),
            first_clock: from,
            since: Timestamp::now(),
        })
    }

    /// Notes that a session has left.
    pub(super) fn release(&mut self, session: SessionId) {
        self.typing.retain(|_, owner| *owner != session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: SessionId = SessionId(1);
    const BEN: SessionId = SessionId(2);

    struct Person {
        session: SessionId,
        user: UserId,
        declared: StateVector,
    }

    impl Person {
        fn new(session: SessionId, id: &str) -> Self {
            let user = UserId::parse(id).expect("a user id");
            let declared = StateVector::default();
            Self {
                session,
                user,
                declared,
            }
        }

        fn sender(&self) -> Sender<'_> {
            Sender {
                session: self.session,
                user: &self.user,
                declared: &self.declared,
            }
        }
    }

    fn advance(from: u32) -> Advance {
        let (client, to) = (7, from + 1);
        Advance { client, from, to }
    }

    #[test]
    fn an_id_with_which_a_session_types_is_closed_to_other_users() {
        let (ana, ben) = (Person::new(ANA, "ana"), Person::new(BEN, "ben"));
        let mut ownership = Ownership::default();
        assert_eq!(ownership.clock_limit(&ben.sender(), 7, |_| None), u32::MAX);
        let author = ownership.claim(&ana.sender(), advance(0), |_| None);
        assert!(author.is_some_and(|author| author.user == ana.user));
        assert!(
            ownership
                .claim(&ana.sender(), advance(1), |_| None)
                .is_none()
        );
        assert_eq!(ownership.clock_limit(&ana.sender(), 7, |_| None), u32::MAX);
        let tab = Person::new(BEN, "ana");
        assert_eq!(ownership.clock_limit(&tab.sender(), 7, |_| None), u32::MAX);
        assert_eq!(ownership.clock_limit(&ben.sender(), 7, |_| None), 0);
    }

    #[test]
    fn content_of_an_absent_owner_is_taken_only_from_a_session_that_declared_it() {
        let (ana, mut ben) = (Person::new(ANA, "ana"), Person::new(BEN, "ben"));
        let mut ownership = Ownership::default();
        ownership.claim(&ana.sender(), advance(0), |_| None);
        ben.declared = [(7, 5)].into_iter().collect();
        assert_eq!(ownership.clock_limit(&ben.sender(), 7, |_| None), 0);
        ownership.release(ANA);
        assert_eq!(ownership.clock_limit(&ben.sender(), 7, |_| None), 5);
        let shown = |_| Some((ANA, &ana.user));
        assert_eq!(
            ownership.clock_limit(&ben.sender(), 7, shown),
            0,
            "the owner is present again"
        );
        ben.declared = StateVector::default();
        assert_eq!(ownership.clock_limit(&ben.sender(), 7, |_| None), 0);
        assert!(
            ownership
                .claim(&ben.sender(), advance(5), |_| None)
                .is_none()
        );
    }

    #[test]
    fn a_shown_cursor_counts_where_nobody_has_typed() {
        let (ana, mut ben) = (Person::new(ANA, "ana"), Person::new(BEN, "ben"));
        let ownership = Ownership::default();
        let shown = |_| Some((ANA, &ana.user));
        assert_eq!(ownership.clock_limit(&ben.sender(), 7, shown), 0);
        ben.declared = [(7, 5)].into_iter().collect();
        assert_eq!(
            ownership.clock_limit(&ben.sender(), 7, shown),
            5,
            "the answer to a resync carries content of others"
        );
    }

    #[test]
    fn content_that_others_wrote_is_not_claimed() {
        let mut ben = Person::new(BEN, "ben");
        let mut ownership = Ownership::default();
        ben.declared = [(7, 5)].into_iter().collect();
        assert!(
            ownership
                .claim(&ben.sender(), advance(4), |_| None)
                .is_none()
        );
        assert!(
            ownership
                .claim(&ben.sender(), advance(5), |_| None)
                .is_some()
        );
        let other = Advance {
            client: 8,
            ..advance(0)
        };
        assert!(
            ownership.claim(&ben.sender(), other, |_| None).is_none(),
            "a second id of one session"
        );
        assert!(
            ownership
                .claim(&ben.sender(), other, |_| Some(BEN))
                .is_some()
        );
    }
}
