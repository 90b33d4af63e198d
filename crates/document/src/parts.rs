//! The ready part of an update as yrs is given it: whole, or in parts that each cost little.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::cut::Cut;
use super::merge::write_update;
use super::ranges::Ranges;
use super::update::Block;
use super::{ApplyError, Integrated, cost};
use crate::ClientId;

/// How many clients' blocks are integrated at once. The dependencies of each ready block come
/// before it; yrs, which sorts blocks by client, takes time with the square of the number of
/// clients where each block depends on the next.
const CLIENTS_PER_PART: usize = 256;
/// How many blocks are integrated at once: afterwards yrs joins those that continue one another,
/// and moves the client's items behind each of them.
const BLOCKS_PER_PART: usize = 4_096;
/// How many deletions are integrated at once.
const DELETES_PER_PART: usize = 2_000;

/// What yrs is given of an update.
#[derive(Debug)]
pub(super) enum Ready {
    Nothing,
    /// The update as it is.
    Whole,
    /// This part of it.
    Part(Vec<u8>),
    /// The update or a part of it, in parts that each cost little.
    Parts(Integrated, Vec<Vec<u8>>),
}

/// The ready part of `cut`; in parts where it may cost much.
pub(super) fn ready(cut: &Cut<'_, '_>) -> Result<Ready, ApplyError> {
    if cut.ready.is_empty() && cut.ready_deletes.is_empty() {
        return Ok(Ready::Nothing);
    }
    let blocks = || cut.ready.iter().map(|(block, _)| *block);
    let costly = Duration::from_nanos(cut.cost_ns) > cost::UNTRIED_MAX;
    match (
        cut.is_changed,
        costly || cut.ready.len() > BLOCKS_PER_PART || cut.reached.len() > CLIENTS_PER_PART,
    ) {
        (false, false) => Ok(Ready::Whole),
        (true, false) => Ok(Ready::Part(written(blocks(), &cut.ready_deletes)?)),
        (false, true) => Ok(Ready::Parts(Integrated::Whole, parts(cut)?)),
        (true, true) => {
            let whole = written(blocks(), &cut.ready_deletes)?;
            Ok(Ready::Parts(Integrated::Part(whole), parts(cut)?))
        }
    }
}

/// The ready part of `cut`, in parts that each cost little.
///
/// Deletions of elements that the document has come first: where somebody replaced much, they
/// split the items between which the blocks stand.
pub(super) fn parts(cut: &Cut<'_, '_>) -> Result<Vec<Vec<u8>>, ApplyError> {
    let (old, new) = cut.deletes_by_age();
    let mut parts = Vec::new();
    for deletes in delete_parts(old) {
        parts.push(written([], &deletes)?);
    }
    let part_max_ns = cost::CHEAP_MAX.as_nanos() as u64;
    let (mut part, mut cost_ns) = (Vec::<Block<'_>>::new(), 0);
    let mut clients = HashSet::<ClientId, RandomState>::default();
    let mut last = None;
    for (block, block_ns) in &cut.ready {
        let client = block.id.client;
        let is_one_more = last != Some(client) && !clients.contains(&client);
        let is_full = cost_ns + block_ns > part_max_ns
            || part.len() == BLOCKS_PER_PART
            || is_one_more && clients.len() == CLIENTS_PER_PART;
        if is_full && !part.is_empty() {
            parts.push(written(part.drain(..), &Ranges::default())?);
            clients.clear();
            cost_ns = 0;
        }
        cost_ns += block_ns;
        if last.replace(client) != Some(client) || part.is_empty() {
            clients.insert(client);
        }
        part.push(*block);
    }
    if !part.is_empty() {
        parts.push(written(part, &Ranges::default())?);
    }
    for deletes in delete_parts(new) {
        parts.push(written([], &deletes)?);
    }
    Ok(parts)
}

/// `deletes` in parts that split a long item in time. A split copies what lies behind it in the
/// item, and moves the client's items behind that: so first a few deletions make many shorter
/// items, and then those are split from the front to the back.
fn delete_parts(deletes: Vec<(ClientId, Range<u32>)>) -> Vec<Ranges> {
    let stride = deletes.len().isqrt().max(1);
    let (first, rest): (Vec<_>, Vec<_>) = deletes
        .into_iter()
        .enumerate()
        .partition(|(at, _)| at % stride == 0);
    let ranges = |part: &[(usize, (ClientId, Range<u32>))]| {
        let mut ranges = Ranges::default();
        for (_, (client, range)) in part {
            ranges.add(*client, range.clone());
        }
        ranges
    };
    let parts = first
        .chunks(DELETES_PER_PART)
        .chain(rest.chunks(DELETES_PER_PART));
    parts.map(ranges).collect()
}

/// An update of `blocks`, no two of which have an element in common, and `deletes`.
pub(super) fn written<'a>(
    blocks: impl IntoIterator<Item = Block<'a>>,
    deletes: &Ranges,
) -> Result<Vec<u8>, ApplyError> {
    // The blocks are those of one valid update, or pending ones.
    write_update(blocks.into_iter().collect(), deletes).map_err(|_| ApplyError::Undecodable)
}
