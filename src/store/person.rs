//! The people whom stored rows mention, with the names under which they are shown.

use super::{Transaction, args};
use crate::{
    auth::User,
    error::Result,
    id::{Team, Timestamp},
};

impl Transaction {
    /// Notes the name and the picture of a person of `team` whom a row of this transaction
    /// mentions by id.
    ///
    /// # Errors
    /// As [`execute`](Transaction::execute).
    pub async fn note_person(&self, team: &Team, user: &User, at: Timestamp) -> Result<()> {
        self.execute(
            "insert into person (team, user_id, name, avatar_url, updated_at)
             values ($1, $2, $3, $4, $5)
             on conflict (team, user_id) do update
             set name = excluded.name, avatar_url = excluded.avatar_url,
                 updated_at = excluded.updated_at
             where person.name <> excluded.name
                or person.avatar_url is distinct from excluded.avatar_url",
            args![team, user.id, user.name, user.avatar_url, at],
        )
        .await
        .map(drop)
    }
}
