//! How many notifications of a person are unread.

use std::{collections::BTreeMap, sync::Arc};

use super::Notifications;
use crate::{
    auth::{Claims, Right},
    error::Result,
    id::{RoomName, Team, UserId},
    store::{Json, Transaction, args},
};

impl Notifications {
    /// How many notifications of the caller are unread, without those about documents that the
    /// caller may not view.
    ///
    /// # Errors
    /// As [`Store::view`](crate::store::Store::view).
    pub async fn unread(&self, claims: &Claims) -> Result<i64> {
        let read = self.store.view(async |tx| {
            let (team, user) = (&claims.team, &claims.user.id);
            if claims.may_view_everything() {
                return counted(&tx, team, user).await;
            }
            visible(&tx, claims).await
        });
        read.await
    }

    /// The numbers that the tabs of people are told, where their inboxes have `unread`: without those
    /// notifications that the person's token does not let see.
    pub(super) async fn unread_of_users<'a>(
        &self,
        tx: &Transaction,
        team: &Team,
        mut unread: BTreeMap<&'a UserId, i64>,
    ) -> Result<BTreeMap<&'a UserId, i64>> {
        let claims = |user: &UserId| {
            let sessions = self.sessions.of_user(team, user);
            sessions.first().map(|session| session.claims())
        };
        let claims = unread
            .keys()
            .filter_map(|&user| Some((user, claims(user)?)));
        let limited = claims.filter(|(_, claims)| !claims.may_view_everything());
        let limited: BTreeMap<&UserId, Arc<Claims>> = limited.collect();
        if limited.is_empty() {
            return Ok(unread);
        }
        let users: Vec<_> = limited.keys().map(|user| [user.as_str()]).collect();
        let by_room: Vec<(UserId, Option<RoomName>, i64)> = tx
            .list(
                "select notification.user_id, notification.room, count(*)
                 from json_each($2) as given
                 cross join notification
                 where notification.team = $1 and notification.user_id = given.value ->> 0
                 and notification.read_at is null
                 group by notification.user_id, notification.room",
                args![team, Json(users)],
            )
            .await?;
        unread.extend(limited.keys().map(|&user| (user, 0)));
        for (user, room, count) in &by_room {
            if let Some(claims) = limited.get(user)
                && may_see(claims, room.as_ref())
                && let Some(unread) = unread.get_mut(user)
            {
                *unread += count;
            }
        }
        Ok(unread)
    }
}

/// The number that a caller is told whose inbox has `unread`: without those about documents that the
/// caller may not view.
pub(super) async fn unread_of_caller(
    tx: &Transaction,
    claims: &Claims,
    unread: i64,
) -> Result<i64> {
    match claims.may_view_everything() {
        true => Ok(unread),
        false => visible(tx, claims).await,
    }
}

async fn counted(tx: &Transaction, team: &Team, user: &UserId) -> Result<i64> {
    let found: Option<(i64,)> = tx
        .find(
            "select unread from inbox where team = $1 and user_id = $2",
            args![team, user],
        )
        .await?;
    Ok(found.map_or(0, |(unread,)| unread))
}

/// Counts the unread notifications that are about no document, or about one that the caller may
/// view.
async fn visible(tx: &Transaction, claims: &Claims) -> Result<i64> {
    let by_room: Vec<(Option<RoomName>, i64)> = tx
        .list(
            "select room, count(*) from notification
             where team = $1 and user_id = $2 and read_at is null group by room",
            args![claims.team, claims.user.id],
        )
        .await?;
    let seen = by_room
        .iter()
        .filter(|(room, _)| may_see(claims, room.as_ref()));
    Ok(seen.map(|(_, count)| count).sum())
}

/// Whether the caller may see a notification about the document of `room`, or about none.
pub(super) fn may_see(claims: &Claims, room: Option<&RoomName>) -> bool {
    room.is_none_or(|room| claims.rights_in(room).allows(Right::View))
}
