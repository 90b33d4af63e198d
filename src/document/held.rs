//! Updates that wait for what they depend on.

use std::collections::BTreeMap;

use super::plan::Rest;
use super::ranges::Ranges;
use super::update::Id;
use crate::id::ClientId;

/// What is left of updates that could not be integrated whole, by arrival.
#[derive(Debug, Default)]
pub(super) struct Held {
    updates: BTreeMap<u64, (Vec<u8>, Vec<Id>)>,
    /// Which of them each awaited element may set free.
    waits: BTreeMap<Id, Vec<u64>>,
    next: u64,
    bytes: usize,
    /// All that is held. What was held and then integrated may stay in here,
    /// because nobody asks about elements that are known.
    blocks: Ranges,
    deletes: Ranges,
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
        self.updates.values().map(|(bytes, _)| bytes.as_slice())
    }

    /// Whether all of `rest` is held already.
    pub(super) fn covers(&self, rest: &Rest) -> bool {
        self.blocks.covers(&rest.blocks) && self.deletes.covers(&rest.deletes)
    }

    pub(super) fn add(&mut self, rest: Rest) {
        self.bytes += rest.bytes.len();
        self.blocks.extend(&rest.blocks);
        self.deletes.extend(&rest.deletes);
        for id in &rest.waits {
            self.waits.entry(*id).or_default().push(self.next);
        }
        self.updates.insert(self.next, (rest.bytes, rest.waits));
        self.next += 1;
    }

    /// Takes out an update that waits for an element of `client` before `clock`.
    pub(super) fn take(&mut self, client: ClientId, clock: u32) -> Option<Vec<u8>> {
        let awaited = Id { client, clock: 0 }..Id { client, clock };
        let key = *self.waits.range(awaited).next()?.1.first()?;
        let (bytes, waits) = self.updates.remove(&key)?;
        for id in waits {
            if let Some(keys) = self.waits.get_mut(&id) {
                keys.retain(|other| *other != key);
                if keys.is_empty() {
                    self.waits.remove(&id);
                }
            }
        }
        self.bytes -= bytes.len();
        if self.updates.is_empty() {
            *self = Self::default();
        }
        Some(bytes)
    }
}
