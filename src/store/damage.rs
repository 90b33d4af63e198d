//! What is stored and cannot be used: how it is noticed, and what becomes of it.
//!
//! A row that fails its checksum, or that the document cannot take in, is moved to
//! `damaged_row`, where it waits for repair by hand; rows that are missing are noted
//! there. It is never handed out and never deleted. The rest of the document is served.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
};

use crc32fast::Hasher;
use parking_lot::Mutex;

use super::{
    REPLY_TIMEOUT, Store, TRANSFER_TIMEOUT,
    database::{reading, writing},
    failure::{bounded, report},
};
use crate::{
    error::Result,
    id::{DocumentId, Seq, Timestamp},
};

/// What is stored of a document and cannot be used, or is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Damage {
    /// What it was.
    pub kind: Damaged,
    /// Its position, or that of the first of several.
    pub seq: Seq,
    /// The position of the last of several that are missing in a row; elsewhere as `seq`.
    pub last: Seq,
    /// What is wrong.
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

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is not as it was written.
    Checksum,
    /// It is as it was written, but the document cannot take it in.
    Refused,
    /// It is not there.
    Missing,
}

/// What the store remembers of damage.
#[derive(Default)]
pub(super) struct Damages {
    /// What could not be moved or noted. Until it is, its document gets no snapshot,
    /// because the log behind that would be trimmed.
    unmoved: Mutex<HashSet<(DocumentId, Damage)>>,
    documents: AtomicU64,
}

impl Damage {
    /// One row.
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

/// The checksum of a row of the log: CRC-32 of the document's id and the payload.
///
/// The seq is left out because the statement draws it. A row that turns up at
/// another position of its own document does no harm: updates commute.
pub(super) fn update_checksum(document: DocumentId, payload: &[u8]) -> i64 {
    let mut hasher = Hasher::new();
    hasher.update(document.to_string().as_bytes());
    hasher.update(payload);
    i64::from(hasher.finalize())
}

/// The checksum of a snapshot: CRC-32 of the document's id, the seq (eight bytes,
/// big-endian) and the state. A snapshot that claimed another seq would hide rows.
pub(super) fn snapshot_checksum(document: DocumentId, seq: Seq, state: &[u8]) -> i64 {
    let mut hasher = Hasher::new();
    hasher.update(document.to_string().as_bytes());
    hasher.update(&seq.0.to_be_bytes());
    hasher.update(state);
    i64::from(hasher.finalize())
}

impl Store {
    /// Moves the rows of `damage` out of the way, notes those that are missing, and tells
    /// of each in the log and the metrics. Takes at most 30 s for each.
    ///
    /// Returns whether all of it is in `damaged_row` now (or was replaced by a sound row
    /// meanwhile, or went with its document). What is not is tried again before the
    /// document's next snapshot, which fails as long as it cannot be done.
    ///
    /// After a snapshot that was [`Refused`](Reason::Refused) has been moved, loading again
    /// gives the older snapshot and the log behind it.
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
        // The count is for health alone, which asks again.
        let _ = self.damaged_documents().await;
        all
    }

    /// Moves what could not be moved before. Returns whether nothing is left.
    pub(super) async fn set_rest_aside(&self, document: DocumentId) -> bool {
        let rest: Vec<_> = {
            let unmoved = self.inner.damage.unmoved.lock();
            let of_it = unmoved.iter().filter(|(of, _)| *of == document);
            of_it.map(|(_, damage)| *damage).collect()
        };
        let mut all = true;
        for damage in rest {
            all &= self.move_aside(document, damage).await;
        }
        all
    }

    /// The number of documents that have rows in `damaged_row` which nobody has repaired.
    /// Takes at most 5 s; sets the metric.
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

    /// What [`damaged_documents`](Store::damaged_documents) last found.
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

    /// Whether it is done; remembers what is not.
    async fn move_aside(&self, document: DocumentId, damage: Damage) -> bool {
        let moved = match damage.reason {
            Reason::Missing => bounded(REPLY_TIMEOUT, self.note(document, damage)).await,
            Reason::Checksum | Reason::Refused => {
                bounded(TRANSFER_TIMEOUT, self.quarantine(document, damage)).await
            }
        };
        let moved = match moved {
            // The document has been deleted, and all of its rows with it.
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

    /// Notes rows that are missing, once.
    async fn note(&self, document: DocumentId, damage: Damage) -> sqlx::Result<()> {
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

    async fn quarantine(&self, document: DocumentId, damage: Damage) -> sqlx::Result<()> {
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
            // Deleting first takes the row's lock: of several that found it one moves it.
            let taken = sqlx::query_as::<_, (Vec<u8>, i64)>(take)
                .bind(document)
                .bind(seq.0)
                .fetch_optional(&mut *transaction)
                .await?;
            let Some((payload, checksum)) = taken else { return Ok(()) };
            let sound = match kind {
                Damaged::Update => update_checksum(document, &payload) == checksum,
                Damaged::Snapshot => snapshot_checksum(document, seq, &payload) == checksum,
            };
            if sound && damage.reason == Reason::Checksum {
                // Somebody has replaced it meanwhile: leaving without a commit keeps it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_tell_documents_and_positions_apart() {
        let (one, other) = (DocumentId::generate(), DocumentId::generate());
        assert_eq!(update_checksum(one, b"x"), update_checksum(one, b"x"));
        assert_ne!(update_checksum(one, b"x"), update_checksum(other, b"x"));
        assert_ne!(update_checksum(one, b"x"), update_checksum(one, b"y"));
        assert_ne!(
            snapshot_checksum(one, Seq(1), b"x"),
            snapshot_checksum(one, Seq(2), b"x")
        );
    }
}
