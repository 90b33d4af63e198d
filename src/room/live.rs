//! The document in memory together with what is known of its log: how large it
//! is, how far it is durable, when it needs a snapshot.
//!
//! Work that grows with the document (loading, encoding) runs where it does
//! not hold up other tasks of the same thread.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tracing::error;

use crate::{
    config::Limits,
    error::{Error, Result},
    id::{ClientId, DocumentId, Seq, UserId},
    limits::{Memory, MemoryShare},
    store::{Damage, Damaged as Kind, Loaded, Reason},
};
use document::{
    self, Applied, ApplyError, Checked, Document, Integrated, Panicked, PendingLimits, Prepared,
    StateVector,
};

/// From this size on, encoding moves aside first.
const HEAVY_BYTES: usize = 64 * 1024;
/// How many client ids a session may have edits of that are not here. It is noted for
/// each session, and it may lie.
const DECLARED_MAX: usize = 4_096;
/// Updates of this size, and dear ones, are taken in one at a time in the whole process,
/// so that they take one core at most and what they need meanwhile only once.
const LARGE_BYTES: usize = 512 * 1024;
static LARGE: Mutex<()> = Mutex::new(());
/// An update that may cost so much is applied as heavy ones are.
const DEAR: Duration = Duration::from_millis(2);
/// A snapshot is due when the log behind the last one has as many rows as the limits say,
/// or as many bytes as that snapshot, but at least this many.
const SNAPSHOT_BYTES_MIN: usize = 1024 * 1024;

/// One document in memory.
pub(super) struct LiveDocument {
    document: Document,
    bytes_max: usize,
    memory_bytes_max: usize,
    snapshot_rows: usize,
    /// The encoded size at the last encoding, and what was added since.
    pub(super) encoded_bytes: usize,
    pub(super) added_bytes: usize,
    /// All that is in the document as one update, until the next change.
    state: Option<Bytes>,
    pub(super) durable: Seq,
    pub(super) log: Log,
    broken: bool,
    damaged: Damaged,
    share: MemoryShare,
    /// How long updates waited for their turn among the large ones.
    waited: Duration,
}

/// A document that has been loaded.
pub(super) struct Opened {
    pub(super) document: LiveDocument,
    /// Who owns which client id.
    pub(super) authors: Vec<(ClientId, UserId)>,
}

/// Whether some of what was written cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damaged {
    No,
    Yes,
}

/// The log behind the newest snapshot.
#[derive(Default)]
pub(super) struct Log {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) snapshot_bytes: usize,
    saving: bool,
}

/// What was read of a log that is longer than what is known of it.
#[derive(Default)]
pub(super) struct News {
    /// What was new, to be told.
    pub(super) updates: Vec<Bytes>,
    /// What cannot be used.
    pub(super) refused: Vec<Damage>,
}

impl LiveDocument {
    /// A document that nobody has written to.
    pub(super) fn empty(limits: &Limits, memory: &Memory) -> Self {
        Self::around(Document::new(caps(limits)), limits, memory)
    }

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
            durable: Seq(0),
            log: Log::default(),
            broken: false,
            damaged: Damaged::No,
            share,
            waited: Duration::ZERO,
        }
    }

    /// The newest durable position that is known here.
    pub(super) fn durable(&self) -> Seq {
        self.durable
    }

    /// Whether some of what was written cannot be read.
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

    /// What a client with `theirs` has that is not here.
    pub(super) fn lacks(&self, theirs: &StateVector) -> StateVector {
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
        // The sum counts what was deleted since; measuring anew costs an
        // encoding, so it must be worth it.
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

    /// Sees what can be taken in of what a client sent.
    pub(super) fn prepare(
        &mut self,
        bytes: &Bytes,
        checked: &Checked,
        may: impl Fn(ClientId) -> u32,
    ) -> Result<Prepared, ApplyError> {
        aside(bytes.len(), || {
            let _turn = (bytes.len() >= LARGE_BYTES).then(|| turn(&mut self.waited));
            self.document.prepare(bytes, checked, may)
        })
    }

    /// Takes in what was prepared.
    pub(super) fn apply(
        &mut self,
        bytes: &Bytes,
        prepared: Prepared,
    ) -> Result<Applied, ApplyError> {
        let dear = prepared.cost() >= DEAR;
        let size = match dear {
            true => HEAVY_BYTES,
            false => bytes.len(),
        };
        let applied = aside(size, || {
            let large = dear || bytes.len() >= LARGE_BYTES;
            let _turn = large.then(|| turn(&mut self.waited));
            self.document.apply(bytes, prepared)
        });
        self.note(bytes, applied)
    }

    /// How long updates have waited for their turn since this was last asked.
    pub(super) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// Takes in what was accepted before, elsewhere.
    pub(super) fn restore(
        &mut self,
        bytes: &Bytes,
        checked: &Checked,
    ) -> Result<Applied, ApplyError> {
        let applied = aside(bytes.len(), || self.document.restore(bytes, checked));
        self.note(bytes, applied)
    }

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
                self.share.set(self.document.memory_bytes());
            }
            Err(ApplyError::Panicked) => self.broken = true,
            Ok(_) | Err(_) => {}
        }
        applied
    }

    /// What a client with `theirs` lacks; everything without it.
    pub(super) fn difference(&mut self, theirs: Option<&StateVector>) -> Result<Bytes, Panicked> {
        let Some(theirs) = theirs.filter(|sv| !sv.is_empty()) else {
            return self.whole_state();
        };
        let size = self.encoded_bytes + self.added_bytes;
        let diff = aside(size, || self.document.diff(theirs));
        self.broken |= diff.is_err();
        diff.map(Bytes::from)
    }

    fn whole_state(&mut self) -> Result<Bytes, Panicked> {
        if let Some(state) = &self.state {
            return Ok(state.clone());
        }
        let size = self.encoded_bytes + self.added_bytes;
        let encoded = aside(size, || self.document.diff(&StateVector::default()));
        self.broken |= encoded.is_err();
        let state = Bytes::from(encoded?);
        (self.encoded_bytes, self.added_bytes) = (state.len(), 0);
        self.state = Some(state.clone());
        Ok(state)
    }

    /// The state as the store keeps it: with what waits for its dependencies.
    fn stored_state(&mut self) -> Result<Bytes, Panicked> {
        if !self.document.has_pending() {
            return self.whole_state();
        }
        let size = self.encoded_bytes + self.added_bytes;
        let encoded = aside(size, || self.document.encode());
        self.broken |= encoded.is_err();
        encoded.map(Bytes::from)
    }

    /// The state to keep as a snapshot, and up to where it holds everything: at least every row
    /// up to the durable position, because rows of others before it were read first, and what is
    /// not durable yet only adds.
    ///
    /// # Errors
    /// [`Panicked`].
    pub(super) fn take_snapshot(&mut self) -> Result<(Seq, Bytes), Panicked> {
        let state = self.stored_state()?;
        self.log = Log {
            rows: 0,
            bytes: 0,
            snapshot_bytes: state.len(),
            saving: true,
        };
        Ok((self.durable, state))
    }

    /// Takes in what the log holds and the document does not: rows that another instance wrote,
    /// or that were written twice.
    pub(super) fn take_news(&mut self, document: DocumentId, loaded: Loaded) -> News {
        let mut news = News::default();
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
                Ok(Integrated::Whole) => news.updates.push(bytes),
                Ok(Integrated::Part(part) | Integrated::WithPending(part)) => {
                    news.updates.push(part.into());
                }
                Ok(Integrated::Nothing) => {}
                Err(reason) => {
                    error!(%document, seq = seq.0, ?reason, "a stored update cannot be applied; left out");
                    news.refused.push(Damage::at(kind, seq, Reason::Refused));
                }
            }
            self.log.rows += 1;
        }
        if !news.refused.is_empty() {
            self.set_damaged();
        }
        self.durable = durable.max(loaded.head_seq);
        news
    }

    /// Notes that `rows` are in the log up to `last`. `true` if rows of
    /// somebody else lie before them that are not here yet.
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

    /// Takes the place of `before`, whose snapshot may be under way.
    pub(super) fn go_on_saving(&mut self, before: &Self) {
        self.log.saving = before.log.saving;
    }

    pub(super) fn is_saving(&self) -> bool {
        self.log.saving
    }

    pub(super) fn snapshot_is_due(&self) -> bool {
        let bytes = self.log.snapshot_bytes.max(SNAPSHOT_BYTES_MIN);
        let due = self.log.rows >= self.snapshot_rows || self.log.bytes >= bytes;
        due && !self.log.saving && !self.broken
    }

    pub(super) fn snapshot_settled(&mut self, held: Option<Seq>) {
        self.log.saving = false;
        if held.is_none() {
            // The log still has everything: try again after as much as for the first.
            self.log.rows = 0;
            self.log.bytes = 0;
        }
    }
}

pub(super) fn caps(limits: &Limits) -> PendingLimits {
    PendingLimits {
        updates_max: limits.pending_updates_max,
        bytes_max: limits.pending_bytes_max,
    }
}

/// Waits for the turn to take in something large, and counts how long.
fn turn(waited: &mut Duration) -> MutexGuard<'static, ()> {
    let began = Instant::now();
    let turn = LARGE.lock();
    *waited += began.elapsed();
    turn
}

/// Runs `work` on a document of `size` bytes without holding up other tasks.
pub(super) fn aside<T>(size: usize, work: impl FnOnce() -> T) -> T {
    if size < HEAVY_BYTES {
        work()
    } else {
        tokio::task::block_in_place(work)
    }
}
