//! The owners of a document's Yjs client ids.
//!
//! An owner is written in the group commit that contains the first update of the client id, so
//! that the authorship of an acknowledged update is as durable as the update itself. It never
//! changes afterwards.

use std::collections::HashSet;

use crate::id::{ClientId, Timestamp, UserId};

/// The owner of a client id of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The Yjs client id, at most 2^53 - 1.
    pub client: ClientId,
    /// The user who owns it.
    pub user: UserId,
    /// The first clock of the client id that came from this user.
    pub first_clock: u32,
    /// When that clock was received.
    pub since: Timestamp,
}

/// The owners of a document's client ids, as they are read; the ids of one user share one copy
/// of the user's id.
#[derive(Default)]
pub(super) struct Authors {
    users: HashSet<UserId>,
    owners: Vec<(ClientId, UserId)>,
}

impl Authors {
    /// Adds a row of the table. A row without a valid user or client id is logged and left out:
    /// the document's content does not depend on it.
    pub(super) fn add(&mut self, client: i64, user: &str) {
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
    fn equal_users_share_one_copy_of_their_id() {
        let mut authors = Authors::default();
        for (client, user) in [(1, "ana"), (2, "ben"), (3, "ana"), (-1, "ana"), (4, "")] {
            authors.add(client, user);
        }
        let owners = authors.into_owners();
        let ids: Vec<_> = owners.iter().map(|(client, _)| *client).collect();
        assert_eq!(ids, [1, 2, 3]);
        assert!(ptr::eq(owners[0].1.as_str(), owners[2].1.as_str()));
    }
}
