//! Blocks and deletions that are pending, by the element that is missing.
//!
//! Blocks are kept one by one, each as an update of its own, and each with one
//! missing element at a time; deletions are kept by the elements that they delete. So an
//! update costs as much as it releases, however much else is pending.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ranges::Ranges;
use super::update::Id;
use crate::ClientId;

/// The blocks and deletions that are pending. No two of the blocks have an element in common.
#[derive(Debug, Default)]
pub(super) struct Pending {
    blocks: BTreeMap<Id, PendingBlock>,
    /// Each missing element, with the block that it may release.
    missing: BTreeSet<(Id, Id)>,
    deletes: Ranges,
    /// How many blocks of each update are still pending.
    updates: HashMap<u64, usize>,
    bytes: usize,
}

/// One block that is pending.
#[derive(Debug)]
pub(super) struct PendingBlock {
    /// The number of the update that brought it; for counting.
    pub(super) update: u64,
    /// Its first element.
    pub(super) id: Id,
    /// The clock after its last element.
    pub(super) end: u32,
    /// An update of this block alone.
    pub(super) bytes: Vec<u8>,
    /// The missing element. `None` if the block stays pending for ever, because it cannot be
    /// integrated.
    pub(super) missing: Option<Id>,
}

/// How much a pending deletion counts, in bytes.
const RANGE_BYTES: usize = 8;

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.deletes.is_empty()
    }

    /// The number of updates that are pending, in part or as a whole. Deletions count as one.
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

    /// The deletions.
    pub(super) fn deletes(&self) -> &Ranges {
        &self.deletes
    }

    /// The blocks with an element of `client` from `clock` up to `end`.
    pub(super) fn overlapping(
        &self,
        client: ClientId,
        clock: u32,
        end: u32,
    ) -> impl Iterator<Item = &PendingBlock> {
        let first = Id { client, clock: 0 };
        let before = self.blocks.range(first..Id { client, clock }).next_back();
        let before = before.filter(move |(_, block)| block.end > clock);
        let within = self
            .blocks
            .range(Id { client, clock }..Id { client, clock: end });
        before.into_iter().chain(within).map(|(_, block)| block)
    }

    /// Adds `block`, none of whose elements is pending already.
    pub(super) fn add(&mut self, block: PendingBlock) {
        self.bytes += block.bytes.len();
        *self.updates.entry(block.update).or_default() += 1;
        if let Some(id) = block.missing {
            self.missing.insert((id, block.id));
        }
        self.blocks.insert(block.id, block);
    }

    /// Adds deletions.
    pub(super) fn add_deletes(&mut self, deletes: &Ranges) {
        self.deletes.extend(deletes);
    }

    /// Takes out the blocks that may be integrated now that the document has the elements of
    /// `client` up to `clock`, and those blocks whose own elements it has.
    pub(super) fn take_blocks(&mut self, client: ClientId, clock: u32) -> Vec<PendingBlock> {
        let mut taken = Vec::new();
        let until = Id { client, clock: 0 }..Id { client, clock };
        let nothing = Id {
            client: 0,
            clock: 0,
        };
        let missing = (until.start, nothing)..(until.end, nothing);
        while let Some((_, block)) = self.missing.range(missing.clone()).next().copied() {
            taken.extend(self.take(block));
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

    fn take(&mut self, id: Id) -> Option<PendingBlock> {
        let block = self.blocks.remove(&id)?;
        self.bytes -= block.bytes.len();
        if let Some(left) = self.updates.get_mut(&block.update) {
            *left -= 1;
            if *left == 0 {
                self.updates.remove(&block.update);
            }
        }
        if let Some(missing) = block.missing {
            self.missing.remove(&(missing, id));
        }
        Some(block)
    }
}
