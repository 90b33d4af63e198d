//! The entries of a range of keys: those of the tables and of the logs, merged.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap, btree_map},
    ops::Bound,
    path::Path,
};

use super::{
    Damage,
    key::Change,
    logs::{Memory, Newest},
    manifest::TableFile,
    table::{Table, TableEntry},
};

/// An iterator over the entries of a range, in the order of their keys, each with its newest value. What
/// cannot be read is reported in its place, and the rest follows.
pub struct Entries<'a> {
    folder: &'a Path,
    start: Vec<u8>,
    end: Vec<u8>,
    logs: btree_map::Range<'a, Vec<u8>, Newest>,
    /// The next entry of each source that has one.
    heads: BinaryHeap<Reverse<Head<'a>>>,
    /// The key of the last entry that was taken.
    last: Option<Vec<u8>>,
    /// Damage that was found and not told yet.
    damages: Vec<Damage>,
}

/// A source, and its next entry.
struct Head<'a> {
    /// The key of the entry. Of a table that is not open yet, a key that is not behind its first one.
    key: Vec<u8>,
    /// The number of the change; the highest of all for a table that is not open yet, so that it is opened first.
    number: u64,
    source: Source<'a>,
}

enum Source<'a> {
    Closed(&'a TableFile),
    Open(Box<Table>, TableEntry),
    Logs(TableEntry),
}

impl<'a> Entries<'a> {
    pub(crate) fn new(
        folder: &'a Path,
        tables: &'a [TableFile],
        memory: &'a Memory,
        start: &[u8],
        end: &[u8],
    ) -> Self {
        let meets = |table: &&TableFile| {
            table.largest.as_slice() >= start && table.smallest.as_slice() < end
        };
        let heads = tables.iter().filter(meets).map(|table| {
            Reverse(Head {
                key: table.smallest.as_slice().max(start).to_vec(),
                number: u64::MAX,
                source: Source::Closed(table),
            })
        });
        let heads = heads.collect();
        let mut entries = Self {
            folder,
            logs: within(&memory.0, start, end),
            start: start.to_vec(),
            end: end.to_vec(),
            heads,
            last: None,
            damages: Vec::new(),
        };
        entries.push_logs();
        entries
    }

    fn push_logs(&mut self) {
        if let Some((key, newest)) = self.logs.next() {
            self.push(newest.of(key), Source::Logs);
        }
    }

    fn push(&mut self, entry: TableEntry, source: impl FnOnce(TableEntry) -> Source<'a>) {
        self.heads.push(Reverse(Head {
            key: entry.0.user.clone(),
            number: entry.0.number,
            source: source(entry),
        }));
    }

    /// Has the next entry of `table` take part, unless it is behind the range.
    fn push_table(&mut self, mut table: Box<Table>) {
        loop {
            match table.next() {
                Some(Ok((key, _))) if key.user < self.start => {}
                Some(Ok(entry)) => {
                    if entry.0.user < self.end {
                        self.push(entry, |entry| Source::Open(table, entry));
                    }
                    return;
                }
                Some(Err(damage)) => self.damages.push(damage),
                None => return,
            }
        }
    }

    /// Takes the entry of the least key, and returns it if it is the newest of its key and no deletion.
    fn step(&mut self, source: Source<'a>) -> Option<(Vec<u8>, Vec<u8>)> {
        let (key, value) = match source {
            Source::Closed(table) => {
                match Table::open(self.folder, table, &self.start) {
                    Ok(table) => self.push_table(Box::new(table)),
                    Err(damage) => self.damages.push(damage),
                }
                return None;
            }
            Source::Open(table, entry) => {
                self.push_table(table);
                entry
            }
            Source::Logs(entry) => {
                self.push_logs();
                entry
            }
        };
        let is_new = self.last.as_ref() != Some(&key.user);
        self.last = Some(key.user.clone());
        (is_new && key.change == Change::Put).then_some((key.user, value))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(damage) = self.damages.pop() {
                return Some(Err(damage));
            }
            let Reverse(head) = self.heads.pop()?;
            if let Some(found) = self.step(head.source) {
                return Some(Ok(found));
            }
        }
    }
}

fn within<'a>(
    memory: &'a BTreeMap<Vec<u8>, Newest>,
    start: &[u8],
    end: &[u8],
) -> btree_map::Range<'a, Vec<u8>, Newest> {
    let end = end.max(start);
    memory.range::<[u8], _>((Bound::Included(start), Bound::Excluded(end)))
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.key.cmp(&other.key);
        by_key.then_with(|| other.number.cmp(&self.number))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head<'_> {}
