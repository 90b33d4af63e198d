//! Writes a document's snapshots and deletes the snapshots and rows that they make superfluous.
//!
//! A document keeps its two newest snapshots and every row of the log after the older of them: if
//! the newest is found damaged, the older one and the log still give the whole document. Before
//! there are two, no row of the log is deleted. Superfluous rows are kept for a
//! while as history (`history.rs`).

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Store, Writers,
    checksum::snapshot_checksum,
    database::writing,
    failure::report,
    lineage::{Lineage, TIMELINE},
    timeouts::{TRANSFER_TIMEOUT, bounded},
};
use crate::{
    error::{Error, Result},
    id::{DocumentId, Seq, Timestamp},
};

impl Store {
    /// Writes `state`, which contains all updates up to and including `seq`, as a snapshot, and
    /// deletes all but the two newest snapshots, and the log up to the older of them as far as it
    /// is not kept as history.
    ///
    /// The snapshot is durable when this returns. Where the seq has a snapshot already, that one
    /// stays. Writing takes at most 30 s.
    ///
    /// # Errors
    /// As [`load`](Store::load); [`Error::StorageUnavailable`] also while damaged rows of the
    /// document cannot be set aside, because they would be deleted with the log.
    pub async fn put_snapshot(&self, document: DocumentId, seq: Seq, state: Bytes) -> Result<()> {
        self.put_snapshot_of(self.lineage(), document, seq, state)
            .await
    }

    /// As [`put_snapshot`](Store::put_snapshot), for a seq of `lineage`: in another one, other rows may have it.
    ///
    /// # Errors
    /// As [`put_snapshot`](Store::put_snapshot); [`Error::StorageUnavailable`] also if `lineage` is not the present one.
    pub async fn put_snapshot_of(
        &self,
        lineage: Lineage,
        document: DocumentId,
        seq: Seq,
        state: Bytes,
    ) -> Result<()> {
        let started = Instant::now();
        let bytes = state.len() as u64;
        if !self.set_unmoved_aside(document).await {
            return Err(Error::StorageUnavailable);
        }
        // Otherwise rows that the snapshot makes superfluous would come to the log after it was trimmed.
        self.move_tail().await;
        let written = bounded(
            TRANSFER_TIMEOUT,
            self.write_snapshot(lineage, document, seq, &state),
        )
        .await;
        let superfluous = written.map_err(|error| match error {
            sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => Error::NO_DOCUMENT,
            error => report("writing a snapshot", Some(document), error),
        })?;
        self.inner
            .metrics
            .snapshot_written(bytes, started.elapsed());
        if let Some(seq) = superfluous {
            self.inner.history.trim(document, seq).await;
        }
        Ok(())
    }

    /// Returns the seq up to which the log is superfluous, if part of it is.
    async fn write_snapshot(
        &self,
        lineage: Lineage,
        document: DocumentId,
        seq: Seq,
        state: &Bytes,
    ) -> sqlx::Result<Option<Seq>> {
        let checksum = snapshot_checksum(document, seq, state);
        let superfluous = writing!(&*self.inner.database, transaction => {
            if self.writers() == Writers::Several && self.inner.lineages.is_told() {
                let timeline = sqlx::query_scalar(TIMELINE).fetch_one(&mut *transaction).await?;
                if !self.inner.lineages.is_present(lineage, timeline) {
                    let reason = "the snapshot is of an earlier lineage of the database";
                    return Err(sqlx::Error::Protocol(reason.into()));
                }
            }
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
}
