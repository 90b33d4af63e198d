//! Who owns a Yjs client id of a document.
//!
//! Written in the group commit that brings the first update of the client id, so
//! that what an acknowledged update claims is as durable as the update itself.
//! Nothing changes an owner afterwards.

use std::collections::HashSet;

use crate::id::{ClientId, Timestamp, UserId};

/// A person's claim to a client id of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The Yjs client id, at most 2^53 - 1.
    pub client: ClientId,
    /// The person.
    pub user: UserId,
    /// The first clock of the client id that came from this person.
    pub first_clock: u32,
    /// When it came.
    pub since: Timestamp,
}

/// The owners of a document's client ids as they are read; one text for each person,
/// however many ids are theirs.
#[derive(Default)]
pub(super) struct Authors {
    users: HashSet<UserId>,
    owners: Vec<(ClientId, UserId)>,
}

impl Authors {
    /// Takes a row of the table. One that names nobody is reported and left out: it
    /// costs the document no content.
    pub(super) fn take(&mut self, client: i64, user: &str) {
        let (Ok(client), Some(user)) = (ClientId::try_from(client), UserId::parse(user)) else {
            tracing::error!(client, "a stored author is damaged and left out");
            return;
        };
        let shared = self.users.get(&user).cloned();
        let user = shared.unwrap_or_else(|| {
            self.users.insert(user.clone());
            user
        });
        self.owners.push((client, user));
    }

    pub(super) fn into_owners(self) -> Vec<(ClientId, UserId)> {
        self.owners
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    #[test]
    fn equal_users_share_their_text() {
        let mut authors = Authors::default();
        for (client, user) in [(1, "ana"), (2, "ben"), (3, "ana"), (-1, "ana"), (4, "")] {
            authors.take(client, user);
        }
        let owners = authors.into_owners();
        let ids: Vec<_> = owners.iter().map(|(client, _)| *client).collect();
        assert_eq!(ids, [1, 2, 3]);
        assert!(ptr::eq(owners[0].1.as_str(), owners[2].1.as_str()));
    }
}
