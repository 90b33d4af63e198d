//! The end of notifications: they are deleted 90 days after they were told.

use super::{Notifications, inbox::Inbox};
use crate::{
    error::Result,
    id::{Team, Timestamp, UserId},
    store::args,
};

/// How long notifications are kept.
const KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// The most rows that one statement deletes: in SQLite the log's writer waits for it.
const ROWS_MAX: i64 = 200;

impl Notifications {
    /// Deletes notifications that are older than 90 days at `now`, at most 200; returns how many.
    ///
    /// # Errors
    /// As [`Store::transact`](crate::store::Store::transact).
    pub async fn trim(&self, now: Timestamp) -> Result<u64> {
        let oldest_kept = Timestamp(now.0 - KEPT_MS);
        let trimmed = self.store.transact(async |tx| {
            // One inbox at a time: a person's unread ones are counted there.
            let oldest: Option<(Team, UserId)> = tx
                .find(
                    "select team, user_id from notification where created_at < $1
                     order by created_at limit 1",
                    args![oldest_kept],
                )
                .await?;
            let Some((team, user)) = oldest else {
                return Ok(0);
            };
            Inbox::lock(&tx, &team, &user).await?;
            let deleted: Vec<(Option<Timestamp>,)> = tx
                .list(
                    "delete from notification where notification_id in (
                         select notification_id from notification
                         where team = $1 and user_id = $2 and created_at < $3 limit $4
                     ) returning read_at",
                    args![team, user, oldest_kept, ROWS_MAX],
                )
                .await?;
            let unread = deleted.iter().filter(|(read_at,)| read_at.is_none());
            tx.execute(
                "update inbox set unread = unread - $3 where team = $1 and user_id = $2",
                args![team, user, unread.count() as i64],
            )
            .await?;
            Ok(deleted.len() as u64)
        });
        trimmed.await
    }
}
