//! The documents of a team: found and created by their names, and listed, the last written first.
//!
//! There is no index by `updated_at`: every commit would have to update it, so that listing became
//! faster and writing slower, and writing is what users wait for. The database finds the team's
//! documents by the index of their names and sorts them.

use super::{
    Store,
    database::{DocumentList, reading, writing},
    failure::report,
    timeouts::{REPLY_TIMEOUT, bounded},
};
use crate::{
    error::{Error, Result},
    id::{DocumentId, DocumentKey, RoomName, Seq, Team, Timestamp, UserId},
};

/// A document without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentRecord {
    /// Its id; a document that is deleted and created again gets another one.
    pub id: DocumentId,
    /// The newest position in its log.
    pub head_seq: Seq,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A document of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDocument {
    /// Its id; a document that is deleted and created again gets another one.
    pub id: DocumentId,
    /// Its name within the team.
    pub room: RoomName,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written to, or created.
    pub updated_at: Timestamp,
}

impl Store {
    /// Finds a document by its name. Takes at most 5 s.
    ///
    /// # Errors
    /// [`Error::StorageUnavailable`], or [`Error::Internal`] where the database answers with a
    /// failure of its own, or where the document is not found and the list of documents was found
    /// damaged at the start, so that the document may exist.
    pub async fn find_document(&self, key: &DocumentKey) -> Result<Option<DocumentRecord>> {
        let found = bounded(REPLY_TIMEOUT, self.select_document(key)).await;
        match found.map_err(|error| report("finding a document", None, error))? {
            Some(found) => Ok(Some(found)),
            None => self.check_list().map(|()| None),
        }
    }

    /// Creates a document, or gets the one that has the name already, also where several callers
    /// do so at once. Takes at most 5 s.
    ///
    /// # Errors
    /// As [`find_document`](Store::find_document).
    pub async fn create_document(
        &self,
        key: &DocumentKey,
        by: &UserId,
        now: Timestamp,
    ) -> Result<DocumentRecord> {
        if self.list_is_damaged()
            && let Some(found) = self.find_document(key).await?
        {
            return Ok(found);
        }
        let created = bounded(REPLY_TIMEOUT, self.insert_document(key, by, now)).await;
        created.map_err(|error| report("creating a document", None, error))
    }

    /// Reads at most `rows_max` documents of `team`, in descending order of `updated_at` and then
    /// of the id; with `after`, only those that follow it in this order. Takes at most 5 s.
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

    /// Whether the list of documents was found damaged at the start, so that existing documents
    /// may not be found. No document is created then.
    pub fn list_is_damaged(&self) -> bool {
        self.inner.database.list() == DocumentList::Damaged
    }

    /// Fails where a document that was not found may exist nevertheless.
    pub(super) fn check_list(&self) -> Result<()> {
        if self.list_is_damaged() {
            tracing::error!("a document is not found, but the list of documents is damaged");
            return Err(Error::Internal);
        }
        Ok(())
    }

    async fn select_document(&self, key: &DocumentKey) -> sqlx::Result<Option<DocumentRecord>> {
        let found = reading!(&*self.inner.database, transaction => {
            sqlx::query_as::<_, (DocumentId, i64, Timestamp)>(
                "select document_id, head_seq, created_at from document
                 where team = $1 and room = $2",
            )
            .bind(key.team.as_str())
            .bind(key.room.as_str())
            .fetch_optional(&mut *transaction)
            .await?
        });
        Ok(found.map(DocumentRecord::from))
    }

    async fn insert_document(
        &self,
        key: &DocumentKey,
        by: &UserId,
        now: Timestamp,
    ) -> sqlx::Result<DocumentRecord> {
        // The update changes nothing: it makes the statement return a row that exists.
        let created = writing!(&*self.inner.database, transaction => {
            sqlx::query_as::<_, (DocumentId, i64, Timestamp)>(
                "insert into document (document_id, team, room, created_by, created_at, updated_at)
                 values ($1, $2, $3, $4, $5, $5)
                 on conflict (team, room) do update set team = excluded.team
                 returning document_id, head_seq, created_at",
            )
            .bind(DocumentId::generate())
            .bind(key.team.as_str())
            .bind(key.room.as_str())
            .bind(by.as_str())
            .bind(now)
            .fetch_one(&mut *transaction)
            .await?
        });
        Ok(DocumentRecord::from(created))
    }

    async fn select_documents(
        &self,
        team: &Team,
        after: Option<(Timestamp, DocumentId)>,
        rows_max: usize,
    ) -> sqlx::Result<Vec<ListedDocument>> {
        let (updated_at, id) = after.unzip();
        let rows = reading!(&*self.inner.database, transaction => {
            sqlx::query_as::<_, (DocumentId, String, Timestamp, Timestamp)>(
                "select document_id, room, created_at, updated_at from document
                 where team = $1 and ($2 is null or (updated_at, document_id) < ($2, $3))
                 order by updated_at desc, document_id desc limit $4",
            )
            .bind(team.as_str())
            .bind(updated_at)
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

impl From<(DocumentId, i64, Timestamp)> for DocumentRecord {
    fn from((id, head_seq, created_at): (DocumentId, i64, Timestamp)) -> Self {
        Self {
            id,
            head_seq: Seq(head_seq),
            created_at,
        }
    }
}
