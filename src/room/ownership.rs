//! Whose Yjs client ids are whose, so that nobody writes under another's name.
//!
//! An update that advances a client id makes that client's own next edits
//! look like repetitions, and they would be dropped in silence. So an id that
//! a present session was seen to type with may be advanced by no other user.
//! Good faith is told apart by four rules. An id is claimed only by an update
//! that advances it alone and is integrated: then all that its owner wrote
//! before is here, and nobody else can have more. A reply to a synchronisation
//! carries edits of others: it claims nothing, and an id that somebody merely
//! shows a cursor under is no reason to refuse it. A claim ends with the
//! session's presence, so that others may bring what an absent client left.
//! And tabs of one person may speak for one another.

use std::collections::HashMap;

use crate::{
    document::Advance,
    id::{ClientId, SessionId, UserId},
};

/// The most ids that one session may claim in a room; further ones stay unclaimed.
const CLAIMS_MAX: usize = 16;

/// The claimed client ids of one room.
#[derive(Default)]
pub(super) struct Ownership {
    owners: HashMap<ClientId, (SessionId, UserId)>,
}

/// What an update is, as far as the room can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The sender's own edit.
    Typed,
    /// The answer to a synchronisation, with whatever the server lacked.
    Reply,
}

/// The update advances an id that belongs to another person who is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign;

impl Ownership {
    /// Checks an update by `session` of `user`, of which `news` are the
    /// advances that are new here. `shown` names who shows a cursor under an
    /// id; that counts for an edit where nobody was seen to type with the id.
    pub(super) fn check<'a>(
        &self,
        session: SessionId,
        user: &UserId,
        news: &[Advance],
        origin: Origin,
        shown: impl Fn(ClientId) -> Option<(SessionId, &'a UserId)>,
    ) -> Result<(), Foreign> {
        for advance in news {
            let typed = self
                .owners
                .get(&advance.client)
                .map(|(owner, person)| (*owner, person));
            let owner = match origin {
                Origin::Typed => typed.or_else(|| shown(advance.client)),
                Origin::Reply => typed,
            };
            match owner {
                Some((owner, person)) if owner != session && person != user => return Err(Foreign),
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes that `session` typed with the only id of `news`.
    pub(super) fn claim(&mut self, session: SessionId, user: &UserId, news: &[Advance]) {
        let [advance] = news else { return };
        if self.owners.contains_key(&advance.client) {
            return;
        }
        if self
            .owners
            .values()
            .filter(|(owner, _)| *owner == session)
            .count()
            < CLAIMS_MAX
        {
            self.owners.insert(advance.client, (session, user.clone()));
        }
    }

    /// Ends the claims of a session that has left.
    pub(super) fn release(&mut self, session: SessionId) {
        self.owners.retain(|_, (owner, _)| *owner != session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: SessionId = SessionId(1);
    const BEN: SessionId = SessionId(2);

    fn user(id: &str) -> UserId {
        UserId::parse(id).expect("a user id")
    }

    fn news(client: ClientId) -> [Advance; 1] {
        [Advance {
            client,
            from: 5,
            to: 6,
        }]
    }

    #[test]
    fn an_id_that_somebody_types_with_is_closed_to_other_users() {
        let mut ownership = Ownership::default();
        ownership.claim(ANA, &user("ana"), &news(7));
        let check =
            |session, id| ownership.check(session, &user(id), &news(7), Origin::Typed, |_| None);
        assert_eq!(check(ANA, "ana"), Ok(()));
        assert_eq!(check(BEN, "ana"), Ok(()), "another tab of the same person");
        assert_eq!(check(BEN, "ben"), Err(Foreign));
        ownership.release(ANA);
        assert_eq!(
            ownership.check(BEN, &user("ben"), &news(7), Origin::Typed, |_| None),
            Ok(())
        );
    }

    #[test]
    fn a_shown_cursor_counts_where_nobody_typed() {
        let mut ownership = Ownership::default();
        let (ana, ben) = (user("ana"), user("ben"));
        let shown = |_| Some((BEN, &ben));
        assert_eq!(
            ownership.check(ANA, &ana, &news(7), Origin::Typed, shown),
            Err(Foreign)
        );
        assert_eq!(
            ownership.check(ANA, &ana, &news(7), Origin::Reply, shown),
            Ok(()),
            "a reply carries what others wrote"
        );
        ownership.claim(ANA, &ana, &news(7));
        assert_eq!(
            ownership.check(ANA, &ana, &news(7), Origin::Typed, shown),
            Ok(()),
            "typing counts more"
        );
    }

    #[test]
    fn an_update_of_many_clients_claims_nothing() {
        let mut ownership = Ownership::default();
        let both = [news(7)[0], news(8)[0]];
        ownership.claim(ANA, &user("ana"), &both);
        assert_eq!(
            ownership.check(BEN, &user("ben"), &both, Origin::Typed, |_| None),
            Ok(())
        );
    }
}
