//! What integrating an update may cost beyond what its length costs, before it is paid.
//!
//! Three things make a short update dear: an element that has to find its place
//! among many that others wrote at the same place; a piece that is cut out of a
//! client that has many pieces; and one that is cut out of a long piece. All
//! figures are upper bounds, in nanoseconds, measured with yrs 0.28.1 on one core.

use std::ops::Range;
use std::time::Duration;

use super::known::Known;
use super::update::{Id, Run};
use crate::ClientId;

/// Up to this an update is integrated where it arrives.
pub(super) const AT_ONCE: Duration = Duration::from_millis(2);
/// From this on it is tried on a copy first.
pub(super) const TRIED: Duration = Duration::from_millis(40);
/// What one update may take in all, and what all of a document's costly updates may take
/// together, for they cost it again whenever the document is opened …
pub(super) const ONE_MAX: Duration = Duration::from_millis(50);
/// … besides so much for each piece of the document.
pub(super) const PER_PIECE: Duration = Duration::from_nanos(500);
/// The most ranges that one update may delete anew: each takes a microsecond at least.
pub(super) const DELETES_MAX: usize = 80_000;
/// What even an update of a document that has used all of that up may take.
pub(super) const ONE_MIN: Duration = Duration::from_millis(1);

/// To pass one piece on the way to an element's place: two hash sets and a search.
const PASS_NS: u64 = 800;
/// To go from one piece to the one that it hangs on: a hash map and a search, twice. Estimated.
const STEP_NS: u64 = 150;
/// To cut a piece in two.
const SPLIT_NS: u64 = 150;
/// To move one piece of a client aside.
const MOVE_NS: u64 = 1;
/// So many elements of a piece are copied in a nanosecond.
const COPIED_PER_NS: u64 = 8;
/// So many elements of a piece are counted in a nanosecond to find where to cut it.
const COUNTED_PER_NS: u64 = 2;

/// The cost of passing `scan` pieces.
pub(super) fn of_scan(scan: u32) -> u64 {
    u64::from(scan) * PASS_NS
}

/// What it took to see whether something is crossed.
pub(super) fn of_steps(steps: u32) -> u64 {
    u64::from(steps) * STEP_NS
}

/// A bound for what a cut of a piece of `client` costs, wherever it is.
pub(super) fn of_any_cut(known: &Known, client: ClientId) -> u64 {
    let moved = u64::from(known.pieces_of(client)) * MOVE_NS;
    SPLIT_NS + moved + u64::from(known.clock(client)) / COUNTED_PER_NS
}

/// The cost of a block that has to pass `scan` pieces.
pub(super) fn of_block(known: &Known, run: Run, scan: u32) -> u64 {
    let mut cost = of_scan(scan);
    if scan == 0 && run.continues() {
        return cost;
    }
    if let Some(left) = run.place.left() {
        let next = Id {
            clock: left.clock + 1,
            ..left
        };
        cost += of_cut(known, next);
    }
    if let Some(right) = run.place.right() {
        cost += of_cut(known, right);
    }
    cost
}

/// The cost of a deleted range.
pub(super) fn of_delete(known: &Known, client: ClientId, range: &Range<u32>) -> u64 {
    let at = |clock| of_cut(known, Id { client, clock });
    SPLIT_NS + at(range.start) + at(range.end)
}

/// The cost of having a piece begin at `id`.
fn of_cut(known: &Known, id: Id) -> u64 {
    if id.clock == 0 || id.clock >= known.clock(id.client) {
        return 0;
    }
    let (start, end) = known.piece(id);
    if start == id.clock {
        return 0;
    }
    let moved = u64::from(known.pieces_of(id.client)) * MOVE_NS;
    let copied = u64::from(end - id.clock) / COPIED_PER_NS;
    SPLIT_NS + moved + copied + u64::from(id.clock - start) / COUNTED_PER_NS
}
