//! How many notifications of a person are unread.

use super::Notifications;
use crate::{
    auth::{Claims, Right},
    error::Result,
    id::{RoomName, Team, UserId},
    store::{Transaction, args},
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

    /// The number that the tabs of a person are told, where the inbox has `unread`: without those
    /// that the person's token does not let see.
    pub(super) async fn unread_of_user(
        &self,
        tx: &Transaction,
        team: &Team,
        user: &UserId,
        unread: i64,
    ) -> Result<i64> {
        let sessions = self.sessions.of_user(team, user);
        match sessions.first() {
            Some(session) => unread_of_caller(tx, &session.claims(), unread).await,
            None => Ok(unread),
        }
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
    let may_see = |room: &Option<RoomName>| {
        let room = room.as_ref();
        room.is_none_or(|room| claims.rights_in(room).allows(Right::View))
    };
    let seen = by_room.iter().filter(|(room, _)| may_see(room));
    Ok(seen.map(|(_, count)| count).sum())
}
