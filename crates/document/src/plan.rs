//! Which part of an update a document can take now, what the rest waits for, and what that costs.
//!
//! yrs has a store of its own for what it cannot integrate yet. It is not used:
//! it writes the bytes anew, takes blocks beyond a hole apart from those before
//! it, and could be poisoned so that nothing can be encoded any more. Here an
//! update is cut on its bytes instead: what is known already and what the sender
//! may not bring is cut out, and yrs gets only what depends on nothing that is
//! missing. What comes out is what is applied, relayed and written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::cost;
use super::held::Held;
use super::known::{Known, Shape};
use super::ranges::Ranges;
use super::staged::{Site, Source, Staged, Unplaceable};
use super::update::{Block, Extent, Id, Place, TYPE};
use crate::ClientId;

/// Blocks and deletions, sorted by what a document can do with them.
pub(super) struct Plan<'a, 'k> {
    known: &'k Known,
    source: Source,
    /// What is deleted along with it …
    deletes: &'k Ranges,
    /// … and what will be as soon as it is there.
    held_deletes: &'k Ranges,
    /// In an order in which each block finds what it depends on, with what it costs.
    pub(super) ready: Vec<(Block<'a>, u64)>,
    /// Deletions of what is known or ready, with what they cost.
    pub(super) ready_deletes: Ranges,
    /// What is not ready, and what it waits for, if that can ever come.
    pub(super) rest: Vec<(Block<'a>, Option<Id>)>,
    pub(super) rest_deletes: Ranges,
    /// Parts that the document knows already.
    pub(super) repeated: Vec<Block<'a>>,
    /// How far each client gets by what is ready.
    pub(super) reached: HashMap<ClientId, u32>,
    /// Where what is ready stands.
    pub(super) staged: Staged,
    /// Something is left out, or has become another thing than in the bytes.
    pub(super) changed: bool,
    /// Something was left out because the sender may not bring it.
    pub(super) foreign: bool,
    /// Some of the deletions are held already.
    pub(super) waits_already: bool,
    /// The first fault of the rest, if it is one that no arrival mends.
    pub(super) fault: Option<Unplaceable>,
    /// What integrating what is ready may cost beyond what its length costs, in nanoseconds …
    pub(super) cost_ns: u64,
    /// … and what of it each opening of the document may cost again.
    pub(super) recurring_ns: u64,
    /// The types among `ready`.
    types: HashSet<Id>,
}

/// What a plan asks of its surroundings.
pub(super) struct Around<'k, T, M> {
    pub(super) known: &'k Known,
    pub(super) held: &'k Held,
    /// Tells of a known element whether it is a type that still has its content.
    pub(super) is_type: T,
    /// The clock up to which the sender may bring elements of a client.
    pub(super) may: M,
}

impl<'a, 'k> Plan<'a, 'k> {
    /// Plans `blocks`, sorted by client and clock, and `deletes`.
    pub(super) fn of<T: Fn(Id) -> bool, M: Fn(ClientId) -> u32>(
        blocks: &[Block<'a>],
        deletes: &'k Ranges,
        source: Source,
        around: &Around<'k, T, M>,
    ) -> Self {
        let mut plan = Self {
            known: around.known,
            source,
            deletes,
            held_deletes: around.held.deletes(),
            ready: Vec::with_capacity(blocks.len()),
            ready_deletes: Ranges::default(),
            rest: Vec::new(),
            rest_deletes: Ranges::default(),
            repeated: Vec::new(),
            reached: HashMap::new(),
            staged: Staged::default(),
            changed: false,
            foreign: false,
            waits_already: false,
            fault: None,
            cost_ns: 0,
            recurring_ns: 0,
            types: HashSet::new(),
        };
        let news = plan.news(blocks, &around.may);
        plan.sort(&news, &around.is_type);
        plan.sort_deletes(deletes, around.held);
        plan
    }

    /// The parts of `blocks` that are neither known nor foreign.
    fn news(&mut self, blocks: &[Block<'a>], may: &impl Fn(ClientId) -> u32) -> Vec<Block<'a>> {
        let mut news = Vec::with_capacity(blocks.len());
        for of_one in blocks.chunk_by(|a, b| a.id.client == b.id.client) {
            let client = of_one[0].id.client;
            let (known, may) = (self.known.clock(client), may(client));
            for block in of_one {
                let Id { clock, .. } = block.id;
                if clock < known {
                    let len = block.len.min(known - clock);
                    self.repeated.push(block.head(len));
                    self.changed = true;
                }
                let start = clock.max(known);
                let end = block.end().min(may.max(known));
                if end < block.end() {
                    (self.foreign, self.changed) = (true, true);
                }
                if start < end {
                    news.push(block.tail(start - clock).head(end - start));
                }
            }
        }
        news
    }

    fn reached(&self, client: ClientId) -> u32 {
        self.reached
            .get(&client)
            .copied()
            .unwrap_or_else(|| self.known.clock(client))
    }

    /// Goes through each client's blocks as far as they depend on what is
    /// known. Where one waits for another client, it goes on as soon as that
    /// one has got there; so each block is looked at a few times at most.
    fn sort(&mut self, blocks: &[Block<'a>], is_type: &impl Fn(Id) -> bool) {
        let mut queues: Vec<&[Block<'a>]> =
            blocks.chunk_by(|a, b| a.id.client == b.id.client).collect();
        let mut open: Vec<usize> = (0..queues.len()).rev().collect();
        let mut waits: Vec<Option<Id>> = vec![None; queues.len()];
        let mut blocked: BTreeMap<Id, Vec<usize>> = BTreeMap::new();
        while let Some(at) = open.pop() {
            let Some(client) = queues[at].first().map(|block| block.id.client) else {
                continue;
            };
            waits[at] = self.pass(&mut queues[at], is_type);
            if let Some(need) = waits[at] {
                blocked.entry(need).or_default().push(at);
            }
            let clock = self.reached(client);
            let until = Id { client, clock: 0 }..Id { client, clock };
            while let Some((id, _)) = blocked.range(until.clone()).next() {
                let id = *id;
                open.extend(blocked.remove(&id).unwrap_or_default());
            }
        }
        for (queue, waits) in queues.into_iter().zip(waits) {
            let mut waits = waits;
            for block in queue {
                self.changed = true;
                self.rest.push((*block, waits));
                // The ones behind it wait for it.
                waits = Some(Id {
                    clock: block.end() - 1,
                    ..block.id
                });
            }
        }
    }

    /// Takes from the front of `queue` what is ready. Returns what the next
    /// block waits for, if it waits.
    fn pass(&mut self, queue: &mut &[Block<'a>], is_type: &impl Fn(Id) -> bool) -> Option<Id> {
        while let Some((block, behind)) = queue.split_first() {
            let Id { client, clock } = block.id;
            if clock > self.reached(client) {
                return Some(Id {
                    clock: clock - 1,
                    ..block.id
                });
            }
            let missing = |need: &Id| need.clock >= self.reached(need.client);
            if let Some(need) = block.place.needs().find(missing) {
                return Some(need);
            }
            if !self.take(*block, is_type) {
                return None;
            }
            *queue = behind;
        }
        None
    }

    /// Takes `block`, unless it cannot stand where it claims to.
    fn take(&mut self, mut block: Block<'a>, is_type: &impl Fn(Id) -> bool) -> bool {
        let site = match (self.site_of(&block, is_type), self.source) {
            (Ok(site), _) => site,
            // Yjs collects it, too; yrs would not, or fail halfway.
            (Err(Unplaceable::Collected), _)
            | (Err(Unplaceable::Torn | Unplaceable::Crossed), Source::Held) => {
                block = block.collected();
                self.changed = true;
                Site::NOWHERE
            }
            // It was accepted before there was this rule: nothing accepted is lost.
            (Err(Unplaceable::Torn), Source::Log) => Site::NOWHERE,
            (Err(fault), _) => {
                self.fault.get_or_insert(fault);
                return false;
            }
        };
        let scan = self.staged.note(self.known, block.run(), site);
        let cost_ns = cost::of_block(self.known, block.run(), scan);
        self.cost_ns += cost_ns;
        self.recurring_ns += cost::of_scan(scan);
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
        let lives = |types: &HashSet<Id>, id: &Id| types.contains(id) || is_type(*id);
        if let Place::Inside(parent) = block.place
            && !lives(&self.types, &parent)
        {
            // Its parent was collected, or never was a type.
            return Err(Unplaceable::Collected);
        }
        let site = self.staged.site(self.known, block.run(), self.source)?;
        if site.within.is_some_and(|id| !lives(&self.types, &id)) {
            return Err(Unplaceable::Collected);
        }
        // Yjs finds only the last part of what a key holds once it is cut, and fails
        // when the map is deleted.
        let cut = site.shape == Shape::Key && block.run().extent == Extent::Several;
        if cut && !self.is_deleted(block) {
            return Err(Unplaceable::Torn);
        }
        Ok(site)
    }

    /// Whether all of `block` is deleted with it. What was accepted may have been cut to its
    /// news, so that some of that stands in another row, or is held.
    fn is_deleted(&self, block: &Block<'a>) -> bool {
        let Id { client, clock } = block.id;
        let now = |range| self.deletes.covers(client, &range);
        let soon = |range| self.held_deletes.covers(client, &range);
        now(clock..block.end())
            || self.source != Source::Client
                && (clock..block.end()).all(|at| now(at..at + 1) || soon(at..at + 1))
    }

    /// The deletions that are ready: those of what was known, and those of what is ready.
    #[expect(
        clippy::type_complexity,
        reason = "two rows of a client and its clocks"
    )]
    pub(super) fn deletes_by_age(
        &self,
    ) -> (Vec<(ClientId, Range<u32>)>, Vec<(ClientId, Range<u32>)>) {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for (client, range) in self.ready_deletes.iter() {
            let known = self.known.clock(client).clamp(range.start, range.end);
            if range.start < known {
                old.push((client, range.start..known));
            }
            if known < range.end {
                new.push((client, known..range.end));
            }
        }
        (old, new)
    }

    fn sort_deletes(&mut self, deletes: &Ranges, held: &Held) {
        let mut news = deletes.clone();
        news.remove(self.known.deleted());
        for (client, range) in news.iter() {
            self.waits_already |= held.deletes().meets(client, range);
        }
        if self.waits_already {
            news.remove(held.deletes());
        }
        self.changed |= news != *deletes;
        for (client, range) in news.iter() {
            let known = self.reached(client);
            if range.start < known {
                let ready = range.start..range.end.min(known);
                self.cost_ns += cost::of_delete(self.known, client, &ready);
                self.ready_deletes.add(client, ready);
            }
            if range.end > known {
                self.changed = true;
                self.rest_deletes
                    .add(client, range.start.max(known)..range.end);
            }
        }
    }
}
