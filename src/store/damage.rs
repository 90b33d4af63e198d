//! Checksums of what is stored, and what happens to rows that fail theirs.
//!
//! A damaged row is moved to `damaged_row`, where it waits for repair by hand;
//! it is never handed out and never deleted. The rest of the document is served.

use crc32fast::Hasher;

use super::{
    Store,
    database::writing,
    failure::{bounded, report},
};
use crate::id::{DocumentId, Seq, Timestamp};

/// A row that was not as it had been written, and was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What it was.
    pub kind: Damaged,
    /// Its position.
    pub seq: Seq,
}

/// The kinds of rows that carry a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// A row of the log.
    Update,
    /// A snapshot.
    Snapshot,
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
    /// Moves the rows of `damage` out of the way and tells of each.
    ///
    /// A move that fails is only logged: the next load finds the row again.
    pub(super) async fn set_aside(&self, document: DocumentId, damage: &[Damage]) {
        for &damage in damage {
            let Damage { kind, seq } = damage;
            tracing::error!(
                ?document,
                seq = seq.0,
                kind = kind.as_str(),
                "a stored row is damaged"
            );
            self.inner.metrics.row_damaged(kind.as_str());
            if let Err(error) =
                bounded(super::REPLY_TIMEOUT, self.quarantine(document, damage)).await
            {
                report("setting a damaged row aside", Some(document), error);
            }
        }
    }

    async fn quarantine(&self, document: DocumentId, damage: Damage) -> sqlx::Result<()> {
        let Damage { kind, seq } = damage;
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
            if sound {
                // Somebody has replaced it meanwhile: leaving without a commit keeps it.
                return Ok(());
            }
            sqlx::query(
                "insert into damaged_row (document_id, kind, seq, payload, checksum, found_at)
                 values ($1, $2, $3, $4, $5, $6)",
            )
            .bind(document)
            .bind(kind.as_str())
            .bind(seq.0)
            .bind(payload)
            .bind(checksum)
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
