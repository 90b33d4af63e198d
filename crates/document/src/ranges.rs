//! Sets of elements as ranges of clocks, such as the deletions of an update.

use std::collections::BTreeMap;
use std::ops::Range;

use super::lib0::write_var;
use super::update::{CLOCK_MAX, Id};
use crate::ClientId;

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
        while let Some((id, last)) = self
            .last_from(client, end)
            .filter(|(_, last)| *last >= start)
        {
            self.ends.remove(&id);
            start = start.min(id.clock);
            end = end.max(last);
        }
        self.ends.insert(
            Id {
                client,
                clock: start,
            },
            end,
        );
    }

    /// Adds all of `other`.
    pub(super) fn extend(&mut self, other: &Ranges) {
        for (client, range) in other.iter() {
            self.add(client, range);
        }
    }

    /// Removes all of `other`.
    pub(super) fn remove(&mut self, other: &Ranges) {
        for (client, range) in other.iter() {
            while let Some((id, end)) = self
                .last_from(client, range.end - 1)
                .filter(|(_, end)| *end > range.start)
            {
                self.ends.remove(&id);
                if end > range.end {
                    self.ends.insert(
                        Id {
                            client,
                            clock: range.end,
                        },
                        end,
                    );
                }
                if id.clock < range.start {
                    self.ends.insert(id, range.start);
                }
            }
        }
    }

    /// Whether some of `range` is in this.
    pub(super) fn meets(&self, client: ClientId, range: Range<u32>) -> bool {
        self.last_from(client, range.end - 1)
            .is_some_and(|(_, end)| end > range.start)
    }

    /// Whether all of `range` is in this.
    pub(super) fn covers(&self, client: ClientId, range: &Range<u32>) -> bool {
        self.last_from(client, range.start)
            .is_some_and(|(_, end)| end >= range.end)
    }

    /// The end of the range that begins at `clock` or before it (0 if there is none), and the
    /// start of the one behind it (`u32::MAX` if there is none).
    pub(super) fn around(&self, client: ClientId, clock: u32) -> (u32, u32) {
        let before = self.last_from(client, clock).map_or(0, |(_, end)| end);
        let next = Id {
            client,
            clock: clock.saturating_add(1),
        };
        let end = Id {
            client,
            clock: u32::MAX,
        };
        let behind = self.ends.range(next..=end).next();
        (before, behind.map_or(u32::MAX, |(id, _)| id.clock))
    }

    /// Takes out the elements in `range`.
    pub(super) fn take(&mut self, client: ClientId, range: Range<u32>) -> Self {
        let mut taken = Self::default();
        while let Some((id, end)) = self
            .last_from(client, range.end - 1)
            .filter(|(_, end)| *end > range.start)
        {
            let part = id.clock.max(range.start)..end.min(range.end);
            let mut only = Self::default();
            only.add(client, part);
            self.remove(&only);
            taken.extend(&only);
        }
        taken
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All ranges, by client and clock.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClientId, Range<u32>)> {
        self.ends
            .iter()
            .map(|(id, end)| (id.client, id.clock..*end))
    }

    /// Writes them as the delete set of an update, higher clients first.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_deletes(&self.iter().collect::<Vec<_>>(), out);
    }

    /// The last range of `client` that begins at or before `clock`, with its end.
    fn last_from(&self, client: ClientId, clock: u32) -> Option<(Id, u32)> {
        let clock = clock.min(CLOCK_MAX);
        let (id, end) = self
            .ends
            .range(Id { client, clock: 0 }..=Id { client, clock })
            .next_back()?;
        Some((*id, *end))
    }
}

/// Writes `ranges`, which rise by client and clock, as the delete set of an update, higher clients
/// first.
pub(super) fn write_deletes(ranges: &[(ClientId, Range<u32>)], out: &mut Vec<u8>) {
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
        let joined = ranges(&[
            (1, 4..6),
            (1, 0..2),
            (2, 0..9),
            (1, 8..9),
            (1, 2..5),
            (1, 6..7),
        ]);
        assert_eq!(joined, ranges(&[(1, 0..7), (1, 8..9), (2, 0..9)]));
        assert_eq!(joined.iter().count(), 3);
        assert_eq!(
            ranges(&[(1, 3..4), (1, 7..9), (1, 0..10)]),
            ranges(&[(1, 0..10)])
        );
    }

    #[test]
    fn elements_that_are_removed_leave_the_others() {
        let mut some = ranges(&[(1, 0..10), (1, 12..14), (2, 0..4)]);
        some.remove(&ranges(&[(1, 3..5), (1, 9..13), (3, 0..9)]));
        assert_eq!(
            some,
            ranges(&[(1, 0..3), (1, 5..9), (1, 13..14), (2, 0..4)])
        );
        some.remove(&some.clone());
        assert!(some.is_empty());
    }

    #[test]
    fn ranges_that_are_taken_out_are_split_at_the_ends() {
        let mut some = ranges(&[(1, 0..4), (1, 6..8), (1, 9..12), (2, 0..9)]);
        assert_eq!(
            some.take(1, 2..10),
            ranges(&[(1, 2..4), (1, 6..8), (1, 9..10)])
        );
        assert_eq!(some, ranges(&[(1, 0..2), (1, 10..12), (2, 0..9)]));
        assert!(some.take(1, 2..10).is_empty());
    }

    #[test]
    fn a_set_gives_the_ranges_around_a_clock() {
        let some = ranges(&[(1, 2..4), (1, 6..8)]);
        assert_eq!(some.around(1, 5), (4, 6));
        assert_eq!(some.around(1, 0), (0, 2));
        assert_eq!(some.around(1, 9), (8, u32::MAX));
        assert_eq!(some.around(2, 5), (0, u32::MAX));
        assert!(some.meets(1, 3..6) && some.meets(1, 5..7) && !some.meets(1, 4..6));
        assert!(!some.meets(2, 0..9));
    }
}
