//! The document in memory, with the state of its log: how large the log is, up to which position it
//! is durable, when it needs a snapshot.
//!
//! Work that grows with the document (loading, encoding) runs so that it does not block
//! other tasks of the same thread.

use std::time::Duration;

use bytes::Bytes;
use tracing::error;

use super::Edit;
use super::heavy::{COSTLY, HEAVY_BYTES, LARGE_BYTES, lock_large, run_heavy};
use crate::{
    config::Limits,
    error::{Error, Result},
    id::{ClientId, DocumentId, Seq, UserId},
    limits::{Memory, MemoryShare},
    store::{Damage, Damaged as Kind, Lineage, Loaded, Reason},
};
use document::{
    self, Applied, ApplyError, Checked, DeletionsHash, Document, Integrated, Panicked,
    PendingLimits, Prepared, StateVector, edit::EditError,
};

/// The most client ids that are noted of what a session declares to have and the document lacks.
/// The note takes memory for each session, and a client may declare anything.
const DECLARED_MAX: usize = 4_096;
/// A snapshot is due when the log after the last one has as many bytes as that snapshot, but at least this many …
const SNAPSHOT_BYTES_MIN: usize = 1024 * 1024;
/// … or as many rows as the limits say, but at least one for this many bytes of that snapshot: a large document is not written anew
/// for a few keystrokes. To load a row takes about a fifth of the time for so many bytes of a snapshot.
const SNAPSHOT_BYTES_PER_ROW: usize = 1024;

/// One document in memory, with the state of its log.
pub(super) struct OpenDocument {
    pub(super) document: Document,
    bytes_max: usize,
    memory_bytes_max: usize,
    snapshot_rows: usize,
    /// The encoded size at the last encoding.
    pub(super) encoded_bytes: usize,
    /// The size of the updates since then.
    pub(super) added_bytes: usize,
    /// The whole state as one update; `None` after a change.
    pub(super) state: Option<Bytes>,
    /// The hash of all deletions; `None` after a change.
    pub(super) deletions_hash: Option<DeletionsHash>,
    /// The newest durable position that is known here.
    pub(super) durable: Seq,
    /// The lineage of the database to which that belongs.
    pub(super) lineage: Lineage,
    pub(super) log: LogTail,
    /// Whether the document must be rebuilt before it is used again.
    pub(super) broken: bool,
    damaged: Damaged,
    share: MemoryShare,
    /// How long updates have waited for the lock of large ones.
    lock_wait: Duration,
}

/// A document that has been loaded.
pub(super) struct Opened {
    pub(super) document: OpenDocument,
    /// Which user owns which client id.
    pub(super) authors: Vec<(ClientId, UserId)>,
}

/// Whether some rows of the log cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damaged {
    No,
    Yes,
}

/// The part of the log after the newest snapshot.
#[derive(Default)]
pub(super) struct LogTail {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) snapshot_bytes: usize,
    snapshot_in_progress: bool,
}

/// The result of reading a log that has rows of other instances.
#[derive(Default)]
pub(super) struct NewRows {
    /// The new content, to be relayed.
    pub(super) updates: Vec<Bytes>,
    /// The rows that cannot be applied.
    pub(super) refused: Vec<Damage>,
}

impl OpenDocument {
    /// A document without content.
    pub(super) fn empty(limits: &Limits, memory: &Memory) -> Self {
        Self::around(Document::new(pending_limits(limits)), limits, memory)
    }

    /// A document with the content of `document`, and an empty log.
    pub(super) fn around(document: Document, limits: &Limits, memory: &Memory) -> Self {
        let mut share = memory.track();
        share.set(document.memory_bytes());
        Self {
            document,
            bytes_max: limits.document_bytes_max,
            memory_bytes_max: limits.document_memory_bytes_max,
            snapshot_rows: limits.snapshot_rows,
            encoded_bytes: 0,
            added_bytes: 0,
            state: None,
            deletions_hash: None,
            durable: Seq(0),
            lineage: Lineage::default(),
            log: LogTail::default(),
            broken: false,
            damaged: Damaged::No,
            share,
            lock_wait: Duration::ZERO,
        }
    }

    /// Whether some rows of the log cannot be read.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged == Damaged::Yes
    }

    pub(super) fn set_damaged(&mut self) {
        self.damaged = Damaged::Yes;
    }

    /// Whether the document must be rebuilt before it is used again.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// All clients with their clocks.
    pub(super) fn clocks(&self) -> impl Iterator<Item = (ClientId, u32)> {
        self.document.clocks()
    }

    pub(super) fn state_vector(&self) -> Vec<u8> {
        self.document.state_vector()
    }

    /// The clocks of `theirs` that are ahead of this document.
    pub(super) fn missing_here(&self, theirs: &StateVector) -> StateVector {
        theirs
            .iter()
            .filter(|(client, clock)| *clock > self.document.clock(*client))
            .take(DECLARED_MAX)
            .collect()
    }

    /// Checks that an update of `bytes`, with which the document grows by `memory_bytes`
    /// in memory, keeps it within its limits.
    pub(super) fn admits(&mut self, bytes: usize, memory_bytes: usize) -> Result<()> {
        if self.document.memory_bytes() + memory_bytes > self.memory_bytes_max {
            return Err(Error::TooLarge {
                limit: self.memory_bytes_max,
            });
        }
        if self.encoded_bytes + self.added_bytes + bytes <= self.bytes_max {
            return Ok(());
        }
        // The sum includes content that was deleted since. Measuring again costs an
        // encoding, so it is only done when much was added.
        if self.added_bytes > self.bytes_max / 16 {
            self.whole_state().map_err(|_| Error::Internal)?;
        }
        if self.encoded_bytes + self.added_bytes + bytes <= self.bytes_max {
            return Ok(());
        }
        Err(Error::TooLarge {
            limit: self.bytes_max,
        })
    }

    /// Finds the part of an update that is new and that its sender may bring.
    pub(super) fn prepare(
        &mut self,
        bytes: &Bytes,
        checked: &Checked,
        clock_limit: impl Fn(ClientId) -> u32,
    ) -> Result<Prepared, ApplyError> {
        run_heavy(bytes.len(), || {
            let _lock = (bytes.len() >= LARGE_BYTES).then(|| lock_large(&mut self.lock_wait));
            self.document.prepare(bytes, checked, clock_limit)
        })
    }

    /// Applies a prepared update.
    pub(super) fn apply(
        &mut self,
        bytes: &Bytes,
        prepared: Prepared,
    ) -> Result<Applied, ApplyError> {
        let is_costly = prepared.cost() >= COSTLY;
        let size = match is_costly {
            true => HEAVY_BYTES,
            false => bytes.len(),
        };
        let applied = run_heavy(size, || {
            let is_large = is_costly || bytes.len() >= LARGE_BYTES;
            let _lock = is_large.then(|| lock_large(&mut self.lock_wait));
            self.document.apply(bytes, prepared)
        });
        self.note(bytes, applied)
    }

    /// Makes an update of `edit`, under a new client id. The document is not changed.
    pub(super) fn make(&mut self, edit: &Edit) -> Result<Bytes, EditError> {
        let size = self.encoded_bytes + self.added_bytes + edit.bytes();
        let made = run_heavy(size, || {
            let _lock = (size >= LARGE_BYTES).then(|| lock_large(&mut self.lock_wait));
            let client = self.document.draw_client_id();
            match edit {
                Edit::Operations(operations) => self.document.edit(client, operations),
                Edit::ReplaceWith(state) => self.document.replace_with(client, state),
            }
        });
        self.broken |= made == Err(EditError::Panicked);
        made.map(Bytes::from)
    }

    /// How long updates have waited for the lock of large ones since the last call.
    pub(super) fn take_lock_wait(&mut self) -> Duration {
        std::mem::take(&mut self.lock_wait)
    }

    /// Applies an update that was accepted before, such as a row of the log.
    pub(super) fn restore(
        &mut self,
        bytes: &Bytes,
        checked: &Checked,
    ) -> Result<Applied, ApplyError> {
        let applied = run_heavy(bytes.len(), || self.document.restore(bytes, checked));
        self.note(bytes, applied)
    }

    /// Notes the result of applying `bytes`.
    fn note(
        &mut self,
        bytes: &Bytes,
        applied: Result<Applied, ApplyError>,
    ) -> Result<Applied, ApplyError> {
        match &applied {
            Ok(applied)
                if applied.integrated != Integrated::Nothing || applied.pending.is_some() =>
            {
                self.added_bytes += bytes.len();
                self.state = None;
                self.deletions_hash = None;
                self.share.set(self.document.memory_bytes());
            }
            Err(ApplyError::Panicked) => self.broken = true,
            Ok(_) | Err(_) => {}
        }
        applied
    }

    /// The state as the store keeps it: with the pending part.
    fn stored_state(&mut self) -> Result<Bytes, Panicked> {
        if !self.document.has_pending() {
            return self.whole_state();
        }
        let size = self.encoded_bytes + self.added_bytes;
        let encoded = run_heavy(size, || self.document.encode());
        self.broken |= encoded.is_err();
        encoded.map(Bytes::from)
    }

    /// What the log lacks if it has the clocks `theirs`, with the pending part.
    pub(super) fn difference_to_store(&mut self, theirs: &StateVector) -> Result<Bytes, Panicked> {
        match self.document.has_pending() {
            true => self.stored_state(),
            false => self.difference(Some(theirs)),
        }
    }

    /// Whether both have the same visible content.
    pub(super) fn has_content_of(&mut self, other: &mut Self) -> bool {
        matches!((self.whole_state(), other.whole_state()), (Ok(here), Ok(there)) if here == there)
    }

    /// The state to keep as a snapshot, and the position up to which it holds the log. It holds
    /// every row up to the durable position, because earlier rows of other instances are always
    /// read first. Updates that are not durable yet only add to it.
    ///
    /// # Errors
    /// [`Panicked`].
    pub(super) fn take_snapshot(&mut self) -> Result<(Seq, Bytes), Panicked> {
        let state = self.stored_state()?;
        self.log = LogTail {
            rows: 0,
            bytes: 0,
            snapshot_bytes: state.len(),
            snapshot_in_progress: true,
        };
        Ok((self.durable, state))
    }

    /// Applies the rows of the log that the document does not hold: rows of another instance, or
    /// rows that were written twice.
    pub(super) fn apply_new_rows(&mut self, document: DocumentId, loaded: Loaded) -> NewRows {
        let mut new_rows = NewRows::default();
        if loaded.is_damaged() {
            self.set_damaged();
        }
        let durable = self.durable;
        let snapshot = loaded.snapshot.into_iter();
        let stored = snapshot.map(|(seq, state)| (Kind::Snapshot, seq, state));
        let updates = loaded.updates.into_iter();
        let updates = updates.map(|(seq, update)| (Kind::Update, seq, update));
        for (kind, seq, bytes) in stored.chain(updates) {
            if seq <= durable {
                continue;
            }
            let restored = match document::validate(&bytes) {
                Ok(checked) => self.restore(&bytes, &checked),
                Err(_) => Err(ApplyError::Undecodable),
            };
            match restored.map(|applied| applied.integrated) {
                Ok(Integrated::Whole) => new_rows.updates.push(bytes),
                Ok(Integrated::Part(part) | Integrated::WithPending(part)) => {
                    new_rows.updates.push(part.into());
                }
                Ok(Integrated::Nothing) => {}
                Err(reason) => {
                    error!(%document, seq = seq.0, ?reason, "a stored update cannot be applied and is left out");
                    new_rows
                        .refused
                        .push(Damage::at(kind, seq, Reason::Refused));
                }
            }
            self.log.rows += 1;
        }
        if !new_rows.refused.is_empty() {
            self.set_damaged();
        }
        self.durable = durable.max(loaded.head_seq);
        new_rows
    }

    /// Notes that `rows` were appended, the last one at `last`. Returns whether the log has rows of
    /// other instances before them that were not applied here yet.
    pub(super) fn appended(&mut self, last: Seq, rows: &[Bytes]) -> bool {
        let before = last.0 - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if before > self.durable.0 {
            return true;
        }
        self.durable = self.durable.max(last);
        self.log.rows += rows.len();
        self.log.bytes += rows.iter().map(Bytes::len).sum::<usize>();
        false
    }

    /// Takes over from `before` whether a snapshot is being written.
    pub(super) fn inherit_snapshot_state(&mut self, before: &Self) {
        self.log.snapshot_in_progress = before.log.snapshot_in_progress;
    }

    /// Whether a snapshot is being written.
    pub(super) fn is_snapshot_in_progress(&self) -> bool {
        self.log.snapshot_in_progress
    }

    /// Whether the log has grown enough for a snapshot, and none is being written.
    pub(super) fn snapshot_is_due(&self) -> bool {
        let bytes = self.log.snapshot_bytes.max(SNAPSHOT_BYTES_MIN);
        let rows = self.log.snapshot_bytes / SNAPSHOT_BYTES_PER_ROW;
        let rows = rows.max(self.snapshot_rows);
        let due = self.log.rows >= rows || self.log.bytes >= bytes;
        due && !self.log.snapshot_in_progress && !self.broken
    }

    /// Notes the result of the snapshot: the position up to which it holds the log, if it was
    /// written.
    pub(super) fn snapshot_settled(&mut self, seq: Option<Seq>) {
        self.log.snapshot_in_progress = false;
        if seq.is_none() {
            // The log still has all rows. The next try is after as many new rows as for a first
            // snapshot.
            self.log.rows = 0;
            self.log.bytes = 0;
        }
    }
}

/// The limits of pending updates.
pub(super) fn pending_limits(limits: &Limits) -> PendingLimits {
    PendingLimits {
        updates_max: limits.pending_updates_max,
        bytes_max: limits.pending_bytes_max,
    }
}
