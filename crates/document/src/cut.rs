//! An update, cut: which part of it a document can integrate now, which part is pending, and
//! what integrating it costs.
//!
//! yrs has a store of its own for pending blocks. It is not used:
//! it encodes them anew, treats blocks beyond a hole apart from those before
//! it, and could be brought into a state in which nothing can be encoded any more. Here an
//! update is cut on its bytes instead: parts that the document has already and parts that the
//! sender may not bring are cut out, and yrs gets only blocks whose dependencies all exist. The
//! result is what is applied, relayed and written.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;

use super::clocks::{Clocks, Shape};
use super::cost;
use super::pending::Pending;
use super::ranges::Ranges;
use super::staged::{Site, Source, Staged, Unplaceable};
use super::update::{Block, Extent, Id, Place, TYPE};
use crate::ClientId;

/// Blocks and deletions, sorted by what a document can do with them.
pub(super) struct Cut<'a, 'k> {
    clocks: &'k Clocks,
    source: Source,
    /// The deletions of the same update …
    deletes: &'k Ranges,
    /// … and those that are pending already.
    earlier_deletes: &'k Ranges,
    /// Blocks to integrate, in an order in which the dependencies of each come before it, with
    /// what each costs.
    pub(super) ready: Vec<(Block<'a>, u64)>,
    /// Deletions of elements that the document has or that are ready.
    pub(super) ready_deletes: Ranges,
    /// Blocks that are not ready, with the missing element; `None` if no element that arrives
    /// can make it ready.
    pub(super) pending: Vec<(Block<'a>, Option<Id>)>,
    pub(super) pending_deletes: Ranges,
    /// Parts that the document has already.
    pub(super) repeated: Vec<Block<'a>>,
    /// The clocks of clients after the ready blocks.
    pub(super) reached: HashMap<ClientId, u32, RandomState>,
    /// Where the ready blocks stand.
    pub(super) staged: Staged,
    /// Whether the ready part differs from the bytes: something is left out, or collected.
    pub(super) is_changed: bool,
    /// Whether elements were left out because the sender may not bring them.
    pub(super) is_restricted: bool,
    /// Whether some of the deletions are pending already.
    pub(super) repeats_pending: bool,
    /// The first fault of a block that is not ready, if no element that arrives mends it.
    pub(super) fault: Option<Unplaceable>,
    /// What integrating the ready part may cost beyond what its length costs, in nanoseconds …
    pub(super) cost_ns: u64,
    /// … and how much of that each opening of the document may cost again.
    pub(super) recurring_ns: u64,
    /// The types among the ready blocks.
    types: HashSet<Id, RandomState>,
}

/// What a cut has to know of the document and of the sender.
pub(super) struct Context<'k, T, M> {
    pub(super) clocks: &'k Clocks,
    pub(super) pending: &'k Pending,
    /// Whether an element of the document is a type that still has its content.
    pub(super) is_type: T,
    /// The clock up to which the sender may bring elements of a client.
    pub(super) allowed: M,
}

impl<'a, 'k> Cut<'a, 'k> {
    /// Cuts `blocks`, sorted by client and clock, and `deletes`.
    pub(super) fn of<T: Fn(Id) -> bool, M: Fn(ClientId) -> u32>(
        blocks: &[Block<'a>],
        deletes: &'k Ranges,
        source: Source,
        context: &Context<'k, T, M>,
    ) -> Self {
        let mut cut = Self {
            clocks: context.clocks,
            source,
            deletes,
            earlier_deletes: context.pending.deletes(),
            ready: Vec::with_capacity(blocks.len()),
            ready_deletes: Ranges::default(),
            pending: Vec::new(),
            pending_deletes: Ranges::default(),
            repeated: Vec::new(),
            reached: HashMap::default(),
            staged: Staged::default(),
            is_changed: false,
            is_restricted: false,
            repeats_pending: false,
            fault: None,
            cost_ns: 0,
            recurring_ns: 0,
            types: HashSet::default(),
        };
        // A snapshot that is opened has hundreds of thousands of blocks, all of them new.
        let is_first = source == Source::Log && context.clocks.clients() == 0;
        let new = match is_first {
            true => Cow::Borrowed(blocks),
            false => Cow::Owned(cut.new_parts(blocks, &context.allowed)),
        };
        cut.sort(&new, &context.is_type);
        cut.sort_deletes(deletes, context);
        cut
    }

    /// The parts of `blocks` that the document has not and that the sender may bring.
    fn new_parts(
        &mut self,
        blocks: &[Block<'a>],
        allowed: &impl Fn(ClientId) -> u32,
    ) -> Vec<Block<'a>> {
        let mut parts = Vec::with_capacity(blocks.len());
        for of_one in blocks.chunk_by(|a, b| a.id.client == b.id.client) {
            let client = of_one[0].id.client;
            let (present, allowed) = (self.clocks.clock(client), allowed(client));
            for block in of_one {
                let Id { clock, .. } = block.id;
                if clock < present {
                    let len = block.len.min(present - clock);
                    self.repeated.push(block.head(len));
                    self.is_changed = true;
                }
                let start = clock.max(present);
                let end = block.end().min(allowed.max(present));
                if end < block.end() {
                    (self.is_restricted, self.is_changed) = (true, true);
                }
                if start < end {
                    parts.push(block.tail(start - clock).head(end - start));
                }
            }
        }
        parts
    }

    fn reached(&self, client: ClientId) -> u32 {
        self.reached
            .get(&client)
            .copied()
            .unwrap_or_else(|| self.clocks.clock(client))
    }

    /// Goes through each client's blocks as far as their dependencies exist.
    /// Where one depends on an element of another client that is missing, it goes on as soon as
    /// that one is ready; so each block is looked at a few times at most.
    fn sort(&mut self, blocks: &[Block<'a>], is_type: &impl Fn(Id) -> bool) {
        let mut queues: Vec<&[Block<'a>]> =
            blocks.chunk_by(|a, b| a.id.client == b.id.client).collect();
        let mut open: Vec<usize> = (0..queues.len()).rev().collect();
        let mut missing: Vec<Option<Id>> = vec![None; queues.len()];
        // By client, the clocks of its missing elements and the queues that wait for them.
        let mut blocked =
            HashMap::<ClientId, BinaryHeap<Reverse<(u32, usize)>>, RandomState>::default();
        while let Some(at) = open.pop() {
            let Some(client) = queues[at].first().map(|block| block.id.client) else {
                continue;
            };
            missing[at] = self.take_ready(&mut queues[at], is_type);
            if let Some(id) = missing[at] {
                let waiting = blocked.entry(id.client).or_default();
                waiting.push(Reverse((id.clock, at)));
            }
            let clock = self.reached(client);
            let Some(waiting) = blocked.get_mut(&client) else {
                continue;
            };
            while let Some(Reverse((missing, at))) = waiting.peek()
                && *missing < clock
            {
                open.push(*at);
                waiting.pop();
            }
        }
        for (queue, mut missing) in queues.into_iter().zip(missing) {
            for block in queue {
                self.is_changed = true;
                self.pending.push((*block, missing));
                // The block behind it depends on it.
                missing = Some(Id {
                    clock: block.end() - 1,
                    ..block.id
                });
            }
        }
    }

    /// Takes the ready blocks from the front of `queue`. Returns the missing element of the
    /// next block, if one is missing.
    fn take_ready(
        &mut self,
        queue: &mut &[Block<'a>],
        is_type: &impl Fn(Id) -> bool,
    ) -> Option<Id> {
        while let Some((block, behind)) = queue.split_first() {
            let Id { client, clock } = block.id;
            if clock > self.reached(client) {
                return Some(Id {
                    clock: clock - 1,
                    ..block.id
                });
            }
            let is_missing = |id: &Id| id.clock >= self.reached(id.client);
            if let Some(id) = block.place.dependencies().find(is_missing) {
                return Some(id);
            }
            if !self.take(*block, is_type) {
                return None;
            }
            *queue = behind;
        }
        None
    }

    /// Makes `block` ready, unless it cannot stand where it claims to.
    fn take(&mut self, mut block: Block<'a>, is_type: &impl Fn(Id) -> bool) -> bool {
        let site = match (self.site_of(&block, is_type), self.source) {
            (Ok(site), _) => site,
            // Yjs collects it, too; yrs would not, or fail halfway.
            (Err(Unplaceable::Collected), _)
            | (Err(Unplaceable::DifferentParents | Unplaceable::Ambiguous), Source::Pending) => {
                block = block.collected();
                self.is_changed = true;
                Site::NOWHERE
            }
            // It was accepted before there was this rule, and nothing accepted is lost.
            (Err(Unplaceable::DifferentParents), Source::Log) => Site::NOWHERE,
            (Err(fault), _) => {
                self.fault.get_or_insert(fault);
                return false;
            }
        };
        let passed = self.staged.add(self.clocks, block.run(), site);
        let cost_ns = match self.source {
            Source::Client | Source::Pending => cost::of_block(self.clocks, block.run(), passed),
            // What was accepted before is integrated whatever it costs.
            Source::Log => 0,
        };
        self.cost_ns += cost_ns;
        self.recurring_ns += cost::of_passing(passed);
        if block.kind() == TYPE {
            self.types.insert(block.id);
        }
        self.reached.insert(block.id.client, block.end());
        self.ready.push((block, cost_ns));
        true
    }

    /// Where `block` will stand, if it can stand where it claims to.
    fn site_of(
        &mut self,
        block: &Block<'a>,
        is_type: &impl Fn(Id) -> bool,
    ) -> Result<Site, Unplaceable> {
        let has_content =
            |types: &HashSet<Id, RandomState>, id: &Id| types.contains(id) || is_type(*id);
        if let Place::Inside(parent) = block.place
            && !has_content(&self.types, &parent)
        {
            // Its parent was collected, or never was a type.
            return Err(Unplaceable::Collected);
        }
        let site = self.staged.site(self.clocks, block.run(), self.source)?;
        if site.within.is_some_and(|id| !has_content(&self.types, &id)) {
            return Err(Unplaceable::Collected);
        }
        // Where several elements under a key are split, Yjs finds only the last part of them,
        // and fails when the map is deleted. Those of the log were accepted, and their deletion
        // may be in a later row.
        let splits = site.shape == Shape::Key && block.run().extent == Extent::Several;
        if splits && self.source != Source::Log && !self.is_deleted(block) {
            return Err(Unplaceable::DifferentParents);
        }
        Ok(site)
    }

    /// Whether all of `block` is deleted along with it. Deletions of a pending block may be
    /// pending, too.
    fn is_deleted(&self, block: &Block<'a>) -> bool {
        let Id { client, clock } = block.id;
        let here = |range| self.deletes.covers(client, &range);
        let earlier = |range| self.earlier_deletes.covers(client, &range);
        here(clock..block.end())
            || self.source == Source::Pending
                && (clock..block.end()).all(|at| here(at..at + 1) || earlier(at..at + 1))
    }

    /// The ready deletions: first those of elements that the document has, then those of ready
    /// blocks.
    #[expect(
        clippy::type_complexity,
        reason = "two lists of clients with ranges of their clocks"
    )]
    pub(super) fn deletes_by_age(
        &self,
    ) -> (Vec<(ClientId, Range<u32>)>, Vec<(ClientId, Range<u32>)>) {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for (client, range) in self.ready_deletes.iter() {
            let present = self.clocks.clock(client).clamp(range.start, range.end);
            if range.start < present {
                old.push((client, range.start..present));
            }
            if present < range.end {
                new.push((client, present..range.end));
            }
        }
        (old, new)
    }

    /// Deletions of elements that are to come are left out from the clock on up to which the sender
    /// may bring elements: otherwise one update could delete all that another person is going to write.
    fn sort_deletes<T, M: Fn(ClientId) -> u32>(
        &mut self,
        deletes: &Ranges,
        context: &Context<'_, T, M>,
    ) {
        let pending = context.pending;
        let mut new = deletes.clone();
        new.remove(self.clocks.deleted());
        for (client, range) in new.iter() {
            self.repeats_pending |= pending.deletes().meets(client, range);
        }
        if self.repeats_pending {
            new.remove(pending.deletes());
        }
        self.is_changed |= new != *deletes;
        for (client, range) in new.iter() {
            let reached = self.reached(client);
            if range.start < reached {
                let ready = range.start..range.end.min(reached);
                self.cost_ns += cost::of_delete(self.clocks, client, &ready);
                self.ready_deletes.add(client, ready);
            }
            if range.end > reached {
                self.is_changed = true;
                let (start, allowed) = (range.start.max(reached), (context.allowed)(client));
                self.is_restricted |= allowed < range.end;
                if start < allowed {
                    let allowed = start..range.end.min(allowed);
                    self.pending_deletes.add(client, allowed);
                }
            }
        }
    }
}
