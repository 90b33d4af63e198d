//! What waits for something that is missing, by what it waits for.
//!
//! Blocks are held one by one, each as an update of its own, and each waits for
//! one element at a time; deletions are held by what they delete. So what
//! arrives costs as much as it sets free, however much is held besides.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ranges::Ranges;
use super::update::Id;
use crate::ClientId;

/// The blocks and deletions that wait. No element is made by two of the blocks.
#[derive(Debug, Default)]
pub(super) struct Held {
    blocks: BTreeMap<Id, HeldBlock>,
    /// Each awaited element, with a block that it may set free.
    awaited: BTreeSet<(Id, Id)>,
    deletes: Ranges,
    /// How many blocks are left of each update.
    updates: HashMap<u64, usize>,
    bytes: usize,
}

/// One block that waits.
#[derive(Debug)]
pub(super) struct HeldBlock {
    /// Which update brought it; for counting.
    pub(super) update: u64,
    /// The first element that it makes.
    pub(super) id: Id,
    /// The clock after the last one.
    pub(super) end: u32,
    /// An update of this block alone.
    pub(super) bytes: Vec<u8>,
    /// The element that it waits for. `None` if nothing will set it free, as it
    /// cannot be taken in.
    pub(super) waits: Option<Id>,
}

/// What a deleted range counts as, in bytes.
const RANGE_BYTES: usize = 8;

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.deletes.is_empty()
    }

    /// The number of updates that are held, at least in part. Deletions count as one.
    pub(super) fn len(&self) -> usize {
        self.updates.len() + usize::from(!self.deletes.is_empty())
    }

    /// Their size in all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.deletes.len() * RANGE_BYTES
    }

    /// The blocks, each as an update of its own.
    pub(super) fn updates(&self) -> impl Iterator<Item = &[u8]> {
        self.blocks.values().map(|block| block.bytes.as_slice())
    }

    /// The elements that held updates delete.
    pub(super) fn deletes(&self) -> &Ranges {
        &self.deletes
    }

    /// The held blocks that make an element of `client` from `clock` up to `end`.
    pub(super) fn meeting(
        &self,
        client: ClientId,
        clock: u32,
        end: u32,
    ) -> impl Iterator<Item = &HeldBlock> {
        let first = Id { client, clock: 0 };
        let before = self.blocks.range(first..Id { client, clock }).next_back();
        let before = before.filter(move |(_, block)| block.end > clock);
        let within = self
            .blocks
            .range(Id { client, clock }..Id { client, clock: end });
        before.into_iter().chain(within).map(|(_, block)| block)
    }

    /// Holds `block`, which makes nothing that is held already.
    pub(super) fn add(&mut self, block: HeldBlock) {
        self.bytes += block.bytes.len();
        *self.updates.entry(block.update).or_default() += 1;
        if let Some(id) = block.waits {
            self.awaited.insert((id, block.id));
        }
        self.blocks.insert(block.id, block);
    }

    /// Holds deletions.
    pub(super) fn delete(&mut self, deletes: &Ranges) {
        self.deletes.extend(deletes);
    }

    /// Takes out the blocks that may be free now that the elements of `client` are
    /// known up to `clock`, and those whose own elements are.
    pub(super) fn take_blocks(&mut self, client: ClientId, clock: u32) -> Vec<HeldBlock> {
        let mut taken = Vec::new();
        let until = Id { client, clock: 0 }..Id { client, clock };
        let nothing = Id {
            client: 0,
            clock: 0,
        };
        let awaited = (until.start, nothing)..(until.end, nothing);
        while let Some((_, waiting)) = self.awaited.range(awaited.clone()).next().copied() {
            taken.extend(self.take(waiting));
        }
        while let Some((id, _)) = self.blocks.range(until.clone()).next() {
            let id = *id;
            taken.extend(self.take(id));
        }
        taken
    }

    /// Takes out the deletions of the elements `from..to` of `client`.
    pub(super) fn take_deletes(&mut self, client: ClientId, from: u32, to: u32) -> Ranges {
        match from < to && !self.deletes.is_empty() {
            true => self.deletes.take(client, from..to),
            false => Ranges::default(),
        }
    }

    fn take(&mut self, id: Id) -> Option<HeldBlock> {
        let block = self.blocks.remove(&id)?;
        self.bytes -= block.bytes.len();
        if let Some(left) = self.updates.get_mut(&block.update) {
            *left -= 1;
            if *left == 0 {
                self.updates.remove(&block.update);
            }
        }
        if let Some(awaited) = block.waits {
            self.awaited.remove(&(awaited, id));
        }
        Some(block)
    }
}
