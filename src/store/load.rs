//! Reading a document whole, and noticing what is missing of it.
//!
//! The seqs of a document have no gaps, so the log behind the snapshot has to hold
//! every seq up to the document's head. What is not there, and was not set aside
//! before, is damage like a row that fails its checksum: a page of the database
//! that was lost takes its rows with it without a word.

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::time::Instant;

use super::{
    REPLY_TIMEOUT, Store, TRANSFER_TIMEOUT,
    author::Authors,
    damage::{Damage, Damaged, Reason, snapshot_checksum, update_checksum},
    database::reading,
    failure::{bounded, report},
};
use crate::{
    error::{Error, Result},
    id::{ClientId, DocumentId, Seq, UserId},
};

/// A document as it lies in the database: apply the snapshot, then the updates in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The newest sound snapshot, and the position up to which it holds everything.
    pub snapshot: Option<(Seq, Bytes)>,
    /// The rows of the log after it, in order.
    pub updates: Vec<(Seq, Bytes)>,
    /// The newest position in the log.
    pub head_seq: Seq,
    /// Who owns which client id, in the order of the ids.
    pub authors: Vec<(ClientId, UserId)>,
    /// What was found damaged by this reading and left out. It is missing unless a later
    /// update repeats it.
    pub damaged: Vec<Damage>,
    /// How many entries of `damaged_row` about this document's log are older than this
    /// reading and await repair.
    pub damaged_earlier: usize,
}

/// What `damaged_row` says of a document.
struct Known {
    kind: String,
    first: i64,
    last: i64,
    open: bool,
}

/// Takes rows as they come, so that a long log is in memory once.
macro_rules! each {
    ($rows:expr, $row:pat => $take:expr) => {{
        let mut rows = $rows;
        while let Some($row) = bounded(TRANSFER_TIMEOUT, rows.try_next()).await? {
            $take;
        }
    }};
}

impl Loaded {
    /// Whether some of what was acknowledged is missing: rows of the log were found damaged or
    /// missing now, or earlier and nobody has repaired them.
    ///
    /// A damaged snapshot alone does not count. The log behind the older one replaces it, and
    /// where that has a hole, the hole counts.
    pub fn is_damaged(&self) -> bool {
        let of_log = |damage: &Damage| damage.kind == Damaged::Update;
        self.damaged_earlier > 0 || self.damaged.iter().any(of_log)
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

    fn take_snapshot(&mut self, document: DocumentId, seq: Seq, state: Vec<u8>, checksum: i64) {
        if snapshot_checksum(document, seq, &state) == checksum {
            self.snapshot = Some((seq, state.into()));
        } else {
            self.damaged
                .push(Damage::at(Damaged::Snapshot, seq, Reason::Checksum));
        }
    }

    fn take_update(&mut self, document: DocumentId, seq: Seq, payload: Vec<u8>, checksum: i64) {
        if update_checksum(document, &payload) == checksum {
            self.updates.push((seq, payload.into()));
        } else {
            self.damaged
                .push(Damage::at(Damaged::Update, seq, Reason::Checksum));
        }
    }

    /// Notes what ought to be in the log and is not.
    fn take_holes(&mut self, known: &[Known]) {
        let after = self.snapshot.as_ref().map_or(0, |(seq, _)| seq.0);
        let rows = i64::try_from(self.updates.len()).unwrap_or(i64::MAX);
        if rows == self.head_seq.0 - after {
            return; // Of this document they are distinct and behind the snapshot: none is missing.
        }
        let present = self.updates.iter().map(|(seq, _)| (seq.0, seq.0));
        let found = self.damaged.iter();
        let found = found.filter(|damage| damage.kind == Damaged::Update);
        let found = found.map(|damage| (damage.seq.0, damage.last.0));
        let set_aside = known
            .iter()
            .filter(|known| known.kind == Damaged::Update.as_str())
            .map(|known| (known.first, known.last));
        let accounted = present.chain(found).chain(set_aside).collect();
        for (first, last) in holes(after, self.head_seq.0, accounted) {
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
fn holes(after: i64, head: i64, mut accounted: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    accounted.sort_unstable();
    let mut holes = Vec::new();
    let mut next = after + 1;
    for (first, last) in accounted {
        if first > next && next <= head {
            holes.push((next, head.min(first - 1)));
        }
        next = next.max(last + 1);
    }
    if next <= head {
        holes.push((next, head));
    }
    holes
}

impl Store {
    /// Reads a document as of one moment.
    ///
    /// Damaged rows are left out, reported, logged and moved to `damaged_row`; rows that are
    /// missing are noted there. Reaching the database takes at most 5 s, then each row at most 30 s.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the document has been deleted, [`Error::StorageUnavailable`],
    /// or [`Error::Internal`] where the database answers with a failure of its own.
    pub async fn load(&self, document: DocumentId) -> Result<Loaded> {
        let started = Instant::now();
        let read = self.read(document).await;
        let read = read.map_err(|error| report("loading a document", Some(document), error))?;
        let Some(loaded) = read else {
            self.absent()?;
            return Err(Error::NotFound { what: "document" });
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
                 from document where document_id = $1",
            )
            .bind(document)
            .fetch_optional(&mut *transaction);
            let Some((head, has_known)) = bounded(REPLY_TIMEOUT, head).await? else {
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
                loaded.take_snapshot(document, Seq(seq), state, checksum);
            }

            let after = loaded.snapshot.as_ref().map_or(0, |(seq, _)| seq.0);
            let rows = sqlx::query_as::<_, (i64, Vec<u8>, i64)>(
                "select seq, payload, checksum from update_log
                 where document_id = $1 and seq > $2 order by seq",
            );
            let rows = rows.bind(document).bind(after).fetch(&mut *transaction);
            each!(rows, (seq, payload, checksum) => {
                loaded.take_update(document, Seq(seq), payload, checksum);
            });

            let rows = sqlx::query_as::<_, (i64, String)>(
                "select client_id, user_id from author
                 where document_id = $1 order by client_id",
            );
            let rows = rows.bind(document).fetch(&mut *transaction);
            let mut authors = Authors::default();
            each!(rows, (client, user) => authors.take(client, &user));
            loaded.authors = authors.into_owners();

            let mut known = Vec::new();
            if has_known {
                let rows = sqlx::query_as::<_, (String, i64, i64, bool)>(
                    "select kind, seq, coalesce(last_seq, seq), repaired_at is null
                     from damaged_row where document_id = $1",
                );
                let rows = rows.bind(document).fetch(&mut *transaction);
                each!(rows, row => known.push(Known::from(row)));
            }
            loaded.damaged_earlier = known.iter().filter(|known| known.is_open_in_log()).count();
            loaded.take_holes(&known);
            loaded
        });
        Ok(Some(loaded))
    }
}

impl Known {
    fn is_open_in_log(&self) -> bool {
        self.open && self.kind == Damaged::Update.as_str()
    }
}

impl From<(String, i64, i64, bool)> for Known {
    fn from((kind, first, last, open): (String, i64, i64, bool)) -> Self {
        Self {
            kind,
            first,
            last,
            open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_what_nothing_accounts_for() {
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
                holes(after, head, accounted.clone()),
                expected,
                "after {after} up to {head}: {accounted:?}"
            );
        }
    }
}
