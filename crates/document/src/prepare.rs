//! Finds out what of an update a document can integrate, before anything is changed.

use std::ops::Range;
use std::time::Duration;

use smallvec::SmallVec;

use super::clocks::Shape;
use super::cut::{Context, Cut};
use super::lib0::malformed;
use super::merge::collect;
use super::parts::{Ready, ready, written};
use super::pending::PendingBlock;
use super::ranges::Ranges;
use super::replica::decode;
use super::staged::{Source, Staged};
use super::update::{Block, Extent, Id, Part, read};
use super::{
    Advance, ApplyError, CLIENT_BYTES, Checked, Document, ITEM_BYTES, PARENT_BYTES, PENDING_FACTOR,
    StateVector, Visibility, compare, cost,
};
use crate::ClientId;

/// A pending block, and the element that is missing.
type BlockAndMissing<'a> = (Block<'a>, Option<Id>);

/// Deletions that do not overlap.
type Deletes = SmallVec<[(ClientId, Range<u32>); 1]>;

/// An update that a document can integrate, cut to its new part.
#[derive(Debug)]
pub struct Prepared {
    pub(super) ready: Ready,
    /// The pending part, block by block …
    pub(super) pending_blocks: Vec<PendingBlock>,
    pub(super) pending_deletes: Ranges,
    /// … and as one update.
    pub(super) pending: Option<Vec<u8>>,
    /// The clocks of clients afterwards.
    pub(super) reached: SmallVec<[(ClientId, u32); 1]>,
    pub(super) deletes: Deletes,
    pub(super) staged: Staged,
    pub(super) visibility: Visibility,
    pub(super) cost: Duration,
    /// How much of the cost each opening of the document may cost again.
    pub(super) recurring: Duration,
    bytes: usize,
    new_clients: usize,
}

impl Prepared {
    /// How long applying it may take at most, beyond what its length takes.
    pub fn cost(&self) -> Duration {
        self.cost
    }

    /// Whether everybody will see all of the update.
    pub fn visibility(&self) -> Visibility {
        self.visibility
    }

    /// Whether it is the update as it is.
    pub fn is_whole(&self) -> bool {
        matches!(self.ready, Ready::Whole)
    }

    /// Whether nothing in it is new.
    pub fn is_nothing(&self) -> bool {
        matches!(self.ready, Ready::Nothing) && self.pending.is_none()
    }

    /// By about how many bytes the document grows in memory, at most.
    pub fn memory_bytes(&self) -> usize {
        let ready = self.staged.items() + 2 * self.deletes.len();
        let pending = self.pending.as_ref().map_or(0, Vec::len);
        self.bytes
            + ready * ITEM_BYTES
            + self.staged.parents() * PARENT_BYTES
            + self.new_clients * CLIENT_BYTES
            + pending * PENDING_FACTOR
    }
}

impl Document {
    /// The update as it is, if it has few parts, all of them new, and no dependency is missing.
    pub(super) fn prepare_whole(
        &self,
        bytes: &[u8],
        checked: &Checked,
        allowed: &impl Fn(ClientId) -> u32,
    ) -> Option<Prepared> {
        let new = |advance: &Advance| {
            advance.from == self.clocks.clock(advance.client)
                && advance.to <= allowed(advance.client)
        };
        let exists = |(client, clock): &(ClientId, u32)| {
            *clock <= self.clocks.clock(*client)
                // A deleted element may be made by the same update.
                || matches!(checked.advances[..], [Advance { client: only, to, .. }]
                    if only == *client && *clock <= to)
        };
        let ready = !checked.needs_full_read
            && checked.advances.iter().all(new)
            && checked.dependencies.iter().all(exists)
            && checked
                .parents
                .iter()
                .all(|parent| self.replica.is_type(*parent));
        if !ready {
            return None;
        }
        let (mut staged, mut recurring_ns) = (Staged::default(), 0);
        let splits = checked
            .dependencies
            .iter()
            .map(|(client, _)| cost::of_any_split(&self.clocks, *client));
        let own = checked
            .advances
            .iter()
            .map(|by| cost::of_any_split(&self.clocks, by.client));
        let parts = 2 * (checked.runs.len() + checked.deleted.len()) as u64;
        let mut cost_ns = parts * splits.chain(own).max().unwrap_or(0);
        // Only where that would be much, each split is looked at.
        let exact = cost_ns > cost::CHEAP_MAX.as_nanos() as u64;
        if exact {
            cost_ns = 0;
        }
        for run in &checked.runs {
            let site = staged.site(&self.clocks, *run, Source::Client).ok()?;
            let splits = site.shape == Shape::Key && run.extent == Extent::Several;
            let here = |id: Id| {
                let made = |by: &Advance| by.client == id.client && id.clock >= by.from;
                checked.advances.iter().any(made)
            };
            if splits
                || site
                    .within
                    .is_some_and(|id| !here(id) && !self.replica.is_type(id))
            {
                return None;
            }
            let passed = staged.add(&self.clocks, *run, site);
            cost_ns += match exact {
                true => cost::of_block(&self.clocks, *run, passed),
                false => cost::of_passing(passed),
            };
            recurring_ns += cost::of_passing(passed);
        }
        for (at, (client, range)) in checked.deleted.iter().enumerate() {
            let meets = |(other, earlier): &(ClientId, Range<u32>)| {
                other == client && earlier.start < range.end && range.start < earlier.end
            };
            let repeated = self.clocks.deleted().meets(*client, range.clone())
                || checked.deleted[..at].iter().any(meets);
            if repeated {
                return None;
            }
            if exact {
                cost_ns += cost::of_delete(&self.clocks, *client, range);
            }
        }
        let cost = Duration::from_nanos(cost_ns + cost::of_steps(staged.steps));
        if cost > cost::UNTRIED_MAX {
            return None;
        }
        let advanced = checked.advances.iter();
        Some(Prepared {
            ready: Ready::Whole,
            pending_blocks: Vec::new(),
            pending_deletes: Ranges::default(),
            pending: None,
            reached: advanced.map(|by| (by.client, by.to)).collect(),
            deletes: checked.deleted.clone(),
            staged,
            visibility: Visibility::Visible,
            cost,
            recurring: Duration::from_nanos(recurring_ns),
            bytes: bytes.len(),
            new_clients: checked.advances.iter().filter(|by| by.from == 0).count(),
        })
    }

    /// The part of the update that can be integrated, and the part that is pending.
    pub(super) fn prepare_cut(
        &self,
        bytes: &[u8],
        source: Source,
        allowed: impl Fn(ClientId) -> u32,
    ) -> Result<Prepared, ApplyError> {
        if source == Source::Client && self.deletes_too_much(bytes) {
            return Err(ApplyError::TooCostly);
        }
        let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
        collect(bytes, &mut blocks, &mut deletes).map_err(|_| ApplyError::Undecodable)?;
        let context = Context {
            clocks: &self.clocks,
            pending: &self.pending,
            is_type: |id| self.replica.is_type(id),
            allowed,
        };
        let cut = Cut::of(&blocks, &deletes, source, &context);
        if source == Source::Client {
            if let Some(fault) = cut.fault {
                return Err(fault.into());
            }
            self.check_repeated(&cut.repeated)?;
        }
        let (blocks, overlap) = self.without_pending(&cut.pending, source)?;
        let is_pending = cut.is_restricted || cut.repeats_pending || overlap || !blocks.is_empty();
        let pending = match blocks.is_empty() && cut.pending_deletes.is_empty() {
            true => None,
            false => Some(written(
                blocks.iter().map(|(block, _)| *block),
                &cut.pending_deletes,
            )?),
        };
        if let Some(update) = &pending {
            // It has to be sure now that it can be integrated later.
            decode(update)?;
            if source == Source::Client && !self.has_room(update.len()) {
                return Err(ApplyError::PendingFull);
            }
        }
        let number = self.pending_count;
        let pending_blocks = blocks
            .into_iter()
            .map(|(block, missing)| pending_block(block, missing, number))
            .collect::<Result<_, _>>()?;
        let is_pending = is_pending || pending.is_some();
        let is_new = |client: &&ClientId| self.clocks.clock(**client) == 0;
        let new_clients = cut.reached.keys().filter(is_new).count();
        let steps_ns = cost::of_steps(cut.staged.steps);
        Ok(Prepared {
            ready: ready(&cut)?,
            pending_blocks,
            pending_deletes: cut.pending_deletes,
            pending,
            reached: cut.reached.into_iter().collect(),
            deletes: cut.ready_deletes.iter().collect(),
            staged: cut.staged,
            visibility: match is_pending {
                true => Visibility::Pending,
                false => Visibility::Visible,
            },
            cost: Duration::from_nanos(cut.cost_ns + steps_ns),
            recurring: Duration::from_nanos(cut.recurring_ns),
            bytes: bytes.len(),
            new_clients,
        })
    }

    /// Whether it has so many deletions that they take too long in whatever order.
    fn deletes_too_much(&self, bytes: &[u8]) -> bool {
        // A range takes two bytes at least.
        if bytes.len() < 2 * cost::DELETES_MAX {
            return false;
        }
        let (mut client, mut new) = (0, 0);
        let counted = read(bytes, |part| {
            match part {
                Part::Deletes(of) => client = of,
                Part::Delete { start, end } => {
                    new += usize::from(!self.clocks.deleted().meets(client, start..end));
                }
                Part::Client(_) | Part::Block(_) => {}
            }
            match new > cost::DELETES_MAX {
                true => malformed("it deletes too much"),
                false => Ok(()),
            }
        });
        counted.is_err()
    }

    /// The parts of `blocks` that are not pending already, and whether there are others.
    fn without_pending<'a>(
        &self,
        blocks: &[BlockAndMissing<'a>],
        source: Source,
    ) -> Result<(Vec<BlockAndMissing<'a>>, bool), ApplyError> {
        let mut parts = Vec::with_capacity(blocks.len());
        let mut overlap = false;
        for (block, missing) in blocks {
            let Id { client, clock } = block.id;
            let mut from = clock;
            // A part behind one that is pending already depends on that.
            let missing_from = |from| match from == clock {
                true => *missing,
                false => Some(Id {
                    client,
                    clock: from - 1,
                }),
            };
            for other in self.pending.overlapping(client, clock, block.end()) {
                overlap = true;
                let (mut blocks, mut none) = (Vec::new(), Ranges::default());
                collect(&other.bytes, &mut blocks, &mut none)
                    .map_err(|_| ApplyError::Undecodable)?;
                let agrees = blocks.iter().all(|other| compare::agree(block, other));
                if source == Source::Client && !agrees {
                    return Err(ApplyError::Contradiction);
                }
                if from < other.id.clock {
                    let part = block.tail(from - clock).head(other.id.clock - from);
                    parts.push((part, missing_from(from)));
                }
                from = from.max(other.end);
            }
            if from < block.end() {
                parts.push((block.tail(from - clock), missing_from(from)));
            }
        }
        Ok((parts, overlap))
    }

    /// Compares blocks that the document has already with its own.
    fn check_repeated(&self, repeated: &[Block<'_>]) -> Result<(), ApplyError> {
        if repeated.is_empty() {
            return Ok(());
        }
        let mut from: StateVector = self.clocks.iter().collect();
        // The first of each client last: its clock counts.
        for block in repeated.iter().rev() {
            from.set(block.id.client, block.id.clock);
        }
        let ours = self.diff(&from)?;
        let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
        collect(&ours, &mut blocks, &mut deletes).map_err(|_| ApplyError::Undecodable)?;
        blocks.sort_by_key(|block| block.id);
        for block in repeated {
            let last = blocks.partition_point(|ours| {
                ours.id.client < block.id.client
                    || ours.id.client == block.id.client && ours.end() <= block.id.clock
            });
            let meeting = blocks[last..].iter().take_while(|ours| {
                ours.id.client == block.id.client && ours.id.clock < block.end()
            });
            for ours in meeting {
                if !compare::agree(block, ours) {
                    return Err(ApplyError::Contradiction);
                }
            }
        }
        Ok(())
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.pending.len() < self.limits.updates_max
            && self.pending.bytes() + bytes <= self.limits.bytes_max
    }
}

/// Makes `block`, of the update of this number, a pending one.
pub(super) fn pending_block(
    block: Block<'_>,
    missing: Option<Id>,
    update: u64,
) -> Result<PendingBlock, ApplyError> {
    Ok(PendingBlock {
        update,
        id: block.id,
        end: block.end(),
        bytes: written([block], &Ranges::default())?,
        missing,
    })
}
