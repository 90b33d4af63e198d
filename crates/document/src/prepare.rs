//! What of an update a document can take in, before anything is changed.

use std::ops::Range;
use std::time::Duration;

use smallvec::SmallVec;

use super::held::HeldBlock;
use super::known::Shape;
use super::lib0::malformed;
use super::merge::collect;
use super::plan::{Around, Plan};
use super::ranges::Ranges;
use super::replica::decode;
use super::staged::{Source, Staged};
use super::steps::{Ready, ready, written};
use super::update::{Block, Extent, Id, Part, read};
use super::{
    Advance, ApplyError, CLIENT_BYTES, Checked, Document, HELD_FACTOR, PARENT_BYTES, PIECE_BYTES,
    StateVector, Visibility, compare, cost,
};
use crate::ClientId;

/// A block, and the element that it waits for.
type Waiting<'a> = (Block<'a>, Option<Id>);

/// Deleted ranges, which do not meet.
type Deletes = SmallVec<[(ClientId, Range<u32>); 1]>;

/// An update that a document can take in, cut to what is new.
#[derive(Debug)]
pub struct Prepared {
    pub(super) ready: Ready,
    /// What waits, and what it is written as.
    pub(super) rest: Vec<HeldBlock>,
    pub(super) rest_deletes: Ranges,
    pub(super) held: Option<Vec<u8>>,
    /// Which clients get how far.
    pub(super) reached: SmallVec<[(ClientId, u32); 1]>,
    pub(super) deletes: Deletes,
    pub(super) staged: Staged,
    pub(super) visibility: Visibility,
    pub(super) cost: Duration,
    /// What of the cost each opening of the document may cost again.
    pub(super) recurring: Duration,
    bytes: usize,
    new_clients: usize,
}

impl Prepared {
    /// What applying it may cost besides what its length costs, at most.
    pub fn cost(&self) -> Duration {
        self.cost
    }

    /// Whether everybody will see all of the update.
    pub fn visibility(&self) -> Visibility {
        self.visibility
    }

    /// Whether it is the update as it stands.
    pub fn is_whole(&self) -> bool {
        matches!(self.ready, Ready::Whole)
    }

    /// Whether there is nothing in it that is new.
    pub fn is_nothing(&self) -> bool {
        matches!(self.ready, Ready::Nothing) && self.held.is_none()
    }

    /// About what the document grows by in memory, in bytes, at most.
    pub fn memory_bytes(&self) -> usize {
        let ready = self.staged.pieces() + 2 * self.deletes.len();
        let held = self.held.as_ref().map_or(0, Vec::len);
        self.bytes
            + ready * PIECE_BYTES
            + self.staged.parents() * PARENT_BYTES
            + self.new_clients * CLIENT_BYTES
            + held * HELD_FACTOR
    }
}

impl Document {
    /// The update as it stands, if it is of a few parts, all new, and needs nothing that is missing.
    pub(super) fn whole(
        &self,
        bytes: &[u8],
        checked: &Checked,
        may: &impl Fn(ClientId) -> u32,
    ) -> Option<Prepared> {
        let new = |advance: &Advance| {
            advance.from == self.known.clock(advance.client) && advance.to <= may(advance.client)
        };
        let exists = |(client, clock): &(ClientId, u32)| {
            *clock <= self.known.clock(*client)
                // What is deleted may be made by the same update.
                || matches!(checked.advances[..], [Advance { client: only, to, .. }]
                    if only == *client && *clock <= to)
        };
        let ready = !checked.intricate
            && checked.advances.iter().all(new)
            && checked.needs.iter().all(exists)
            && checked
                .parents
                .iter()
                .all(|parent| self.replica.is_type(*parent));
        if !ready {
            return None;
        }
        let (mut staged, mut recurring_ns) = (Staged::default(), 0);
        let cuts = checked
            .needs
            .iter()
            .map(|(client, _)| cost::of_any_cut(&self.known, *client));
        let own = checked
            .advances
            .iter()
            .map(|by| cost::of_any_cut(&self.known, by.client));
        let parts = 2 * (checked.runs.len() + checked.deleted.len()) as u64;
        let mut cost_ns = parts * cuts.chain(own).max().unwrap_or(0);
        // Only where that would be much, each cut is looked at.
        let exact = cost_ns > cost::AT_ONCE.as_nanos() as u64;
        if exact {
            cost_ns = 0;
        }
        for run in &checked.runs {
            let site = staged.site(&self.known, *run, Source::Client).ok()?;
            let cut = site.shape == Shape::Key && run.extent == Extent::Several;
            let here = |id: Id| {
                let made = |by: &Advance| by.client == id.client && id.clock >= by.from;
                checked.advances.iter().any(made)
            };
            if cut
                || site
                    .within
                    .is_some_and(|id| !here(id) && !self.replica.is_type(id))
            {
                return None;
            }
            let scan = staged.note(&self.known, *run, site);
            cost_ns += match exact {
                true => cost::of_block(&self.known, *run, scan),
                false => cost::of_scan(scan),
            };
            recurring_ns += cost::of_scan(scan);
        }
        for (at, (client, range)) in checked.deleted.iter().enumerate() {
            let meets = |(other, earlier): &(ClientId, Range<u32>)| {
                other == client && earlier.start < range.end && range.start < earlier.end
            };
            let known = self.known.deleted().meets(*client, range.clone())
                || checked.deleted[..at].iter().any(meets);
            if known {
                return None;
            }
            if exact {
                cost_ns += cost::of_delete(&self.known, *client, range);
            }
        }
        let cost = Duration::from_nanos(cost_ns + cost::of_steps(staged.steps));
        if cost > cost::TRIED {
            return None;
        }
        let advanced = checked.advances.iter();
        Some(Prepared {
            ready: Ready::Whole,
            rest: Vec::new(),
            rest_deletes: Ranges::default(),
            held: None,
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

    pub(super) fn cut(
        &self,
        bytes: &[u8],
        source: Source,
        may: impl Fn(ClientId) -> u32,
    ) -> Result<Prepared, ApplyError> {
        if source == Source::Client && self.deletes_too_much(bytes) {
            return Err(ApplyError::TooCostly);
        }
        let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
        collect(bytes, &mut blocks, &mut deletes).map_err(|_| ApplyError::Undecodable)?;
        let around = Around {
            known: &self.known,
            held: &self.held,
            is_type: |id| self.replica.is_type(id),
            may,
        };
        let plan = Plan::of(&blocks, &deletes, source, &around);
        if source == Source::Client {
            if let Some(fault) = plan.fault {
                return Err(fault.into());
            }
            self.check_repeated(&plan.repeated)?;
        }
        let (rest, overlap) = self.unheld(&plan.rest, source)?;
        let pending = plan.foreign || plan.waits_already || overlap || !rest.is_empty();
        let held = match rest.is_empty() && plan.rest_deletes.is_empty() {
            true => None,
            false => Some(written(
                rest.iter().map(|(block, _)| *block),
                &plan.rest_deletes,
            )?),
        };
        if let Some(held) = &held {
            // It has to be sure now that it can be integrated later.
            decode(held)?;
            if source == Source::Client && !self.has_room(held.len()) {
                return Err(ApplyError::PendingFull);
            }
        }
        let update = self.holdings;
        let rest = rest
            .into_iter()
            .map(|(block, waits)| hold(block, waits, update))
            .collect::<Result<_, _>>()?;
        let pending = pending || held.is_some();
        let is_new = |client: &&ClientId| self.known.clock(**client) == 0;
        let new_clients = plan.reached.keys().filter(is_new).count();
        let steps_ns = cost::of_steps(plan.staged.steps);
        Ok(Prepared {
            ready: ready(&plan)?,
            rest,
            rest_deletes: plan.rest_deletes,
            held,
            reached: plan.reached.into_iter().collect(),
            deletes: plan.ready_deletes.iter().collect(),
            staged: plan.staged,
            visibility: match pending {
                true => Visibility::Pending,
                false => Visibility::Visible,
            },
            cost: Duration::from_nanos(plan.cost_ns + steps_ns),
            recurring: Duration::from_nanos(plan.recurring_ns),
            bytes: bytes.len(),
            new_clients,
        })
    }

    /// Whether so much is deleted here and there that it takes too long however it is done.
    fn deletes_too_much(&self, bytes: &[u8]) -> bool {
        // A range takes two bytes at least.
        if bytes.len() < 2 * cost::DELETES_MAX {
            return false;
        }
        let (mut of, mut new) = (0, 0);
        let counted = read(bytes, |part| {
            match part {
                Part::Deletes(client) => of = client,
                Part::Delete { start, end } => {
                    new += usize::from(!self.known.deleted().meets(of, start..end));
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

    /// What of `rest` is not held yet, and whether some of it is.
    fn unheld<'a>(
        &self,
        rest: &[Waiting<'a>],
        source: Source,
    ) -> Result<(Vec<Waiting<'a>>, bool), ApplyError> {
        let mut parts = Vec::with_capacity(rest.len());
        let mut overlap = false;
        for (block, waits) in rest {
            let Id { client, clock } = block.id;
            let mut from = clock;
            // A part stands behind what is held, if that is what was left out before it.
            let waits_from = |from| match from == clock {
                true => *waits,
                false => Some(Id {
                    client,
                    clock: from - 1,
                }),
            };
            for other in self.held.meeting(client, clock, block.end()) {
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
                    parts.push((part, waits_from(from)));
                }
                from = from.max(other.end);
            }
            if from < block.end() {
                parts.push((block.tail(from - clock), waits_from(from)));
            }
        }
        Ok((parts, overlap))
    }

    /// Compares elements that are known with those of the document.
    fn check_repeated(&self, repeated: &[Block<'_>]) -> Result<(), ApplyError> {
        if repeated.is_empty() {
            return Ok(());
        }
        let mut from: StateVector = self.known.clocks().collect();
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
        self.held.len() < self.caps.pending_updates_max
            && self.held.bytes() + bytes <= self.caps.pending_bytes_max
    }
}

/// Makes `block` one that is held.
pub(super) fn hold(
    block: Block<'_>,
    waits: Option<Id>,
    update: u64,
) -> Result<HeldBlock, ApplyError> {
    Ok(HeldBlock {
        update,
        id: block.id,
        end: block.end(),
        bytes: written([block], &Ranges::default())?,
        waits,
    })
}
