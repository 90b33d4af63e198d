//! What is ready of a plan, as yrs is given it: whole, or in steps of which each costs little.

use std::ops::Range;
use std::time::Duration;

use super::merge::write_update;
use super::plan::Plan;
use super::ranges::Ranges;
use super::update::Block;
use super::{ApplyError, Integrated, cost};
use crate::ClientId;

/// How many clients' blocks are integrated at once. They are ready in an order in which
/// each finds what it depends on; yrs, which has them by client, takes time with the
/// square of their number where each depends on the next.
const CLIENTS_A_PART: usize = 64;

/// What of an update is integrated at once.
#[derive(Debug)]
pub(super) enum Ready {
    Nothing,
    Whole,
    Part(Vec<u8>),
    /// The same, and in parts of which each costs little.
    Parts(Integrated, Vec<Vec<u8>>),
}

/// What is ready of `plan`; in parts where it may cost much.
pub(super) fn ready(plan: &Plan<'_, '_>) -> Result<Ready, ApplyError> {
    if plan.ready.is_empty() && plan.ready_deletes.is_empty() {
        return Ok(Ready::Nothing);
    }
    let blocks = || plan.ready.iter().map(|(block, _)| *block);
    let costly = Duration::from_nanos(plan.cost_ns) > cost::TRIED;
    match (plan.changed, costly || plan.reached.len() > CLIENTS_A_PART) {
        (false, false) => Ok(Ready::Whole),
        (true, false) => Ok(Ready::Part(written(blocks(), &plan.ready_deletes)?)),
        (false, true) => Ok(Ready::Parts(Integrated::Whole, parts(plan)?)),
        (true, true) => {
            let whole = written(blocks(), &plan.ready_deletes)?;
            Ok(Ready::Parts(Integrated::Part(whole), parts(plan)?))
        }
    }
}

/// What is ready of `plan` in parts of which each costs little by itself.
///
/// What is deleted of what was known comes first: where somebody replaced much, it cuts
/// the pieces between which the blocks stand.
pub(super) fn parts(plan: &Plan<'_, '_>) -> Result<Vec<Vec<u8>>, ApplyError> {
    let (known, new) = plan.deletes_by_age();
    let mut parts = Vec::new();
    for deletes in in_steps(known) {
        parts.push(written([], &deletes)?);
    }
    let step_ns = cost::AT_ONCE.as_nanos() as u64;
    let (mut part, mut cost_ns, mut clients) = (Vec::<Block<'_>>::new(), 0, 0);
    for (block, block_ns) in &plan.ready {
        let dear = cost_ns + block_ns > step_ns || clients > CLIENTS_A_PART;
        if dear && !part.is_empty() {
            parts.push(written(part.drain(..), &Ranges::default())?);
            (cost_ns, clients) = (0, 0);
        }
        cost_ns += block_ns;
        let other = |last: &Block<'_>| last.id.client != block.id.client;
        clients += usize::from(part.last().is_none_or(other));
        part.push(*block);
    }
    if !part.is_empty() {
        parts.push(written(part, &Ranges::default())?);
    }
    for deletes in in_steps(new) {
        parts.push(written([], &deletes)?);
    }
    Ok(parts)
}

/// `deletes` in steps that cut a long piece in time. A cut copies what lies behind it in the
/// piece, and moves the pieces behind that: so first a few cuts make many shorter pieces,
/// and then those are cut from the front to the back.
fn in_steps(deletes: Vec<(ClientId, Range<u32>)>) -> Vec<Ranges> {
    let stride = deletes.len().isqrt().max(1);
    let (first, rest): (Vec<_>, Vec<_>) = deletes
        .into_iter()
        .enumerate()
        .partition(|(at, _)| at % stride == 0);
    let ranges = |step: &[(usize, (ClientId, Range<u32>))]| {
        let mut ranges = Ranges::default();
        for (_, (client, range)) in step {
            ranges.add(*client, range.clone());
        }
        ranges
    };
    let steps = first
        .chunks(DELETES_A_PART)
        .chain(rest.chunks(DELETES_A_PART));
    steps.map(ranges).collect()
}

/// How many deletions are tried at once.
const DELETES_A_PART: usize = 2_000;

/// An update of `blocks`, each of which makes elements of its own, and `deletes`.
pub(super) fn written<'a>(
    blocks: impl IntoIterator<Item = Block<'a>>,
    deletes: &Ranges,
) -> Result<Vec<u8>, ApplyError> {
    // Blocks come out of one valid update, or were held apart from one another.
    write_update(blocks.into_iter().collect(), deletes).map_err(|_| ApplyError::Undecodable)
}
