//! Documents without their content: found by their names. The catalog creates, renames, lists and
//! deletes them.
//!
//! A deleted document is kept for 30 days. Its row has no team and no name then, so that it is not
//! found here, and its log takes no rows.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    FromRow, Row, Store,
    database::{DocumentList, reading},
    failure::report,
    timeouts::{REPLY_TIMEOUT, bounded},
};
use crate::{
    auth::User,
    error::{Error, Result},
    id::{DocumentId, DocumentKey, RoomName, Seq, Timestamp, UserId},
};

/// A document without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRecord {
    /// The newest position in its log; in SQLite without the rows of the last second.
    pub head_seq: Seq,
    /// Its metadata.
    pub metadata: Arc<Metadata>,
}

/// What clients are told of a document besides its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Metadata {
    /// Its name within the team.
    pub room: RoomName,
    /// Its id; a document that is deleted and created again gets another one.
    pub document_id: DocumentId,
    /// Its title, if it was given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("Launch plan"))]
    pub title: Option<String>,
    /// Who created it.
    pub created_by: User,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written to, or created.
    pub updated_at: Timestamp,
    /// When it was deleted, if it is in the trash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Its status, if it has taken a step of its workflow. Clients are told it in words of the
    /// workflow, which knows the status of the others.
    #[serde(skip)]
    pub status: Option<Status>,
}

/// Where a document stands in its workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The status.
    pub name: String,
    /// When it was moved there.
    pub since: Timestamp,
    /// Who moved it there.
    pub by: User,
}

/// The columns of [`Metadata`], of `document` with the joins of `people!`.
macro_rules! metadata_columns {
    () => {
        "coalesce(document.trash_room, document.room) as room, document.document_id,
         document.title, document.created_by, person.name, person.avatar_url,
         document.created_at, document.updated_at, document.deleted_at,
         document.status, document.status_since, document.status_by,
         mover.name as mover_name, mover.avatar_url as mover_avatar_url"
    };
}

/// The joins of `document` with the person who created it, and with the one who moved it to its
/// status.
macro_rules! people {
    () => {
        "left join person on person.user_id = document.created_by
         and person.team = coalesce(document.trash_team, document.team)
         left join person as mover on mover.user_id = document.status_by
         and mover.team = coalesce(document.trash_team, document.team)"
    };
}

pub(crate) use {metadata_columns, people};

/// Finds a document by its team, `$1`, and its room, `$2`; the row is a [`DocumentRecord`].
pub(crate) const DOCUMENT_BY_NAME: &str = concat!(
    "select ",
    metadata_columns!(),
    ", document.head_seq from document ",
    people!(),
    " where document.team = $1 and document.room = $2",
);

impl DocumentRecord {
    /// Its id.
    pub fn id(&self) -> DocumentId {
        self.metadata.document_id
    }
}

impl FromRow for Metadata {
    fn from_row(row: &Row) -> Result<Self> {
        let creator = user(
            row.get("created_by")?,
            row.get("name")?,
            row.get("avatar_url")?,
        );
        Ok(Self {
            room: row.get("room")?,
            document_id: row.get("document_id")?,
            title: row.get("title")?,
            created_by: creator,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            deleted_at: row.get("deleted_at")?,
            status: Status::find(row)?,
        })
    }
}

impl Status {
    /// The status in a row with the columns of [`Metadata`], if there is one.
    fn find(row: &Row) -> Result<Option<Self>> {
        let by: Option<UserId> = row.get("status_by")?;
        let name: Option<String> = row.get("status")?;
        let since: Option<Timestamp> = row.get("status_since")?;
        let (Some(name), Some(since), Some(by)) = (name, since, by) else {
            return Ok(None);
        };
        let by = user(by, row.get("mover_name")?, row.get("mover_avatar_url")?);
        Ok(Some(Self { name, since, by }))
    }
}

/// A person by the columns of a row. Those whom an older version noted have only an id.
fn user(id: UserId, name: Option<String>, avatar_url: Option<String>) -> User {
    User {
        name: name.unwrap_or_else(|| id.as_str().to_owned()),
        avatar_url,
        id,
    }
}

impl FromRow for DocumentRecord {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            head_seq: row.get("head_seq")?,
            metadata: Arc::new(Metadata::from_row(row)?),
        })
    }
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
            Some(row) => DocumentRecord::from_row(&row).map(Some),
            None => self.check_list().map(|()| None),
        }
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

    async fn select_document(&self, key: &DocumentKey) -> sqlx::Result<Option<Row>> {
        let found = reading!(&*self.inner.database, transaction => {
            sqlx::query(DOCUMENT_BY_NAME)
            .bind(key.team.as_str())
            .bind(key.room.as_str())
            .fetch_optional(&mut *transaction)
            .await?
            .map(Row::from)
        });
        Ok(found)
    }
}
