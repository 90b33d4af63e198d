//! Sets of elements, as ranges of clocks.

use std::collections::BTreeMap;
use std::ops::Range;

use super::lib0::write_var;
use super::update::{CLOCK_MAX, Id};
use crate::id::ClientId;

/// A set of elements. Its ranges never touch one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    /// From the first element of each range to its exclusive end.
    ends: BTreeMap<Id, u32>,
}

impl Ranges {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds `range`, which is not empty, of `client`.
    pub(super) fn add(&mut self, client: ClientId, range: Range<u32>) {
        let (mut start, mut end) = (range.start, range.end);
        // Whatever begins before the end and reaches the start becomes part of it.
        while let Some((id, last)) = self.last_from(client, end).filter(|(_, last)| *last >= start)
        {
            self.ends.remove(&id);
            start = start.min(id.clock);
            end = end.max(last);
        }
        self.ends.insert(Id { client, clock: start }, end);
    }

    /// Adds all of `other`.
    pub(super) fn extend(&mut self, other: &Ranges) {
        for (client, range) in other.iter() {
            self.add(client, range);
        }
    }

    /// Whether all of `other` is in this.
    pub(super) fn covers(&self, other: &Ranges) -> bool {
        other.iter().all(|(client, range)| {
            self.last_from(client, range.start).is_some_and(|(_, end)| end >= range.end)
        })
    }

    /// All ranges, by client and clock.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClientId, Range<u32>)> {
        self.ends.iter().map(|(id, end)| (id.client, id.clock..*end))
    }

    /// Writes them as the delete set of an update, higher clients first.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let ranges: Vec<_> = self.iter().collect();
        let clients = ranges.chunk_by(|a, b| a.0 == b.0);
        write_var(out, clients.clone().count() as u64);
        for ranges in clients.rev() {
            write_var(out, ranges[0].0);
            write_var(out, ranges.len() as u64);
            for (_, range) in ranges {
                write_var(out, range.start.into());
                write_var(out, (range.end - range.start).into());
            }
        }
    }

    /// The last range of `client` that begins at or before `clock`, with its end.
    fn last_from(&self, client: ClientId, clock: u32) -> Option<(Id, u32)> {
        let clock = clock.min(CLOCK_MAX);
        let (id, end) =
            self.ends.range(Id { client, clock: 0 }..=Id { client, clock }).next_back()?;
        Some((*id, *end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(of: &[(u64, Range<u32>)]) -> Ranges {
        let mut ranges = Ranges::default();
        for (client, range) in of {
            ranges.add(*client, range.clone());
        }
        ranges
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let joined = ranges(&[(1, 4..6), (1, 0..2), (2, 0..9), (1, 8..9), (1, 2..5), (1, 6..7)]);
        assert_eq!(joined, ranges(&[(1, 0..7), (1, 8..9), (2, 0..9)]));
        assert_eq!(joined.iter().count(), 3);
        assert_eq!(ranges(&[(1, 3..4), (1, 7..9), (1, 0..10)]), ranges(&[(1, 0..10)]));
    }

    #[test]
    fn a_set_covers_its_parts_and_nothing_else() {
        let whole = ranges(&[(1, 0..7), (1, 8..9)]);
        assert!(whole.covers(&ranges(&[(1, 2..7), (1, 8..9)])));
        assert!(whole.covers(&Ranges::default()));
        for other in [(1, 6..8), (1, 7..8), (2, 0..1), (1, 8..10)] {
            assert!(!whole.covers(&ranges(&[other])));
        }
    }
}
