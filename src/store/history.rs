//! The history: rows of the log that snapshots have made superfluous. They tell who wrote what, and when, and are kept for
//! `HISTORY_DAYS`. Then they are deleted, after a snapshot of their document or in the next round of [`History::run`].
//!
//! The rows stay where they are: keeping them costs nothing but space. Loading a document starts at its newest snapshot and does not
//! read them.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    database::{Database, reading, writing},
    failure::report,
    timeouts::{REPLY_TIMEOUT, TRANSFER_TIMEOUT, bounded},
};
use crate::id::{DocumentId, Seq, Timestamp};

/// The time between two rounds over all documents.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The most documents that one statement of a round looks at.
const DOCUMENTS_MAX: usize = 500;
/// The most rows that one statement deletes. In SQLite the log's writer waits for each.
const ROWS_MAX: u64 = 1000;

/// Deletes superfluous rows that are no longer kept. Cheap to clone.
#[derive(Clone)]
pub(super) struct History {
    database: Arc<Database>,
    /// How long they are kept.
    kept_for: Duration,
}

/// A document with old rows, and the position up to which its log is superfluous.
type Old = (DocumentId, i64);

impl History {
    pub(super) fn new(database: Arc<Database>, kept_for: Duration) -> Self {
        Self { database, kept_for }
    }

    /// Deletes old rows of all documents, now and in each interval; never ends.
    pub(super) async fn run(self) {
        loop {
            match self.trim_all().await {
                Ok(0) => {}
                Ok(documents) => tracing::info!(documents, "old rows of the log are deleted"),
                // The next round deletes the rest.
                Err(error) => drop(report("deleting old rows of the log", None, error)),
            }
            sleep(INTERVAL).await;
        }
    }

    /// Deletes the rows of `document` up to and including `seq` that are no longer kept. A failure is logged: the rest is deleted
    /// later.
    ///
    /// This is not done in the transaction that writes a snapshot: in SQLite the log's writer would have to wait for as long as
    /// deleting a long log takes.
    pub(super) async fn trim(&self, document: DocumentId, seq: Seq) {
        if let Err(error) = self.delete_up_to(document, seq).await {
            report("trimming the log", Some(document), error);
        }
    }

    /// Returns the number of documents with old rows.
    async fn trim_all(&self) -> sqlx::Result<usize> {
        let mut trimmed = 0;
        let mut after = String::new();
        loop {
            let page = bounded(TRANSFER_TIMEOUT, self.select_old(&after)).await?;
            let (last, old) = page;
            trimmed += old.len();
            for (document, seq) in old {
                self.delete_up_to(document, Seq(seq)).await?;
            }
            match last {
                Some(last) => after = last,
                None => return Ok(trimmed),
            }
        }
    }

    /// The next documents, by their ids: the last id, and those whose oldest row is superfluous and no longer kept.
    async fn select_old(&self, after: &str) -> sqlx::Result<(Option<String>, Vec<Old>)> {
        let rows: Vec<(String, DocumentId, Option<i64>, bool)> = reading!(&*self.database, transaction => {
            sqlx::query_as(
                "select document_id, document_id, (
                     select seq from snapshot where snapshot.document_id = document.document_id
                     order by seq desc limit 1 offset 1
                 ), coalesce((
                     select at is null or at < $2 from update_log
                     where update_log.document_id = document.document_id order by seq limit 1
                 ), false) from document where document_id > $1 order by document_id limit $3",
            )
            .bind(after)
            .bind(self.kept_since())
            .bind(DOCUMENTS_MAX as i64)
            .fetch_all(&mut *transaction)
            .await?
        });
        let last = rows.last().map(|(id, ..)| id.clone());
        let old = rows
            .into_iter()
            .filter(|(.., is_old)| *is_old)
            .filter_map(|(_, document, superfluous, _)| Some((document, superfluous?)));
        Ok((last, old.collect()))
    }

    fn kept_since(&self) -> Timestamp {
        let kept_for = i64::try_from(self.kept_for.as_millis()).unwrap_or(i64::MAX);
        Timestamp(Timestamp::now().0.saturating_sub(kept_for))
    }

    async fn delete_up_to(&self, document: DocumentId, seq: Seq) -> sqlx::Result<()> {
        let mut last = seq;
        if !self.kept_for.is_zero() {
            let first_kept = bounded(TRANSFER_TIMEOUT, self.first_kept(document, seq)).await?;
            last = first_kept.map_or(seq, |first| Seq(first - 1));
        }
        while bounded(TRANSFER_TIMEOUT, self.delete_oldest(document, last)).await? == ROWS_MAX {}
        Ok(())
    }

    /// The first of the rows up to and including `seq` that is kept. The rows before it are read, and deleted then.
    async fn first_kept(&self, document: DocumentId, seq: Seq) -> sqlx::Result<Option<i64>> {
        let first = reading!(&*self.database, transaction => {
            let first = sqlx::query_scalar(
                "select seq from update_log where document_id = $1 and seq <= $2 and at >= $3
                 order by seq limit 1",
            )
            .bind(document)
            .bind(seq.0)
            .bind(self.kept_since())
            .fetch_optional(&mut *transaction);
            bounded(REPLY_TIMEOUT, first).await?
        });
        Ok(first)
    }

    /// Deletes the oldest rows up to and including `last`, at most `ROWS_MAX`; returns their number.
    async fn delete_oldest(&self, document: DocumentId, last: Seq) -> sqlx::Result<u64> {
        let deleted = writing!(&*self.database, transaction => {
            sqlx::query(
                "delete from update_log where document_id = $1 and seq <= coalesce((
                     select seq from update_log where document_id = $1 and seq <= $2
                     order by seq limit 1 offset $3
                 ), $2)",
            )
            .bind(document)
            .bind(last.0)
            .bind(ROWS_MAX as i64 - 1)
            .execute(&mut *transaction)
            .await?
            .rows_affected()
        });
        Ok(deleted)
    }
}
