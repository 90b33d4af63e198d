//! The trash: a task deletes for good the documents that were deleted more than 30 days ago.
//!
//! A document is deleted in parts, so that no statement takes long: in SQLite the log's writer
//! waits for each. Several instances may do so at once. A document that is restored meanwhile
//! would lose what was deleted of it already; therefore it first leaves the trash for good, in one
//! statement, after which nobody finds it.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    database::{Database, writing},
    failure::report,
    timeouts::{TRANSFER_TIMEOUT, bounded},
};
use crate::id::{DocumentId, Timestamp};

/// How long deleted documents are kept.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The time between two rounds.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The most documents that leave the trash with one statement.
const DOCUMENTS_MAX: i64 = 100;
/// The most rows that one statement deletes.
const ROWS_MAX: i64 = 200;

/// Deletes for good what has been in the trash for too long.
pub(super) struct TrashPurger {
    database: Arc<Database>,
}

impl TrashPurger {
    pub(super) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Deletes old documents now and in each interval; never ends.
    pub(super) async fn run(self) {
        loop {
            let oldest_kept = Timestamp(Timestamp::now().0 - RETENTION.as_millis() as i64);
            match self.purge(oldest_kept).await {
                Ok(0) => {}
                Ok(documents) => tracing::info!(documents, "documents of the trash are deleted"),
                // The next round deletes the rest.
                Err(error) => drop(report("deleting documents of the trash", None, error)),
            }
            sleep(INTERVAL).await;
        }
    }

    /// Deletes the documents that were deleted before `oldest_kept`; returns their number.
    async fn purge(&self, oldest_kept: Timestamp) -> sqlx::Result<u64> {
        let mut purged = 0;
        while bounded(TRANSFER_TIMEOUT, self.give_up(oldest_kept)).await? > 0 {}
        loop {
            let documents = bounded(TRANSFER_TIMEOUT, self.select_given_up()).await?;
            if documents.is_empty() {
                return Ok(purged);
            }
            for (document,) in documents {
                while bounded(TRANSFER_TIMEOUT, self.delete_rows(document)).await? > 0 {}
                purged += bounded(TRANSFER_TIMEOUT, self.delete(document)).await?;
            }
        }
    }

    /// Takes old documents out of the trash, so that they cannot be restored any more.
    async fn give_up(&self, oldest_kept: Timestamp) -> sqlx::Result<u64> {
        let given_up = writing!(&*self.database, transaction => {
            sqlx::query(
                "update document set trash_team = null where document_id in (
                     select document_id from document
                     where deleted_at < $1 and trash_team is not null
                     order by document_id limit $2
                 ) and deleted_at < $1",
            )
            .bind(oldest_kept)
            .bind(DOCUMENTS_MAX)
            .execute(&mut *transaction)
            .await?
            .rows_affected()
        });
        Ok(given_up)
    }

    async fn select_given_up(&self) -> sqlx::Result<Vec<(DocumentId,)>> {
        let documents = writing!(&*self.database, transaction => {
            sqlx::query_as(
                "select document_id from document
                 where deleted_at is not null and trash_team is null limit $1",
            )
            .bind(DOCUMENTS_MAX)
            .fetch_all(&mut *transaction)
            .await?
        });
        Ok(documents)
    }

    /// Deletes some rows of the document's log and its snapshots; returns how many.
    async fn delete_rows(&self, document: DocumentId) -> sqlx::Result<u64> {
        let deleted = writing!(&*self.database, transaction => {
            let rows = sqlx::query(
                "delete from update_log where document_id = $1 and seq in (
                     select seq from update_log where document_id = $1 order by seq limit $2
                 )",
            )
            .bind(document)
            .bind(ROWS_MAX)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            let snapshots = sqlx::query(
                "delete from snapshot where document_id = $1 and seq in (
                     select seq from snapshot where document_id = $1 limit 1
                 )",
            )
            .bind(document)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            rows + snapshots
        });
        Ok(deleted)
    }

    /// Deletes the document with its authors and its damaged rows.
    async fn delete(&self, document: DocumentId) -> sqlx::Result<u64> {
        let deleted = writing!(&*self.database, transaction => {
            sqlx::query("delete from document where document_id = $1")
                .bind(document)
                .execute(&mut *transaction)
                .await?
                .rows_affected()
        });
        Ok(deleted)
    }
}
