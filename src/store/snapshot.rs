//! Reading a document whole, and writing its snapshots.
//!
//! A document keeps its two newest snapshots and every row of the log after the
//! older of them: should the newest turn out damaged, the older one and the log
//! still give the whole document. Before there are two, the log is kept whole.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::time::Instant;

use super::{
    REPLY_TIMEOUT, Store,
    damage::{Damage, Damaged, snapshot_checksum, update_checksum},
    database::{reading, writing},
    failure::{bounded, report},
};
use crate::{
    error::{Error, Result},
    id::{DocumentId, Seq, Timestamp},
};

/// How long one large read or write may take: a snapshot of 64 MiB over a slow line.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most rows that one statement trims.
const TRIM_ROWS_MAX: u64 = 10_000;

/// A document as it lies in the database: apply the snapshot, then the updates in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The newest sound snapshot, and the position up to which it holds everything.
    pub snapshot: Option<(Seq, Bytes)>,
    /// The rows of the log after it, in order.
    pub updates: Vec<(Seq, Bytes)>,
    /// The newest position in the log.
    pub head_seq: Seq,
    /// What was found damaged and left out, and is missing unless a later update repeats it.
    pub damaged: Vec<Damage>,
}

impl Loaded {
    fn bytes(&self) -> usize {
        let snapshot = self.snapshot.as_ref().map_or(0, |(_, state)| state.len());
        snapshot
            + self
                .updates
                .iter()
                .map(|(_, payload)| payload.len())
                .sum::<usize>()
    }
}

impl Store {
    /// Reads a document as of one moment.
    ///
    /// Damaged rows are left out, reported, logged and moved to `damaged_row`. Reaching the
    /// database takes at most 5 s, then each row at most 30 s.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the document has been deleted, [`Error::StorageUnavailable`],
    /// or [`Error::Internal`] where the database answers with a failure of its own.
    pub async fn load(&self, document: DocumentId) -> Result<Loaded> {
        let started = Instant::now();
        let read = self.read(document).await;
        let read = read.map_err(|error| report("loading a document", Some(document), error))?;
        let loaded = read.ok_or(Error::NotFound { what: "document" })?;
        self.set_aside(document, &loaded.damaged).await;
        self.inner
            .metrics
            .document_loaded(loaded.bytes() as u64, started.elapsed());
        Ok(loaded)
    }

    /// Keeps `state`, which holds everything up to and including `seq`, and forgets
    /// what it makes superfluous: all but the two newest snapshots, and the log up to
    /// the older of them.
    ///
    /// The snapshot is durable when this returns. A position that has a snapshot
    /// keeps it. Writing takes at most 30 s.
    ///
    /// # Errors
    /// As [`load`](Store::load).
    pub async fn put_snapshot(&self, document: DocumentId, seq: Seq, state: Bytes) -> Result<()> {
        let started = Instant::now();
        let bytes = state.len() as u64;
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

    async fn read(&self, document: DocumentId) -> sqlx::Result<Option<Loaded>> {
        let loaded = reading!(&*self.inner.database, transaction => {
            let head = sqlx::query_scalar("select head_seq from document where document_id = $1")
                .bind(document)
                .fetch_optional(&mut *transaction);
            let Some(head) = bounded(REPLY_TIMEOUT, head).await? else { return Ok(None) };
            let mut loaded = Loaded { head_seq: Seq(head), ..Loaded::default() };

            let mut before = i64::MAX;
            while loaded.snapshot.is_none() {
                let newest = sqlx::query_as::<_, (i64, Vec<u8>, i64)>(
                    "select seq, state, checksum from snapshot
                     where document_id = $1 and seq < $2 order by seq desc limit 1",
                )
                .bind(document)
                .bind(before)
                .fetch_optional(&mut *transaction);
                let newest = bounded(TRANSFER_TIMEOUT, newest).await?;
                let Some((seq, state, checksum)) = newest else { break };
                before = seq;
                loaded.take_snapshot(document, Seq(seq), state, checksum);
            }

            let after = loaded.snapshot.as_ref().map_or(0, |(seq, _)| seq.0);
            // Streamed: a long log is in memory once.
            let mut rows = sqlx::query_as::<_, (i64, Vec<u8>, i64)>(
                "select seq, payload, checksum from update_log
                 where document_id = $1 and seq > $2 order by seq",
            )
            .bind(document)
            .bind(after)
            .fetch(&mut *transaction);
            while let Some((seq, payload, checksum)) =
                bounded(TRANSFER_TIMEOUT, rows.try_next()).await?
            {
                loaded.take_update(document, Seq(seq), payload, checksum);
            }
            drop(rows);
            loaded
        });
        Ok(Some(loaded))
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

impl Loaded {
    fn take_snapshot(&mut self, document: DocumentId, seq: Seq, state: Vec<u8>, checksum: i64) {
        if snapshot_checksum(document, seq, &state) == checksum {
            self.snapshot = Some((seq, state.into()));
        } else {
            self.damaged.push(Damage {
                kind: Damaged::Snapshot,
                seq,
            });
        }
    }

    fn take_update(&mut self, document: DocumentId, seq: Seq, payload: Vec<u8>, checksum: i64) {
        if update_checksum(document, &payload) == checksum {
            self.updates.push((seq, payload.into()));
        } else {
            self.damaged.push(Damage {
                kind: Damaged::Update,
                seq,
            });
        }
    }
}
