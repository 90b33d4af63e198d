//! How a document takes in what was prepared, and what that sets free.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use cpu_time::ThreadTime;
use smallvec::SmallVec;

use super::held::HeldBlock;
use super::merge::collect;
use super::plan::{Around, Plan};
use super::prepare::hold;
use super::ranges::Ranges;
use super::replica::decode;
use super::staged::{Source, Staged};
use super::steps::{Ready, parts, written};
use super::update::Id;
use super::{Applied, ApplyError, Document, Integrated, Panicked, Prepared, cost, merge};
use crate::ClientId;

/// From where to where a client has got.
struct Advanced {
    client: ClientId,
    from: u32,
    to: u32,
}

/// What one update advances: nearly always one client.
type AllAdvanced = SmallVec<[Advanced; 1]>;

impl Document {
    pub(super) fn commit(
        &mut self,
        bytes: &[u8],
        prepared: Prepared,
        source: Source,
    ) -> Result<Applied, ApplyError> {
        let tried = prepared.cost > cost::TRIED;
        let recurs = prepared.recurring > cost::AT_ONCE;
        let start = recurs.then(ThreadTime::now);
        let trial = match (source, tried, recurs) {
            (Source::Client, true, true) => Some(self.time_left()),
            (Source::Client, true, false) => Some(cost::ONE_MAX),
            _ => None,
        };
        let integrated = self.integrate(bytes, prepared.ready, trial)?;
        self.strain += start.map_or(Duration::ZERO, |start| start.elapsed());
        let advanced = self.note(prepared.staged, prepared.deletes, prepared.reached);
        self.holdings += u64::from(!prepared.rest.is_empty());
        let rest = prepared.rest.iter().map(|block| (block.id, block.end));
        let rest: Vec<_> = rest.collect();
        for block in prepared.rest {
            self.held.add(block);
        }
        self.held.delete(&prepared.rest_deletes);
        let freed = self.free(advanced)?;
        let held = match freed.is_empty() {
            true => prepared.held,
            false => self.still_held(&rest, prepared.rest_deletes)?,
        };
        Ok(Applied {
            integrated: with_freed(bytes, integrated, &freed)?,
            held,
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

    /// Integrates an update in parts; if `trial` is given, only if that takes no longer.
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

    /// How long an update may take that costs as much again at each opening.
    fn time_left(&self) -> Duration {
        let pieces = u32::try_from(self.known.pieces()).unwrap_or(u32::MAX);
        let allowed = cost::ONE_MAX + cost::PER_PIECE * pieces;
        let left = allowed.saturating_sub(self.strain);
        left.clamp(cost::ONE_MIN, cost::ONE_MAX)
    }

    /// Integrates a costly update on a copy, and takes that on if it did not take too long.
    fn integrate_in_time(&mut self, parts: &[Vec<u8>], time: Duration) -> Result<bool, ApplyError> {
        let Some(copy) = self.replica.with(parts, time)? else {
            // Whoever tries again and again is refused sooner.
            self.strain += time;
            return Ok(false);
        };
        self.replica = copy;
        self.content_bytes += parts.iter().map(Vec::len).sum::<usize>();
        Ok(true)
    }

    /// What is held yet of elements and deletions that have just been: what they came with
    /// may have set them free.
    fn still_held(
        &self,
        rest: &[(Id, u32)],
        mut deletes: Ranges,
    ) -> Result<Option<Vec<u8>>, ApplyError> {
        let mut gone = deletes.clone();
        gone.remove(self.held.deletes());
        deletes.remove(&gone);
        let (mut blocks, mut none) = (Vec::new(), Ranges::default());
        for (id, end) in rest {
            for held in self.held.meeting(id.client, id.clock, *end) {
                collect(&held.bytes, &mut blocks, &mut none)
                    .map_err(|_| ApplyError::Undecodable)?;
            }
        }
        match blocks.is_empty() && deletes.is_empty() {
            true => Ok(None),
            false => written(blocks, &deletes).map(Some),
        }
    }

    /// Notes what has become known.
    fn note(
        &mut self,
        staged: Staged,
        deletes: impl IntoIterator<Item = (ClientId, Range<u32>)>,
        reached: impl IntoIterator<Item = (ClientId, u32)>,
    ) -> AllAdvanced {
        let clocks = reached.into_iter();
        let advanced: AllAdvanced = clocks
            .map(|(client, to)| Advanced {
                client,
                from: self.known.clock(client),
                to,
            })
            .collect();
        for Advanced { client, to, .. } in &advanced {
            self.known.advance(*client, *to);
        }
        staged.keep_in(&mut self.known);
        self.known.delete(deletes);
        advanced
    }

    /// Integrates what was held for want of what has become known. Returns that, as updates.
    fn free(&mut self, mut advanced: AllAdvanced) -> Result<Vec<Vec<u8>>, ApplyError> {
        let mut freed = Vec::new();
        while !advanced.is_empty() && !self.held.is_empty() {
            let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
            for Advanced { client, from, to } in advanced {
                blocks.extend(self.held.take_blocks(client, to));
                deletes.extend(&self.held.take_deletes(client, from, to));
            }
            if blocks.is_empty() && deletes.is_empty() {
                break;
            }
            let update;
            (update, advanced) = self.free_some(&blocks, &deletes)?;
            freed.extend(update);
        }
        Ok(freed)
    }

    /// Integrates what can be of `held`, and holds the rest again.
    fn free_some(
        &mut self,
        held: &[HeldBlock],
        deletes: &Ranges,
    ) -> Result<(Option<Vec<u8>>, AllAdvanced), ApplyError> {
        let (mut blocks, mut none) = (Vec::new(), Ranges::default());
        for block in held {
            collect(&block.bytes, &mut blocks, &mut none).map_err(|_| ApplyError::Undecodable)?;
        }
        blocks.sort_by_key(|block| block.id);
        let plan = {
            let around = Around {
                known: &self.known,
                held: &self.held,
                is_type: |id| self.replica.is_type(id),
                may: |_| u32::MAX,
            };
            Plan::of(&blocks, deletes, Source::Held, &around)
        };
        let brought: BTreeMap<Id, u64> = held.iter().map(|held| (held.id, held.update)).collect();
        let brought = |id: Id| {
            let update = brought.range(..=id).next_back();
            update.map_or(0, |(_, update)| *update)
        };
        let ready = plan.ready.iter().map(|(block, _)| *block);
        let ready = written(ready, &plan.ready_deletes)?;
        let none = plan.ready.is_empty() && plan.ready_deletes.is_empty();
        let cost = Duration::from_nanos(plan.cost_ns);
        let recurring = Duration::from_nanos(plan.recurring_ns);
        let parts = match cost > cost::TRIED {
            true => Some(parts(&plan)?),
            false => None,
        };
        let mut again = Vec::with_capacity(plan.rest.len());
        for (block, waits) in &plan.rest {
            again.push(hold(*block, *waits, brought(block.id))?);
        }
        let (staged, reached) = (plan.staged, plan.reached);
        let (ready_deletes, rest_deletes) = (plan.ready_deletes, plan.rest_deletes);
        let start = (recurring > cost::AT_ONCE).then(ThreadTime::now);
        let changed = match parts {
            None => !none && self.integrate_bytes(&ready)?,
            Some(parts) if self.integrate_in_time(&parts, self.time_left())? => true,
            Some(_) => {
                // It takes too long: it stays held, and nothing sets it free any more.
                for block in blocks {
                    self.held.add(hold(block, None, brought(block.id))?);
                }
                self.held.delete(deletes);
                return Ok((None, AllAdvanced::new()));
            }
        };
        self.strain += start.map_or(Duration::ZERO, |start| start.elapsed());
        let advanced = self.note(staged, ready_deletes.iter(), reached);
        for block in again {
            self.held.add(block);
        }
        self.held.delete(&rest_deletes);
        Ok((changed.then_some(ready), advanced))
    }
}

/// What came in with `bytes`, if it set `freed` free.
fn with_freed(
    bytes: &[u8],
    integrated: Integrated,
    freed: &[Vec<u8>],
) -> Result<Integrated, ApplyError> {
    if freed.is_empty() {
        return Ok(integrated);
    }
    let own = match &integrated {
        Integrated::Nothing => None,
        Integrated::Whole => Some(bytes),
        Integrated::Part(part) | Integrated::More(part) => Some(part.as_slice()),
    };
    let all: Vec<&[u8]> = own
        .into_iter()
        .chain(freed.iter().map(Vec::as_slice))
        .collect();
    Ok(Integrated::More(merge(&all).map_err(|_| Panicked)?))
}
