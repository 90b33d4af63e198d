//! What integrating an update may cost beyond what its length costs, before it is paid.
//!
//! Three things make a short update costly: an element that has to find its place
//! among many that others put at the same place; an item that is split where its client
//! has many items; and the split of a long item. All
//! figures are upper bounds, in nanoseconds, measured with yrs 0.28.1 on one core.

use std::ops::Range;
use std::time::Duration;

use super::clocks::Clocks;
use super::update::{Id, Run};
use crate::ClientId;

/// An update of up to this cost is integrated in one go, without a look at each of its parts.
pub(super) const CHEAP_MAX: Duration = Duration::from_millis(2);
/// An update of more than this cost is tried on a copy of the document first.
pub(super) const UNTRIED_MAX: Duration = Duration::from_millis(40);
/// How long one update may take in all, and how long all costly updates of a document may take
/// together, because they take as long again whenever the document is opened …
pub(super) const UPDATE_MAX: Duration = Duration::from_millis(50);
/// … besides so much for each item of the document.
pub(super) const PER_ITEM: Duration = Duration::from_nanos(500);
/// How long an update may take even where a document has used all of that.
pub(super) const UPDATE_MIN: Duration = Duration::from_millis(1);
/// The most new ranges that one update may delete: each takes a microsecond at least.
pub(super) const DELETES_MAX: usize = 80_000;

/// To pass one item on the way to an element's place: two hash sets and a search.
const PASS_NS: u64 = 800;
/// To go from one item to its left origin: a hash map and a search, twice. Estimated.
const STEP_NS: u64 = 150;
/// To split an item.
const SPLIT_NS: u64 = 150;
/// To move one item of a client aside.
const MOVE_NS: u64 = 1;
/// So many elements of an item are copied in a nanosecond.
const COPIED_PER_NS: u64 = 8;
/// So many elements of an item are counted in a nanosecond to find where to split it.
const COUNTED_PER_NS: u64 = 2;

/// The cost of passing so many items.
pub(super) fn of_passing(items: u32) -> u64 {
    u64::from(items) * PASS_NS
}

/// The cost of the steps that it took to see whether a place is ambiguous.
pub(super) fn of_steps(steps: u32) -> u64 {
    u64::from(steps) * STEP_NS
}

/// An upper bound for the cost of splitting any item of `client`.
pub(super) fn of_any_split(clocks: &Clocks, client: ClientId) -> u64 {
    let moved = u64::from(clocks.items_of(client)) * MOVE_NS;
    SPLIT_NS + moved + u64::from(clocks.clock(client)) / COUNTED_PER_NS
}

/// The cost of a block that has to pass so many items.
pub(super) fn of_block(clocks: &Clocks, run: Run, passed: u32) -> u64 {
    let mut cost = of_passing(passed);
    if passed == 0 && run.continues() {
        return cost;
    }
    if let Some(left) = run.place.left() {
        let next = Id {
            clock: left.clock + 1,
            ..left
        };
        cost += of_split(clocks, next);
    }
    if let Some(right) = run.place.right() {
        cost += of_split(clocks, right);
    }
    cost
}

/// The cost of a deletion.
pub(super) fn of_delete(clocks: &Clocks, client: ClientId, range: &Range<u32>) -> u64 {
    let at = |clock| of_split(clocks, Id { client, clock });
    SPLIT_NS + at(range.start) + at(range.end)
}

/// The cost of having an item begin at `id`.
fn of_split(clocks: &Clocks, id: Id) -> u64 {
    if id.clock == 0 || id.clock >= clocks.clock(id.client) {
        return 0;
    }
    let (start, end) = clocks.item_range(id);
    if start == id.clock {
        return 0;
    }
    let moved = u64::from(clocks.items_of(id.client)) * MOVE_NS;
    let copied = u64::from(end - id.clock) / COPIED_PER_NS;
    SPLIT_NS + moved + copied + u64::from(id.clock - start) / COUNTED_PER_NS
}
