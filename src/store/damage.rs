//! Damage: stored rows that cannot be used, or that are missing.
//!
//! A row that fails its checksum, or that the document cannot apply, is moved to `damaged_row`,
//! where an operator can repair it; missing rows are recorded there. A damaged row is never
//! returned to a caller and never deleted. The rest of the document is served.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::{
    Store,
    checksum::{snapshot_checksum, update_checksum},
    database::{reading, writing},
    failure::report,
    timeouts::{REPLY_TIMEOUT, TRANSFER_TIMEOUT, bounded},
};
use crate::{
    error::Result,
    id::{DocumentId, Seq, Timestamp},
};

/// A row of a document that cannot be used, or rows that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Damage {
    /// The kind of the row.
    pub kind: Damaged,
    /// Its position, or that of the first of several missing rows.
    pub seq: Seq,
    /// The position of the last of several missing rows that follow one another; otherwise equal
    /// to `seq`.
    pub last: Seq,
    /// The reason why it cannot be used.
    pub reason: Reason,
}

/// The kinds of rows that carry a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damaged {
    /// A row of the log.
    Update,
    /// A snapshot.
    Snapshot,
}

/// Why a row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It does not match its checksum.
    Checksum,
    /// It matches its checksum, but the document cannot apply it.
    Refused,
    /// It does not exist.
    Missing,
}

/// The damage that the store remembers.
#[derive(Default)]
pub(super) struct KnownDamage {
    /// The damage that could not be moved or recorded. Until it is, its document gets no snapshot,
    /// because the rows of the log that the snapshot covers would be deleted.
    unmoved: Mutex<HashSet<(DocumentId, Damage)>>,
    /// The number of damaged documents when they were last counted.
    documents: AtomicU64,
}

impl Damage {
    /// The damage of one row.
    pub fn at(kind: Damaged, seq: Seq, reason: Reason) -> Self {
        Self {
            kind,
            seq,
            last: seq,
            reason,
        }
    }

    fn rows(&self) -> u64 {
        u64::try_from(self.last.0 - self.seq.0 + 1).unwrap_or(1)
    }
}

impl Damaged {
    /// The kind's name in the table and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Snapshot => "snapshot",
        }
    }
}

impl Reason {
    /// The reason's name in the table and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Refused => "refused",
            Self::Missing => "missing",
        }
    }
}

impl Store {
    /// Moves the rows of `damage` to `damaged_row`, records missing rows there, and reports each
    /// in the server's log and the metrics. Takes at most 30 s for each.
    ///
    /// Returns whether all of it is in `damaged_row` now (or was replaced by an undamaged row
    /// meanwhile, or was deleted with its document). The rest is tried again before the
    /// document's next snapshot, which fails until it succeeds.
    ///
    /// After a snapshot that was [`Refused`](Reason::Refused) has been moved, loading again
    /// gives the older snapshot and the rows of the log after it.
    pub async fn set_aside(&self, document: DocumentId, damage: &[Damage]) -> bool {
        let mut all = true;
        for damage in damage {
            let (seq, last) = (damage.seq.0, damage.last.0);
            let (kind, reason) = (damage.kind.as_str(), damage.reason.as_str());
            tracing::error!(
                ?document,
                seq,
                last,
                kind,
                reason,
                "a stored row is damaged"
            );
            self.inner.metrics.rows_damaged(kind, reason, damage.rows());
            all &= self.move_aside(document, *damage).await;
        }
        // The count is used by the health checks alone, which count again.
        let _ = self.damaged_documents().await;
        all
    }

    /// Moves the damage that could not be moved before. Returns whether all of it is moved.
    pub(super) async fn set_unmoved_aside(&self, document: DocumentId) -> bool {
        let still_unmoved: Vec<_> = {
            let unmoved = self.inner.damage.unmoved.lock();
            let of_it = unmoved.iter().filter(|(of, _)| *of == document);
            of_it.map(|(_, damage)| *damage).collect()
        };
        let mut all = true;
        for damage in still_unmoved {
            all &= self.move_aside(document, damage).await;
        }
        all
    }

    /// Counts the documents that have unrepaired rows in `damaged_row`. Takes at most 5 s; sets
    /// the metric.
    ///
    /// # Errors
    /// As [`find_document`](Store::find_document).
    pub async fn damaged_documents(&self) -> Result<u64> {
        let counted = bounded(REPLY_TIMEOUT, self.count_damaged()).await;
        let documents = counted.map_err(|error| report("counting damage", None, error))?;
        self.inner
            .damage
            .documents
            .store(documents, Ordering::Relaxed);
        self.inner.metrics.documents_damaged(documents);
        Ok(documents)
    }

    /// The result of the last [`damaged_documents`](Store::damaged_documents).
    pub fn damaged_documents_known(&self) -> u64 {
        self.inner.damage.documents.load(Ordering::Relaxed)
    }

    async fn count_damaged(&self) -> sqlx::Result<u64> {
        let documents: i64 = reading!(&*self.inner.database, transaction => {
            sqlx::query_scalar(
                "select count(distinct document_id) from damaged_row where repaired_at is null",
            )
            .fetch_one(&mut *transaction)
            .await?
        });
        Ok(documents.unsigned_abs())
    }

    /// Moves or records `damage`; returns whether that succeeded, and remembers it otherwise.
    async fn move_aside(&self, document: DocumentId, damage: Damage) -> bool {
        let moved = match damage.reason {
            Reason::Missing => bounded(REPLY_TIMEOUT, self.record_missing(document, damage)).await,
            Reason::Checksum | Reason::Refused => {
                // The row may be in SQLite's tail, and never leaves it otherwise.
                self.move_tail().await;
                bounded(TRANSFER_TIMEOUT, self.move_row(document, damage)).await
            }
        };
        let moved = match moved {
            // The document has been deleted with all of its rows.
            Err(sqlx::Error::Database(cause)) if cause.is_foreign_key_violation() => Ok(()),
            moved => moved,
        };
        let mut unmoved = self.inner.damage.unmoved.lock();
        match moved {
            Ok(()) => {
                unmoved.remove(&(document, damage));
                true
            }
            Err(error) => {
                unmoved.insert((document, damage));
                report("setting a damaged row aside", Some(document), error);
                false
            }
        }
    }

    /// Records missing rows; once, however often they are found.
    async fn record_missing(&self, document: DocumentId, damage: Damage) -> sqlx::Result<()> {
        writing!(&*self.inner.database, transaction => {
            sqlx::query(
                "insert into damaged_row
                     (document_id, kind, seq, last_seq, payload, checksum, reason, found_at)
                 values ($1, $2, $3, $4, $5, 0, $6, $7) on conflict do nothing",
            )
            .bind(document)
            .bind(damage.kind.as_str())
            .bind(damage.seq.0)
            .bind(damage.last.0)
            .bind(Vec::<u8>::new())
            .bind(damage.reason.as_str())
            .bind(Timestamp::now())
            .execute(&mut *transaction)
            .await?;
        });
        Ok(())
    }

    /// Moves a damaged row to `damaged_row`.
    async fn move_row(&self, document: DocumentId, damage: Damage) -> sqlx::Result<()> {
        let Damage { kind, seq, .. } = damage;
        let take = match kind {
            Damaged::Update => {
                "delete from update_log where document_id = $1 and seq = $2
                 returning payload, checksum"
            }
            Damaged::Snapshot => {
                "delete from snapshot where document_id = $1 and seq = $2
                 returning state, checksum"
            }
        };
        writing!(&*self.inner.database, transaction => {
            // The delete locks the row, so that one of several instances that found it moves it.
            let taken = sqlx::query_as::<_, (Vec<u8>, i64)>(take)
                .bind(document)
                .bind(seq.0)
                .fetch_optional(&mut *transaction)
                .await?;
            let Some((payload, checksum)) = taken else {
                let is_in_tail: bool = sqlx::query_scalar(
                    "select exists (
                         select 1 from document_log
                         where document_id = $1 and seq = $2 and $3 = 'update'
                     )",
                )
                .bind(document)
                .bind(seq.0)
                .bind(kind.as_str())
                .fetch_one(&mut *transaction)
                .await?;
                return match is_in_tail {
                    true => Err(sqlx::Error::RowNotFound),
                    false => Ok(()),
                };
            };
            let is_intact = match kind {
                Damaged::Update => update_checksum(document, &payload) == checksum,
                Damaged::Snapshot => snapshot_checksum(document, seq, &payload) == checksum,
            };
            if is_intact && damage.reason == Reason::Checksum {
                // The row has been replaced meanwhile: returning without a commit keeps it.
                return Ok(());
            }
            sqlx::query(
                "insert into damaged_row
                     (document_id, kind, seq, payload, checksum, reason, found_at)
                 values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(document)
            .bind(kind.as_str())
            .bind(seq.0)
            .bind(payload)
            .bind(checksum)
            .bind(damage.reason.as_str())
            .bind(Timestamp::now())
            .execute(&mut *transaction)
            .await?;
        });
        Ok(())
    }
}
