//! A batch: the appends, of any documents, that one group commit writes.

mod commit;
mod sqlite;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;

use super::{
    append::{AUTHOR_BYTES, AppendError, Outcome, QueuedAppend},
    author::Author,
    checksum::update_checksum,
};
use crate::id::{DocumentId, Seq, Timestamp, UserId};

/// How long the smallest commit may take before the database counts as unavailable.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most rows of a batch, unless one append alone has more.
const ROWS_MAX: usize = 4096;

/// A copy of the first appends in the journal, arranged for writing.
pub(super) struct Batch {
    documents: Vec<BatchDocument>,
    rows: Vec<Row>,
    /// Each with its document's index in `documents`.
    authors: Vec<(usize, Author)>,
    appends: Vec<BatchAppend>,
    bytes: usize,
}

/// An append of the batch.
#[derive(Clone, Copy)]
struct BatchAppend {
    journal_index: usize,
    last_row: RowPosition,
}

/// A document with rows in the batch.
struct BatchDocument {
    id: DocumentId,
    rows: i64,
}

#[derive(Clone)]
struct Row {
    position: RowPosition,
    payload: Bytes,
    user: Option<UserId>,
    at: Timestamp,
}

/// The position of a row in the batch.
#[derive(Clone, Copy)]
struct RowPosition {
    /// The index of its document in the batch.
    document: usize,
    /// The number of the document's rows in this batch up to and including this one.
    ordinal: i64,
}

/// The newest seq of each document of a batch after its commit; `None` for one that has been
/// deleted.
pub(super) struct Heads(Vec<Option<i64>>);

impl Batch {
    /// Copies the first appends except those of skipped documents: at most 4,096 rows and
    /// `bytes_max` bytes, but at least one append; `None` if there is none.
    pub(super) fn first_of(
        queue: &VecDeque<QueuedAppend>,
        bytes_max: usize,
        is_skipped: impl Fn(DocumentId) -> bool,
    ) -> Option<Self> {
        let mut batch = Self::empty();
        let mut indexes = HashMap::new();
        for (journal_index, queued) in queue.iter().enumerate() {
            if is_skipped(queued.document) {
                continue;
            }
            let bytes = queued.bytes();
            let fits = batch.rows.len() + queued.new_rows.rows.len() <= ROWS_MAX
                && batch.bytes + bytes <= bytes_max;
            if !fits && !batch.appends.is_empty() {
                break;
            }
            batch.bytes += bytes;
            batch.push(&mut indexes, queued, journal_index);
        }
        batch.keep_first_authors();
        (!batch.appends.is_empty()).then_some(batch)
    }

    fn empty() -> Self {
        Self {
            documents: Vec::new(),
            rows: Vec::new(),
            authors: Vec::new(),
            appends: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds an append; `indexes` has the index of each document of the batch.
    fn push(
        &mut self,
        indexes: &mut HashMap<DocumentId, usize>,
        queued: &QueuedAppend,
        journal_index: usize,
    ) {
        let id = queued.document;
        let index = *indexes.entry(id).or_insert_with(|| {
            self.documents.push(BatchDocument { id, rows: 0 });
            self.documents.len() - 1
        });
        let document = &mut self.documents[index];
        for row in &queued.new_rows.rows {
            document.rows += 1;
            let position = RowPosition {
                document: index,
                ordinal: document.rows,
            };
            self.rows.push(Row {
                position,
                payload: row.payload.clone(),
                user: row.user.clone(),
                at: row.at,
            });
        }
        let authors = queued.new_rows.authors.iter();
        self.authors
            .extend(authors.map(|author| (index, author.clone())));
        let last_row = RowPosition {
            document: index,
            ordinal: document.rows,
        };
        self.appends.push(BatchAppend {
            journal_index,
            last_row,
        });
    }

    /// Keeps the first of several authors of one client id of a document: a statement that
    /// inserts many rows does not define their order.
    fn keep_first_authors(&mut self) {
        let mut met = HashSet::with_capacity(self.authors.len());
        self.authors
            .retain(|(document, author)| met.insert((*document, author.client)));
    }

    /// The batch in parts of one document each.
    pub(super) fn by_document(&self) -> Vec<(DocumentId, Self)> {
        let part = |(index, document): (usize, &BatchDocument)| {
            let alone = |position: RowPosition| RowPosition {
                document: 0,
                ..position
            };
            let mut part = Self::empty();
            part.documents.push(BatchDocument { ..*document });
            let rows = self.rows.iter();
            let rows = rows.filter(|row| row.position.document == index);
            part.rows.extend(rows.map(|row| Row {
                position: alone(row.position),
                ..row.clone()
            }));
            let authors = self.authors.iter().filter(|(of, _)| *of == index);
            part.authors
                .extend(authors.map(|(_, author)| (0, author.clone())));
            let appends = self.appends.iter();
            let appends = appends.filter(|append| append.last_row.document == index);
            part.appends.extend(appends.map(|append| BatchAppend {
                last_row: alone(append.last_row),
                ..*append
            }));
            let bytes = part.rows.iter().map(|row| row.payload.len());
            part.bytes = bytes.sum::<usize>() + part.authors.len() * AUTHOR_BYTES;
            (document.id, part)
        };
        self.documents.iter().enumerate().map(part).collect()
    }

    /// The outcome of each append once the batch is durable, with its index in the journal.
    pub(super) fn outcomes(&self, heads: &Heads) -> impl Iterator<Item = (usize, Outcome)> {
        self.appends.iter().map(|append| {
            let head = heads.0[append.last_row.document].ok_or(AppendError::Gone);
            let seq = head.map(|head| Seq(head - self.rows_after(append.last_row)));
            (append.journal_index, seq)
        })
    }

    /// The same `error` for each append, with its index in the journal.
    pub(super) fn refusals(&self, error: AppendError) -> impl Iterator<Item = (usize, Outcome)> {
        let appends = self.appends.iter();
        appends.map(move |append| (append.journal_index, Err(error)))
    }

    /// The number of later rows of the same document in this batch.
    fn rows_after(&self, position: RowPosition) -> i64 {
        self.documents[position.document].rows - position.ordinal
    }

    /// The documents of the batch.
    pub(super) fn documents(&self) -> impl Iterator<Item = DocumentId> {
        self.documents.iter().map(|document| document.id)
    }

    /// The number of appends.
    pub(super) fn appends(&self) -> usize {
        self.appends.len()
    }

    /// The number of the journal's appends up to the batch's last one, skipped ones included.
    pub(super) fn journal_span(&self) -> usize {
        let last = self.appends.last();
        last.map_or(0, |append| append.journal_index + 1)
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The number of bytes, approximately.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long writing the batch may take: 5 s, and a second for each MiB.
    pub(super) fn time_limit(&self) -> Duration {
        let for_bytes = Duration::from_millis((self.bytes as u64 * 1000) >> 20);
        COMMIT_TIMEOUT + for_bytes
    }

    fn document_of(&self, row: &Row) -> DocumentId {
        self.documents[row.position.document].id
    }

    fn checksum(&self, row: &Row) -> i64 {
        update_checksum(self.document_of(row), &row.payload)
    }
}
