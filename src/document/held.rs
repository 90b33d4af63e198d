//! Updates that wait for what they depend on.

use std::collections::BTreeMap;

use super::plan::Rest;
use super::ranges::Ranges;
use super::update::Id;
use crate::id::ClientId;

/// What is left of updates that could not be integrated whole, by arrival.
///
/// No element is in two of them, so that each can be saved: of two blocks that
/// claim the same elements the first one counts, as everywhere.
#[derive(Debug, Default)]
pub(super) struct Held {
    updates: BTreeMap<u64, Rest>,
    /// Which of them each awaited element may set free.
    waits: BTreeMap<Id, Vec<u64>>,
    next: u64,
    bytes: usize,
    made: Ranges,
    deleted: Ranges,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// The number of updates.
    pub(super) fn len(&self) -> usize {
        self.updates.len()
    }

    /// Their size in all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The updates, by arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.updates.values().map(|rest| rest.bytes.as_slice())
    }

    /// The elements that held updates make.
    pub(super) fn made(&self) -> &Ranges {
        &self.made
    }

    /// The elements that held updates delete.
    pub(super) fn deleted(&self) -> &Ranges {
        &self.deleted
    }

    /// Holds `rest`, which makes and deletes nothing that is held already.
    pub(super) fn add(&mut self, rest: Rest) {
        self.bytes += rest.bytes.len();
        self.made.extend(&rest.made);
        self.deleted.extend(&rest.deleted);
        for id in &rest.waits {
            self.waits.entry(*id).or_default().push(self.next);
        }
        self.updates.insert(self.next, rest);
        self.next += 1;
    }

    /// Takes out an update that waits for an element of `client` before `clock`.
    pub(super) fn take(&mut self, client: ClientId, clock: u32) -> Option<Vec<u8>> {
        let awaited = Id { client, clock: 0 }..Id { client, clock };
        let key = *self.waits.range(awaited).next()?.1.first()?;
        let rest = self.updates.remove(&key)?;
        for id in rest.waits {
            if let Some(keys) = self.waits.get_mut(&id) {
                keys.retain(|other| *other != key);
                if keys.is_empty() {
                    self.waits.remove(&id);
                }
            }
        }
        self.made.remove(&rest.made);
        self.deleted.remove(&rest.deleted);
        self.bytes -= rest.bytes.len();
        Some(rest.bytes)
    }
}
