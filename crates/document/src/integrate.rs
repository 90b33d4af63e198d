//! Integrates an update that was prepared, and the pending blocks and deletions that it releases.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use cpu_time::ThreadTime;
use smallvec::SmallVec;

use super::cut::{Context, Cut};
use super::merge::collect;
use super::parts::{Ready, parts, written};
use super::pending::PendingBlock;
use super::prepare::pending_block;
use super::ranges::Ranges;
use super::replica::decode;
use super::staged::{Source, Staged};
use super::update::Id;
use super::{Applied, ApplyError, Document, Integrated, Panicked, Prepared, cost, merge};
use crate::ClientId;

/// A client whose clock has risen.
struct Advanced {
    client: ClientId,
    from: u32,
    to: u32,
}

/// The clients that one update advances: nearly always one.
type AllAdvanced = SmallVec<[Advanced; 1]>;

impl Document {
    pub(super) fn commit(
        &mut self,
        bytes: &[u8],
        prepared: Prepared,
        source: Source,
    ) -> Result<Applied, ApplyError> {
        let is_tried = prepared.cost > cost::UNTRIED_MAX;
        let recurs = prepared.recurring > cost::CHEAP_MAX;
        let start = recurs.then(ThreadTime::now);
        let trial = match (source, is_tried, recurs) {
            (Source::Client, true, true) => Some(self.time_left()),
            (Source::Client, true, false) => Some(cost::UPDATE_MAX),
            _ => None,
        };
        let integrated = self.integrate(bytes, prepared.ready, trial)?;
        self.recurring_spent += start.map_or(Duration::ZERO, |start| start.elapsed());
        let advanced = self.add(prepared.staged, prepared.deletes, prepared.reached);
        self.pending_count += u64::from(!prepared.pending_blocks.is_empty());
        let blocks = prepared.pending_blocks.iter();
        let ranges: Vec<_> = blocks.map(|block| (block.id, block.end)).collect();
        for block in prepared.pending_blocks {
            self.pending.add(block);
        }
        self.pending.add_deletes(&prepared.pending_deletes);
        let released = self.release(advanced)?;
        let pending = match released.is_empty() {
            true => prepared.pending,
            false => self.still_pending(&ranges, prepared.pending_deletes)?,
        };
        Ok(Applied {
            integrated: with_released(bytes, integrated, &released)?,
            pending,
            visibility: prepared.visibility,
        })
    }

    fn integrate(
        &mut self,
        bytes: &[u8],
        ready: Ready,
        trial: Option<Duration>,
    ) -> Result<Integrated, ApplyError> {
        let (integrated, changed) = match ready {
            Ready::Nothing => (Integrated::Nothing, false),
            Ready::Whole => (Integrated::Whole, self.integrate_bytes(bytes)?),
            Ready::Part(part) => {
                let changed = self.integrate_bytes(&part)?;
                (Integrated::Part(part), changed)
            }
            Ready::Parts(whole, parts) => {
                self.integrate_parts(&parts, trial)?;
                (whole, true)
            }
        };
        Ok(match changed {
            true => integrated,
            false => Integrated::Nothing,
        })
    }

    fn integrate_bytes(&mut self, bytes: &[u8]) -> Result<bool, ApplyError> {
        let changed = self.replica.integrate(decode(bytes)?)?;
        self.content_bytes += bytes.len();
        Ok(changed)
    }

    /// Integrates an update in parts; if `trial` is given, only if that takes no longer than it.
    fn integrate_parts(
        &mut self,
        parts: &[Vec<u8>],
        trial: Option<Duration>,
    ) -> Result<(), ApplyError> {
        if let Some(time) = trial {
            return match self.integrate_in_time(parts, time)? {
                true => Ok(()),
                false => Err(ApplyError::TooCostly),
            };
        }
        for part in parts {
            self.integrate_bytes(part)?;
        }
        Ok(())
    }

    /// How long an update may take that takes as long again at each opening.
    fn time_left(&self) -> Duration {
        let items = u32::try_from(self.clocks.items()).unwrap_or(u32::MAX);
        let allowed = cost::UPDATE_MAX + cost::PER_ITEM * items;
        let left = allowed.saturating_sub(self.recurring_spent);
        left.clamp(cost::UPDATE_MIN, cost::UPDATE_MAX)
    }

    /// Integrates a costly update into a copy, which takes the document's place if that did not
    /// take too long.
    fn integrate_in_time(&mut self, parts: &[Vec<u8>], time: Duration) -> Result<bool, ApplyError> {
        let Some(copy) = self.replica.copy_with(parts, time)? else {
            // A client that tries again and again is refused sooner.
            self.recurring_spent += time;
            return Ok(false);
        };
        self.replica = copy;
        self.content_bytes += parts.iter().map(Vec::len).sum::<usize>();
        Ok(true)
    }

    /// An update of those of these blocks and deletions that are still pending: the update that
    /// brought them may have released some.
    fn still_pending(
        &self,
        ranges: &[(Id, u32)],
        mut deletes: Ranges,
    ) -> Result<Option<Vec<u8>>, ApplyError> {
        let mut released = deletes.clone();
        released.remove(self.pending.deletes());
        deletes.remove(&released);
        let (mut blocks, mut none) = (Vec::new(), Ranges::default());
        for (id, end) in ranges {
            for block in self.pending.overlapping(id.client, id.clock, *end) {
                collect(&block.bytes, &mut blocks, &mut none)
                    .map_err(|_| ApplyError::Undecodable)?;
            }
        }
        match blocks.is_empty() && deletes.is_empty() {
            true => Ok(None),
            false => written(blocks, &deletes).map(Some),
        }
    }

    /// Adds what was integrated to the clocks.
    fn add(
        &mut self,
        staged: Staged,
        deletes: impl IntoIterator<Item = (ClientId, Range<u32>)>,
        reached: impl IntoIterator<Item = (ClientId, u32)>,
    ) -> AllAdvanced {
        let clocks = reached.into_iter();
        let advanced: AllAdvanced = clocks
            .map(|(client, to)| Advanced {
                client,
                from: self.clocks.clock(client),
                to,
            })
            .collect();
        for Advanced { client, to, .. } in &advanced {
            self.clocks.advance(*client, *to);
        }
        staged.add_to(&mut self.clocks);
        self.clocks.delete(deletes);
        advanced
    }

    /// Integrates pending blocks and deletions whose dependencies exist now that clients have
    /// advanced. Returns them, as updates.
    fn release(&mut self, mut advanced: AllAdvanced) -> Result<Vec<Vec<u8>>, ApplyError> {
        let mut released = Vec::new();
        while !advanced.is_empty() && !self.pending.is_empty() {
            let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
            for Advanced { client, from, to } in advanced {
                blocks.extend(self.pending.take_blocks(client, to));
                deletes.extend(&self.pending.take_deletes(client, from, to));
            }
            if blocks.is_empty() && deletes.is_empty() {
                break;
            }
            let update;
            (update, advanced) = self.release_some(&blocks, &deletes)?;
            released.extend(update);
        }
        Ok(released)
    }

    /// Integrates those of `taken` and `deletes` whose dependencies exist; the others become
    /// pending again.
    fn release_some(
        &mut self,
        taken: &[PendingBlock],
        deletes: &Ranges,
    ) -> Result<(Option<Vec<u8>>, AllAdvanced), ApplyError> {
        let (mut blocks, mut none) = (Vec::new(), Ranges::default());
        for block in taken {
            collect(&block.bytes, &mut blocks, &mut none).map_err(|_| ApplyError::Undecodable)?;
        }
        blocks.sort_by_key(|block| block.id);
        let cut = {
            let context = Context {
                clocks: &self.clocks,
                pending: &self.pending,
                is_type: |id| self.replica.is_type(id),
                allowed: |_| u32::MAX,
            };
            Cut::of(&blocks, deletes, Source::Pending, &context)
        };
        let numbers = taken.iter().map(|block| (block.id, block.update));
        let numbers: BTreeMap<Id, u64> = numbers.collect();
        let number = |id: Id| {
            let update = numbers.range(..=id).next_back();
            update.map_or(0, |(_, update)| *update)
        };
        let ready = cut.ready.iter().map(|(block, _)| *block);
        let ready = written(ready, &cut.ready_deletes)?;
        let none = cut.ready.is_empty() && cut.ready_deletes.is_empty();
        let cost = Duration::from_nanos(cut.cost_ns);
        let recurring = Duration::from_nanos(cut.recurring_ns);
        let parts = match cost > cost::UNTRIED_MAX {
            true => Some(parts(&cut)?),
            false => None,
        };
        let mut again = Vec::with_capacity(cut.pending.len());
        for (block, missing) in &cut.pending {
            again.push(pending_block(*block, *missing, number(block.id))?);
        }
        let (staged, reached) = (cut.staged, cut.reached);
        let (ready_deletes, pending_deletes) = (cut.ready_deletes, cut.pending_deletes);
        let start = (recurring > cost::CHEAP_MAX).then(ThreadTime::now);
        match parts {
            None if none => {}
            None => drop(self.integrate_bytes(&ready)?),
            Some(parts) if self.integrate_in_time(&parts, self.time_left())? => {}
            Some(_) => {
                // It takes too long: it stays pending, and nothing releases it any more.
                for block in blocks {
                    let block = pending_block(block, None, number(block.id))?;
                    self.pending.add(block);
                }
                self.pending.add_deletes(deletes);
                return Ok((None, AllAdvanced::new()));
            }
        }
        self.recurring_spent += start.map_or(Duration::ZERO, |start| start.elapsed());
        let advanced = self.add(staged, ready_deletes.iter(), reached);
        for block in again {
            self.pending.add(block);
        }
        self.pending.add_deletes(&pending_deletes);
        // Deletions of elements that yrs deleted by itself are written as well: they were accepted,
        // and are not pending any more.
        Ok(((!none).then_some(ready), advanced))
    }
}

/// What the document took in with the update `bytes`, which released `released`.
fn with_released(
    bytes: &[u8],
    integrated: Integrated,
    released: &[Vec<u8>],
) -> Result<Integrated, ApplyError> {
    if released.is_empty() {
        return Ok(integrated);
    }
    let own = match &integrated {
        Integrated::Nothing => None,
        Integrated::Whole => Some(bytes),
        Integrated::Part(part) | Integrated::WithPending(part) => Some(part.as_slice()),
    };
    let all: Vec<&[u8]> = own
        .into_iter()
        .chain(released.iter().map(Vec::as_slice))
        .collect();
    Ok(Integrated::WithPending(merge(&all).map_err(|_| Panicked)?))
}
