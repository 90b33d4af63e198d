//! Which part of an update a document can take now, and what the rest waits for.
//!
//! yrs has a store of its own for what it cannot integrate yet. It is not used:
//! it writes the bytes anew, takes blocks beyond a hole apart from those before
//! it, and could be poisoned so that nothing can be encoded any more. Here an
//! update is cut on its bytes instead, and yrs gets only what depends on
//! nothing that is missing.

use std::collections::{BTreeMap, BTreeSet};

use super::held::Held;
use super::known::{Known, Staged};
use super::lib0::Malformed;
use super::merge::{collect, write_update};
use super::ranges::Ranges;
use super::update::{Block, GC, Id, Place, Run, TYPE};
use crate::id::ClientId;

/// An update, cut in two.
pub(super) struct Cut {
    /// The part that is ready; `None` if that is the update as it stands.
    pub(super) ready: Option<Vec<u8>>,
    /// The part that is not.
    pub(super) rest: Option<Rest>,
    /// How far each client gets by what is ready.
    pub(super) reached: BTreeMap<ClientId, u32>,
    /// How deep what is ready lies.
    pub(super) staged: Staged,
    /// Some of the rest would lie too deep.
    pub(super) too_deep: bool,
}

/// What is left of an update.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) bytes: Vec<u8>,
    /// If one of these elements becomes known, it is worth another try.
    pub(super) waits: Vec<Id>,
    /// The elements that it makes.
    pub(super) made: Ranges,
    /// The elements that it deletes.
    pub(super) deleted: Ranges,
}

/// Cuts the update `bytes`. What of the rest is in `held` already is left out.
/// `is_type` tells of a known element whether it is a type that still has its
/// content.
///
/// # Errors
/// If the bytes would not pass [`validate`](super::validate()).
pub(super) fn cut(
    bytes: &[u8],
    known: &Known,
    held: &Held,
    is_type: impl Fn(Id) -> bool,
) -> Result<Cut, Malformed> {
    let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
    collect(bytes, &mut blocks, &mut deletes)?;
    let mut plan = Plan {
        known,
        is_type,
        ready: Vec::new(),
        reached: BTreeMap::new(),
        types: BTreeSet::new(),
        staged: Staged::default(),
        changed: false,
        too_deep: false,
    };
    let (rest, mut waits) = plan.cut_blocks(&blocks);
    let (ready_deletes, rest_deletes) = plan.cut_deletes(&deletes, &mut waits);
    let whole = rest.is_empty() && rest_deletes.is_empty();
    let Plan {
        ready,
        reached,
        staged,
        changed,
        too_deep,
        ..
    } = plan;
    let ready = (!whole || changed).then(|| write_update(ready, &ready_deletes));
    let rest = Rest::new(rest, rest_deletes, waits, held);
    Ok(Cut {
        ready,
        rest,
        reached,
        staged,
        too_deep,
    })
}

impl Rest {
    fn new(
        blocks: Vec<Block<'_>>,
        mut deleted: Ranges,
        waits: Vec<Id>,
        held: &Held,
    ) -> Option<Self> {
        let mut parts = Vec::with_capacity(blocks.len());
        let mut made = Ranges::default();
        for block in blocks {
            let Id { client, clock } = block.id;
            for part in held.made().gaps(client, clock..block.end()) {
                parts.push(block.tail(part.start - clock).head(part.end - part.start));
                made.add(client, part);
            }
        }
        deleted.remove(held.deleted());
        let none = parts.is_empty() && deleted.is_empty();
        (!none).then(|| Self {
            bytes: write_update(parts, &deleted),
            waits,
            made,
            deleted,
        })
    }
}

struct Plan<'a, F> {
    known: &'a Known,
    is_type: F,
    /// In an order in which each block finds what it depends on.
    ready: Vec<Block<'a>>,
    reached: BTreeMap<ClientId, u32>,
    /// The types among `ready`.
    types: BTreeSet<Id>,
    staged: Staged,
    /// A block has become another than in the bytes.
    changed: bool,
    too_deep: bool,
}

impl<'a, F: Fn(Id) -> bool> Plan<'a, F> {
    fn reached(&self, client: ClientId) -> u32 {
        self.reached
            .get(&client)
            .copied()
            .unwrap_or_else(|| self.known.clock(client))
    }

    /// Goes through each client's blocks as far as they depend on what is
    /// known. Where one waits for another client, it goes on as soon as that
    /// one has got there; so each block is looked at a few times at most.
    /// Returns the blocks that are left, and what they wait for.
    fn cut_blocks(&mut self, blocks: &[Block<'a>]) -> (Vec<Block<'a>>, Vec<Id>) {
        let mut queues: Vec<&[Block<'a>]> =
            blocks.chunk_by(|a, b| a.id.client == b.id.client).collect();
        let mut open: Vec<usize> = (0..queues.len()).collect();
        let mut blocked: BTreeMap<Id, Vec<usize>> = BTreeMap::new();
        while let Some(at) = open.pop() {
            let Some(client) = queues[at].first().map(|block| block.id.client) else {
                continue;
            };
            if let Some(need) = self.pass(&mut queues[at]) {
                blocked.entry(need).or_default().push(at);
            }
            let (first, end) = (
                Id { client, clock: 0 },
                Id {
                    client,
                    clock: self.reached(client),
                },
            );
            while let Some((id, _)) = blocked.range(first..end).next() {
                let id = *id;
                open.extend(blocked.remove(&id).unwrap_or_default());
            }
        }
        let mut waits: Vec<_> = blocked.into_keys().collect();
        let mut rest = Vec::new();
        for queue in queues.into_iter().filter(|queue| !queue.is_empty()) {
            let first = queue[0];
            let known = self.reached(first.id.client).saturating_sub(first.id.clock);
            let first = first.tail(known);
            // It may also become known by another update.
            waits.push(first.id);
            rest.push(first);
            rest.extend_from_slice(&queue[1..]);
        }
        (rest, waits)
    }

    /// Takes from the front of `queue` what is ready. Returns what the next
    /// block waits for, if it waits.
    fn pass(&mut self, queue: &mut &[Block<'a>]) -> Option<Id> {
        while let Some((block, behind)) = queue.split_first() {
            let client = block.id.client;
            let clock = self.reached(client);
            if block.end() > clock {
                if block.id.clock > clock {
                    return Some(Id { client, clock });
                }
                let block = block.tail(clock - block.id.clock);
                let missing = |need: &Id| need.clock >= self.reached(need.client);
                if let Some(need) = block.place.needs().find(missing) {
                    return Some(need);
                }
                if !self.take(block) {
                    return None;
                }
            }
            *queue = behind;
        }
        None
    }

    /// Takes `block`, unless it lies too deep.
    fn take(&mut self, mut block: Block<'a>) -> bool {
        match block.place {
            // Its parent was collected, or never was a type. In Yjs it is
            // collected too; yrs would fail halfway if it is no type.
            Place::Inside(parent) if !self.types.contains(&parent) && !(self.is_type)(parent) => {
                (block.info, block.place) = (GC, Place::Root);
                self.changed = true;
            }
            _ if block.kind() == TYPE => {
                self.types.insert(block.id);
            }
            _ => {}
        }
        if self
            .staged
            .note(
                self.known,
                Run {
                    id: block.id,
                    place: block.place,
                },
            )
            .is_err()
        {
            self.too_deep = true;
            return false;
        }
        self.changed |= block.trimmed > 0;
        self.reached.insert(block.id.client, block.end());
        self.ready.push(block);
        true
    }

    /// Returns the deletions of what is known or ready, and those of the rest.
    fn cut_deletes(&self, deletes: &Ranges, waits: &mut Vec<Id>) -> (Ranges, Ranges) {
        let (mut ready, mut rest) = (Ranges::default(), Ranges::default());
        for (client, range) in deletes.iter() {
            let known = self.reached(client);
            if range.start < known {
                ready.add(client, range.start..range.end.min(known));
            }
            if range.end > known {
                let clock = range.start.max(known);
                rest.add(client, clock..range.end);
                waits.push(Id { client, clock });
            }
        }
        (ready, rest)
    }
}
