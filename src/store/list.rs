//! The documents of a team, the last written first.
//!
//! There is no index by `updated_at`: every batch would have to keep it, so that
//! listing were faster, and writing is what people wait for. The database finds
//! the team's documents by their names and sorts them.

use super::{REPLY_TIMEOUT, Store, bounded, database::reading, report};
use crate::{
    error::Result,
    id::{DocumentId, RoomName, Team, Timestamp},
};

/// A document as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDocument {
    /// The document's present life.
    pub id: DocumentId,
    /// Its name within the team.
    pub room: RoomName,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written to, or made.
    pub updated_at: Timestamp,
}

impl Store {
    /// Reads at most `rows_max` documents of `team`, the newest `updated_at` first, of the same
    /// moment the newest id; with `after`, only those that follow it in this order. Takes at
    /// most 5 s.
    ///
    /// # Errors
    /// As [`find_document`](Store::find_document).
    pub async fn list_documents(
        &self,
        team: &Team,
        after: Option<(Timestamp, DocumentId)>,
        rows_max: usize,
    ) -> Result<Vec<ListedDocument>> {
        let listed = bounded(REPLY_TIMEOUT, self.select_documents(team, after, rows_max)).await;
        listed.map_err(|error| report("listing documents", None, error))
    }

    async fn select_documents(
        &self,
        team: &Team,
        after: Option<(Timestamp, DocumentId)>,
        rows_max: usize,
    ) -> sqlx::Result<Vec<ListedDocument>> {
        let (moment, id) = after.unzip();
        let rows = reading!(&*self.inner.database, transaction => {
            sqlx::query_as::<_, (DocumentId, String, Timestamp, Timestamp)>(
                "select document_id, room, created_at, updated_at from document
                 where team = $1 and ($2 is null or (updated_at, document_id) < ($2, $3))
                 order by updated_at desc, document_id desc limit $4",
            )
            .bind(team.as_str())
            .bind(moment)
            .bind(id)
            .bind(rows_max as i64)
            .fetch_all(&mut *transaction)
            .await?
        });
        let listed = |(id, room, created_at, updated_at): (_, String, _, _)| {
            let room = RoomName::parse(&room).map_err(|error| sqlx::Error::Decode(error.into()))?;
            Ok(ListedDocument {
                id,
                room,
                created_at,
                updated_at,
            })
        };
        rows.into_iter().map(listed).collect()
    }
}
