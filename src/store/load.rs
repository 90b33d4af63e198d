//! Reads a whole document, and notices missing rows.
//!
//! The seqs of a document have no gaps, so the log after the snapshot has to contain every seq up
//! to the document's head. A row that is missing, and was not set aside before, is damage like a
//! row that fails its checksum: a lost page of the database loses its rows without an error.

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::time::Instant;

use super::{
    Store,
    author::Authors,
    checksum::{snapshot_checksum, update_checksum},
    damage::{Damage, Damaged, Reason},
    database::reading,
    failure::report,
    timeouts::{REPLY_TIMEOUT, TRANSFER_TIMEOUT, bounded},
};
use crate::{
    error::{Error, Result},
    id::{ClientId, DocumentId, Seq, UserId},
};

/// A document as it is stored: apply the snapshot, then the updates in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The newest undamaged snapshot, and the seq up to which it contains all updates.
    pub snapshot: Option<(Seq, Bytes)>,
    /// The rows of the log after the snapshot, in order.
    pub updates: Vec<(Seq, Bytes)>,
    /// The newest position in the log.
    pub head_seq: Seq,
    /// The owner of each client id, in the order of the ids.
    pub authors: Vec<(ClientId, UserId)>,
    /// The damage that this read has found. Damaged rows are left out; their content is missing
    /// unless a later update repeats it.
    pub damaged: Vec<Damage>,
    /// The number of unrepaired entries in `damaged_row` about this document's log that are older
    /// than this read.
    pub damaged_earlier: usize,
}

/// An entry of `damaged_row`.
struct DamagedRow {
    kind: String,
    first: i64,
    last: i64,
    is_unrepaired: bool,
}

/// Processes rows as they arrive, so that a long log is in memory only once.
macro_rules! for_each_row {
    ($rows:expr, $row:pat => $process:expr) => {{
        let mut rows = $rows;
        while let Some($row) = bounded(TRANSFER_TIMEOUT, rows.try_next()).await? {
            $process;
        }
    }};
}

impl Loaded {
    /// Whether acknowledged updates are missing: rows of the log were found damaged or missing by
    /// this read, or earlier and have not been repaired.
    ///
    /// A damaged snapshot alone does not count. The older snapshot and the log after it replace
    /// it, and rows that are missing there count.
    pub fn is_damaged(&self) -> bool {
        let is_in_log = |damage: &Damage| damage.kind == Damaged::Update;
        self.damaged_earlier > 0 || self.damaged.iter().any(is_in_log)
    }

    fn bytes(&self) -> usize {
        let snapshot = self.snapshot.as_ref().map_or(0, |(_, state)| state.len());
        snapshot
            + self
                .updates
                .iter()
                .map(|(_, payload)| payload.len())
                .sum::<usize>()
    }

    fn add_snapshot(&mut self, document: DocumentId, seq: Seq, state: Vec<u8>, checksum: i64) {
        if snapshot_checksum(document, seq, &state) == checksum {
            self.snapshot = Some((seq, state.into()));
        } else {
            self.damaged
                .push(Damage::at(Damaged::Snapshot, seq, Reason::Checksum));
        }
    }

    fn add_update(&mut self, document: DocumentId, seq: Seq, payload: Vec<u8>, checksum: i64) {
        if update_checksum(document, &payload) == checksum {
            self.updates.push((seq, payload.into()));
        } else {
            self.damaged
                .push(Damage::at(Damaged::Update, seq, Reason::Checksum));
        }
    }

    /// Adds the missing rows of the log that are not among the `earlier` damage.
    fn add_missing(&mut self, earlier: &[DamagedRow]) {
        let after = self.snapshot.as_ref().map_or(0, |(seq, _)| seq.0);
        let rows = i64::try_from(self.updates.len()).unwrap_or(i64::MAX);
        if rows == self.head_seq.0 - after {
            return; // The rows are distinct and after the snapshot, so none is missing.
        }
        let present = self.updates.iter().map(|(seq, _)| (seq.0, seq.0));
        let found = self.damaged.iter();
        let found = found.filter(|damage| damage.kind == Damaged::Update);
        let found = found.map(|damage| (damage.seq.0, damage.last.0));
        let set_aside = earlier
            .iter()
            .filter(|row| row.kind == Damaged::Update.as_str())
            .map(|row| (row.first, row.last));
        let accounted = present.chain(found).chain(set_aside).collect();
        for (first, last) in gaps(after, self.head_seq.0, accounted) {
            self.damaged.push(Damage {
                kind: Damaged::Update,
                seq: Seq(first),
                last: Seq(last),
                reason: Reason::Missing,
            });
        }
    }
}

/// The ranges of `after + 1..=head` that none of the `accounted` ranges covers.
fn gaps(after: i64, head: i64, mut accounted: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    accounted.sort_unstable();
    let mut gaps = Vec::new();
    let mut next = after + 1;
    for (first, last) in accounted {
        if first > next && next <= head {
            gaps.push((next, head.min(first - 1)));
        }
        next = next.max(last + 1);
    }
    if next <= head {
        gaps.push((next, head));
    }
    gaps
}

impl Store {
    /// Reads a document in one consistent view of the database.
    ///
    /// Damaged rows are left out, reported, logged and moved to `damaged_row`; missing rows are
    /// recorded there. Reaching the database takes at most 5 s, then each row at most 30 s.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the document has been deleted, [`Error::StorageUnavailable`],
    /// or [`Error::Internal`] where the database answers with a failure of its own.
    pub async fn load(&self, document: DocumentId) -> Result<Loaded> {
        let started = Instant::now();
        let read = self.read(document).await;
        let read = read.map_err(|error| report("loading a document", Some(document), error))?;
        let Some(loaded) = read else {
            self.check_list()?;
            return Err(Error::NO_DOCUMENT);
        };
        if !loaded.damaged.is_empty() {
            self.set_aside(document, &loaded.damaged).await;
        }
        self.inner
            .metrics
            .document_loaded(loaded.bytes() as u64, started.elapsed());
        Ok(loaded)
    }

    async fn read(&self, document: DocumentId) -> sqlx::Result<Option<Loaded>> {
        let loaded = reading!(&*self.inner.database, transaction => {
            let head = sqlx::query_as::<_, (i64, bool)>(
                "select head_seq, exists (select 1 from damaged_row where document_id = $1)
                 from document where document_id = $1 and deleted_at is null",
            )
            .bind(document)
            .fetch_optional(&mut *transaction);
            let Some((head, has_earlier)) = bounded(REPLY_TIMEOUT, head).await? else {
                return Ok(None);
            };
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
                loaded.add_snapshot(document, Seq(seq), state, checksum);
            }

            let after = loaded.snapshot.as_ref().map_or(0, |(seq, _)| seq.0);
            let rows = sqlx::query_as::<_, (i64, Vec<u8>, i64)>(
                "select seq, payload, checksum from document_log
                 where document_id = $1 and seq > $2 order by seq",
            );
            let rows = rows.bind(document).bind(after).fetch(&mut *transaction);
            for_each_row!(rows, (seq, payload, checksum) => {
                // In SQLite `head_seq` does not count the newest rows.
                loaded.head_seq = loaded.head_seq.max(Seq(seq));
                loaded.add_update(document, Seq(seq), payload, checksum);
            });

            let rows = sqlx::query_as::<_, (i64, String)>(
                "select client_id, user_id from author
                 where document_id = $1 order by client_id",
            );
            let rows = rows.bind(document).fetch(&mut *transaction);
            let mut authors = Authors::default();
            for_each_row!(rows, (client, user) => authors.add(client, &user));
            loaded.authors = authors.into_owners();

            let mut earlier = Vec::new();
            if has_earlier {
                let rows = sqlx::query_as::<_, (String, i64, i64, bool)>(
                    "select kind, seq, coalesce(last_seq, seq), repaired_at is null
                     from damaged_row where document_id = $1",
                );
                let rows = rows.bind(document).fetch(&mut *transaction);
                for_each_row!(rows, row => earlier.push(DamagedRow::from(row)));
            }
            let unrepaired = earlier.iter().filter(|row| row.is_unrepaired_update());
            loaded.damaged_earlier = unrepaired.count();
            loaded.add_missing(&earlier);
            loaded
        });
        Ok(Some(loaded))
    }
}

impl DamagedRow {
    fn is_unrepaired_update(&self) -> bool {
        self.is_unrepaired && self.kind == Damaged::Update.as_str()
    }
}

impl From<(String, i64, i64, bool)> for DamagedRow {
    fn from((kind, first, last, is_unrepaired): (String, i64, i64, bool)) -> Self {
        Self {
            kind,
            first,
            last,
            is_unrepaired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_the_ranges_that_nothing_accounts_for() {
        for (after, head, accounted, expected) in [
            (0, 0, vec![], vec![]),
            (0, 3, vec![], vec![(1, 3)]),
            (0, 3, vec![(1, 1), (2, 2), (3, 3)], vec![]),
            (0, 3, vec![(3, 3), (1, 1)], vec![(2, 2)]),
            (4, 9, vec![(1, 2), (5, 5), (9, 9)], vec![(6, 8)]),
            (4, 9, vec![(3, 6), (5, 5)], vec![(7, 9)]),
            (0, 5, vec![(2, 2), (9, 9)], vec![(1, 1), (3, 5)]),
            (0, 9, vec![(1, 8), (2, 2), (3, 3)], vec![(9, 9)]),
            (7, 7, vec![], vec![]),
        ] {
            assert_eq!(
                gaps(after, head, accounted.clone()),
                expected,
                "after {after} up to {head}: {accounted:?}"
            );
        }
    }
}
