//! The inboxes of people: one row for each person, which every change of the person's notifications
//! locks first.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    error::Result,
    id::{Team, UserId},
    store::{Json, Transaction, args},
};

/// A person's inbox, locked until the commit.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// How many notifications are unread.
    pub(super) unread: i64,
    /// The kinds of which the person is not notified.
    muted: Vec<String>,
}

impl Inbox {
    /// Locks a person's inbox until the commit, and creates it if there is none.
    pub(super) async fn lock(tx: &Transaction, team: &Team, user: &UserId) -> Result<Self> {
        let mut locked = Self::lock_all(tx, team, [user]).await?;
        Ok(locked.remove(user).unwrap_or_default())
    }

    /// Locks the inboxes of people until the commit, and creates those that do not exist.
    ///
    /// `users` are to be in the order of their ids, in which they are locked, so that two transactions
    /// never wait for each other; and each of them once.
    pub(super) async fn lock_all<'a>(
        tx: &Transaction,
        team: &Team,
        users: impl IntoIterator<Item = &'a UserId>,
    ) -> Result<BTreeMap<UserId, Self>> {
        let places = users.into_iter().enumerate();
        let places: Vec<_> = places
            .map(|(place, user)| json!([place, user.as_str()]))
            .collect();
        let locked: Vec<(UserId, i64, Json<Vec<String>>)> = tx
            .list(
                "insert into inbox (team, user_id)
                 select $1, given.value ->> 1 from json_each($2) as given
                 where true order by cast(given.value ->> 0 as bigint)
                 on conflict (team, user_id) do update set unread = inbox.unread
                 returning user_id, unread, muted",
                args![team, Json(places)],
            )
            .await?;
        let inbox = |(user, unread, Json(muted))| (user, Self { unread, muted });
        Ok(locked.into_iter().map(inbox).collect())
    }

    /// Whether the person is not notified of `kind`.
    pub(super) fn mutes(&self, kind: &str) -> bool {
        self.muted.iter().any(|muted| muted == kind)
    }

    /// Writes the number of unread notifications of a person whose inbox is locked.
    pub(super) async fn set_unread(
        tx: &Transaction,
        team: &Team,
        user: &UserId,
        unread: i64,
    ) -> Result<()> {
        tx.execute(
            "update inbox set unread = $3 where team = $1 and user_id = $2",
            args![team, user, unread],
        )
        .await
        .map(drop)
    }

    /// Adds one unread notification for each of `users`, whose inboxes are locked; each of them once.
    ///
    /// It is an insertion, although the rows exist, because that finds each row by the index also where
    /// the planner of Postgres believes the table to be small.
    pub(super) async fn add_unread<'a>(
        tx: &Transaction,
        team: &Team,
        users: impl IntoIterator<Item = &'a UserId>,
    ) -> Result<()> {
        let users: Vec<_> = users.into_iter().map(|user| [user.as_str()]).collect();
        if users.is_empty() {
            return Ok(());
        }
        tx.execute(
            "insert into inbox (team, user_id, unread)
             select $1, given.value ->> 0, 1 from json_each($2) as given where true
             on conflict (team, user_id) do update set unread = inbox.unread + 1",
            args![team, Json(users)],
        )
        .await
        .map(drop)
    }
}
