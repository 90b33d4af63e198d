//! Writing a document's snapshots, and forgetting what they make superfluous.
//!
//! A document keeps its two newest snapshots and every row of the log after the
//! older of them: should the newest turn out damaged, the older one and the log
//! still give the whole document. Before there are two, the log is kept whole.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Store, TRANSFER_TIMEOUT,
    damage::snapshot_checksum,
    database::writing,
    failure::{bounded, report},
};
use crate::{
    error::{Error, Result},
    id::{DocumentId, Seq, Timestamp},
};

/// The most rows that one statement trims.
const TRIM_ROWS_MAX: u64 = 10_000;

impl Store {
    /// Keeps `state`, which holds everything up to and including `seq`, and forgets
    /// what it makes superfluous: all but the two newest snapshots, and the log up to
    /// the older of them.
    ///
    /// The snapshot is durable when this returns. A position that has a snapshot
    /// keeps it. Writing takes at most 30 s.
    ///
    /// # Errors
    /// As [`load`](Store::load); [`Error::StorageUnavailable`] also while damaged rows of the
    /// document cannot be set aside, because a snapshot would trim them.
    pub async fn put_snapshot(&self, document: DocumentId, seq: Seq, state: Bytes) -> Result<()> {
        let started = Instant::now();
        let bytes = state.len() as u64;
        if !self.set_rest_aside(document).await {
            return Err(Error::StorageUnavailable);
        }
        let written = bounded(TRANSFER_TIMEOUT, self.write_snapshot(document, seq, &state)).await;
        let superfluous = written.map_err(|error| match error {
            sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => {
                Error::NotFound { what: "document" }
            }
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

    /// Returns the position up to which the log is superfluous, if it is.
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

    /// Forgets the log up to and including `seq`.
    ///
    /// Not in the snapshot's transaction: in SQLite that would keep the log's writer out for as
    /// long as a long log takes to delete. What a crash leaves, the next snapshot trims.
    async fn trim(&self, document: DocumentId, seq: Seq) {
        loop {
            match bounded(TRANSFER_TIMEOUT, self.trim_some(document, seq)).await {
                Ok(rows) if rows < TRIM_ROWS_MAX => return,
                Ok(_) => {}
                Err(error) => {
                    report("trimming the log", Some(document), error);
                    return;
                }
            }
        }
    }

    async fn trim_some(&self, document: DocumentId, seq: Seq) -> sqlx::Result<u64> {
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
