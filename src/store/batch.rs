//! A batch: the appends, of any documents, that one group commit writes.

mod commit;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;

use super::{
    author::Author,
    damage::update_checksum,
    log::{AUTHOR_BYTES, Append, AppendError},
};
use crate::id::{DocumentId, Seq};

/// How long the smallest commit may take before the database counts as unavailable.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most rows of a batch, unless one append alone has more.
const ROWS_MAX: usize = 4096;

/// A copy of the first appends in the journal, laid out for writing.
pub(super) struct Batch {
    documents: Vec<Share>,
    rows: Vec<Row>,
    authors: Vec<(usize, Author)>,
    appends: Vec<Turn>,
    bytes: usize,
}

/// An append of the batch.
#[derive(Clone, Copy)]
struct Turn {
    /// Index into the journal.
    position: usize,
    /// Where its last row stands.
    place: Place,
}

/// A document's share in a batch.
struct Share {
    document: DocumentId,
    rows: i64,
}

struct Row {
    place: Place,
    payload: Bytes,
}

/// Where a row stands.
#[derive(Clone, Copy)]
struct Place {
    /// Index into the batch's documents.
    document: usize,
    /// How many of the document's rows in this batch there are up to here, this one included.
    ordinal: i64,
}

/// The position of each document after the batch; `None` for one that is gone.
pub(super) struct Heads(Vec<Option<i64>>);

impl Batch {
    /// Copies the first appends but those of documents that are held: 4,096 rows and `bytes_max`
    /// bytes at most, but at least one append; `None` if there is none.
    pub(super) fn first_of(
        waiting: &VecDeque<Append>,
        bytes_max: usize,
        is_held: impl Fn(DocumentId) -> bool,
    ) -> Option<Self> {
        let mut batch = Self::empty();
        let mut places = HashMap::new();
        for (position, append) in waiting.iter().enumerate() {
            if is_held(append.document) {
                continue;
            }
            let bytes = append.bytes();
            let fits = batch.rows.len() + append.entry.rows.len() <= ROWS_MAX
                && batch.bytes + bytes <= bytes_max;
            if !fits && !batch.appends.is_empty() {
                break;
            }
            batch.bytes += bytes;
            batch.push(&mut places, append, position);
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

    fn push(&mut self, places: &mut HashMap<DocumentId, usize>, append: &Append, position: usize) {
        let document = append.document;
        let index = *places.entry(document).or_insert_with(|| {
            self.documents.push(Share { document, rows: 0 });
            self.documents.len() - 1
        });
        let share = &mut self.documents[index];
        for (payload, _) in &append.entry.rows {
            share.rows += 1;
            let place = Place {
                document: index,
                ordinal: share.rows,
            };
            self.rows.push(Row {
                place,
                payload: payload.clone(),
            });
        }
        let authors = append.entry.authors.iter();
        self.authors
            .extend(authors.map(|author| (index, author.clone())));
        let place = Place {
            document: index,
            ordinal: share.rows,
        };
        self.appends.push(Turn { position, place });
    }

    /// Of several that name one client id of a document, the first stays: a statement that
    /// inserts many rows promises no order among them.
    fn keep_first_authors(&mut self) {
        let mut met = HashSet::with_capacity(self.authors.len());
        self.authors
            .retain(|(document, author)| met.insert((*document, author.client)));
    }

    /// The batch in parts of one document each.
    pub(super) fn by_document(&self) -> Vec<(DocumentId, Self)> {
        let part = |(index, share): (usize, &Share)| {
            let alone = |place: Place| Place {
                document: 0,
                ..place
            };
            let mut part = Self::empty();
            part.documents.push(Share { ..*share });
            let rows = self.rows.iter().filter(|row| row.place.document == index);
            part.rows.extend(rows.map(|row| Row {
                place: alone(row.place),
                payload: row.payload.clone(),
            }));
            let authors = self.authors.iter().filter(|(of, _)| *of == index);
            part.authors
                .extend(authors.map(|(_, author)| (0, author.clone())));
            let appends = self.appends.iter();
            let appends = appends.filter(|turn| turn.place.document == index);
            part.appends.extend(appends.map(|turn| Turn {
                place: alone(turn.place),
                ..*turn
            }));
            let bytes = part.rows.iter().map(|row| row.payload.len());
            part.bytes = bytes.sum::<usize>() + part.authors.len() * AUTHOR_BYTES;
            (share.document, part)
        };
        self.documents.iter().enumerate().map(part).collect()
    }

    /// What each append learns once the batch is durable, with its index into the journal.
    pub(super) fn answers(
        &self,
        heads: &Heads,
    ) -> impl Iterator<Item = (usize, Result<Seq, AppendError>)> {
        self.appends.iter().map(|&Turn { position, place }| {
            let head = heads.0[place.document].ok_or(AppendError::Gone);
            let seq = head.map(|head| Seq(head - self.behind(place)));
            (position, seq)
        })
    }

    /// The same `error` for each append, with its index into the journal.
    pub(super) fn refusals(
        &self,
        error: AppendError,
    ) -> impl Iterator<Item = (usize, Result<Seq, AppendError>)> {
        let appends = self.appends.iter();
        appends.map(move |turn| (turn.position, Err(error)))
    }

    /// How many rows of the same document follow in this batch.
    fn behind(&self, place: Place) -> i64 {
        self.documents[place.document].rows - place.ordinal
    }

    /// The documents of the batch.
    pub(super) fn documents(&self) -> impl Iterator<Item = DocumentId> {
        self.documents.iter().map(|share| share.document)
    }

    pub(super) fn appends(&self) -> usize {
        self.appends.len()
    }

    /// How many of the journal's appends the batch reaches over, those that it skips included.
    pub(super) fn span(&self) -> usize {
        self.appends.last().map_or(0, |turn| turn.position + 1)
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long writing the batch may take: 5 s, and a second for each MiB.
    pub(super) fn time_limit(&self) -> Duration {
        let for_bytes = Duration::from_millis((self.bytes as u64 * 1000) >> 20);
        COMMIT_TIMEOUT + for_bytes
    }

    fn document(&self, row: &Row) -> DocumentId {
        self.documents[row.place.document].document
    }

    fn checksum(&self, row: &Row) -> i64 {
        update_checksum(self.document(row), &row.payload)
    }
}
