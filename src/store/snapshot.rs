//! Writes a document's snapshots and deletes the snapshots and rows that they make superfluous.
//!
//! A document keeps its two newest snapshots and every row of the log after the older of them: if
//! the newest is found damaged, the older one and the log still give the whole document. Before
//! there are two, no row of the log is deleted.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Store,
    checksum::snapshot_checksum,
    database::writing,
    failure::report,
    timeouts::{TRANSFER_TIMEOUT, bounded},
};
use crate::{
    error::{Error, Result},
    id::{DocumentId, Seq, Timestamp},
};

/// The most rows of the log that one statement deletes.
const TRIM_ROWS_MAX: u64 = 10_000;

impl Store {
    /// Writes `state`, which contains all updates up to and including `seq`, as a snapshot, and
    /// deletes all but the two newest snapshots, and the log up to the older of them.
    ///
    /// The snapshot is durable when this returns. Where the seq has a snapshot already, that one
    /// stays. Writing takes at most 30 s.
    ///
    /// # Errors
    /// As [`load`](Store::load); [`Error::StorageUnavailable`] also while damaged rows of the
    /// document cannot be set aside, because they would be deleted with the log.
    pub async fn put_snapshot(&self, document: DocumentId, seq: Seq, state: Bytes) -> Result<()> {
        let started = Instant::now();
        let bytes = state.len() as u64;
        if !self.set_unmoved_aside(document).await {
            return Err(Error::StorageUnavailable);
        }
        let written = bounded(TRANSFER_TIMEOUT, self.write_snapshot(document, seq, &state)).await;
        let superfluous = written.map_err(|error| match error {
            sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => Error::NO_DOCUMENT,
            error => report("writing a snapshot", Some(document), error),
        })?;
        self.inner
            .metrics
            .snapshot_written(bytes, started.elapsed());
        if let Some(seq) = superfluous {
            self.trim(document, seq).await;
        }
        Ok(())
    }

    /// Returns the seq up to which the log is superfluous, if part of it is.
    async fn write_snapshot(
        &self,
        document: DocumentId,
        seq: Seq,
        state: &Bytes,
    ) -> sqlx::Result<Option<Seq>> {
        let checksum = snapshot_checksum(document, seq, state);
        let superfluous = writing!(&*self.inner.database, transaction => {
            sqlx::query(
                "insert into snapshot (document_id, seq, state, checksum, created_at)
                 values ($1, $2, $3, $4, $5) on conflict (document_id, seq) do nothing",
            )
            .bind(document)
            .bind(seq.0)
            .bind(&state[..])
            .bind(checksum)
            .bind(Timestamp::now())
            .execute(&mut *transaction)
            .await?;
            let second: Option<i64> = sqlx::query_scalar(
                "select seq from snapshot
                 where document_id = $1 order by seq desc limit 1 offset 1",
            )
            .bind(document)
            .fetch_optional(&mut *transaction)
            .await?;
            sqlx::query("delete from snapshot where document_id = $1 and seq < $2")
                .bind(document)
                .bind(second)
                .execute(&mut *transaction)
                .await?;
            second
        });
        Ok(superfluous.map(Seq))
    }

    /// Deletes the log up to and including `seq`.
    ///
    /// This is not done in the snapshot's transaction: in SQLite the log's writer would have to
    /// wait for as long as deleting a long log takes. The rows that a crash leaves are deleted
    /// after the next snapshot.
    async fn trim(&self, document: DocumentId, seq: Seq) {
        loop {
            match bounded(TRANSFER_TIMEOUT, self.trim_batch(document, seq)).await {
                Ok(rows) if rows < TRIM_ROWS_MAX => return,
                Ok(_) => {}
                Err(error) => {
                    report("trimming the log", Some(document), error);
                    return;
                }
            }
        }
    }

    /// Deletes the oldest rows, at most `TRIM_ROWS_MAX`; returns their number.
    async fn trim_batch(&self, document: DocumentId, seq: Seq) -> sqlx::Result<u64> {
        let result = writing!(&*self.inner.database, transaction => {
            sqlx::query(
                "delete from update_log where document_id = $1 and seq <= coalesce((
                     select seq from update_log where document_id = $1 and seq <= $2
                     order by seq limit 1 offset $3
                 ), $2)",
            )
            .bind(document)
            .bind(seq.0)
            .bind(TRIM_ROWS_MAX as i64 - 1)
            .execute(&mut *transaction)
            .await?
            .rows_affected()
        });
        Ok(result)
    }
}
