//! The checksums of rows, by which damage is noticed.

use crc32fast::Hasher;

use crate::id::{DocumentId, Seq};

/// The checksum of a row of the log: CRC-32 of the document's id and the payload.
///
/// The seq is not included because the statement that inserts the row determines it. A row that
/// appears at another position of its own document does no harm: updates commute.
pub(super) fn update_checksum(document: DocumentId, payload: &[u8]) -> i64 {
    let mut hasher = Hasher::new();
    hasher.update(document.to_string().as_bytes());
    hasher.update(payload);
    i64::from(hasher.finalize())
}

/// The checksum of a snapshot: CRC-32 of the document's id, the seq (eight bytes, big-endian) and
/// the state. A snapshot that claimed a later seq would hide rows of the log.
pub(super) fn snapshot_checksum(document: DocumentId, seq: Seq, state: &[u8]) -> i64 {
    let mut hasher = Hasher::new();
    hasher.update(document.to_string().as_bytes());
    hasher.update(&seq.0.to_be_bytes());
    hasher.update(state);
    i64::from(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_differ_between_documents_and_positions() {
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
