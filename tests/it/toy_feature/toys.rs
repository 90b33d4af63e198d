//! Toys: an example of a feature, which is one file.

use realtime_server::{
    bus::{Audience, Event},
    error::{Error, Result},
    id::{RoomName, Team, Timestamp, UserId},
    store::{Store, Transaction, args},
};
use serde_json::json;

use super::step;

/// The owner of a toy, with the team and the room.
pub struct Owner {
    pub team: Team,
    pub room: RoomName,
    pub user: UserId,
}

/// Creates a toy, records it as an activity, and publishes an event for the team and the room.
///
/// # Errors
/// [`Error::Conflict`] for a name that is taken, otherwise as [`Store::transact`].
pub async fn create(store: &Store, owner: &Owner, name: &str, now: Timestamp) -> Result<()> {
    step("asked");
    store
        .transact(async |tx| {
            step("begun");
            let created = tx
                .execute(
                    "insert into toy (name, team, made_at) values ($1, $2, $3)
                     on conflict do nothing",
                    args![name, owner.team, now],
                )
                .await?;
            if created == 0 {
                let reason = "the name is taken";
                return Err(Error::Conflict { reason });
            }
            step("toy");
            record(&tx, owner, "toy_made", name, now).await?;
            step("activity");
            let to = vec![Audience::Room(owner.room.clone()), Audience::Team];
            let body = json!({ "room": owner.room, "name": name });
            let made = Event::new("toy_made", to, &body)?.about(&owner.room);
            tx.publish(&owner.team, now, &made)?;
            step("event");
            Ok(())
        })
        .await
}

/// Records, in the caller's transaction, an activity of `by`.
async fn record(tx: &Transaction, by: &Owner, verb: &str, of: &str, at: Timestamp) -> Result<()> {
    let insert = "insert into toy_activity (user_id, verb, subject, at) values ($1, $2, $3, $4)";
    tx.execute(insert, args![by.user, verb, of, at]).await?;
    Ok(())
}
