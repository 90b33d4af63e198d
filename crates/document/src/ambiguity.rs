//! Which places are the same in every replica, whichever update came first.
//!
//! Yjs puts an element behind its left origin, and looks for its place among the elements that
//! others put there: up to its right origin, or the first element whose left origin lies further
//! left. By their left origins elements form a tree, and all descendants of an element lie
//! behind it in one stretch. A right origin outside of that stretch limits nothing, and a right
//! origin whose left origin is the same as the element's ends the search in every replica. But a
//! right origin that descends from an element in between ends the search at different places,
//! depending on what is there already. No editor writes such an element, because its two
//! neighbours never were neighbours: an ancestor of the right one stood between them from the
//! beginning.

use super::clocks::{Clocks, Origins};
use super::staged::{Staged, TooManySteps};
use super::update::Id;

/// So many steps are taken for one update at most: some 30 ms in a debug build, measured.
/// [`cost::of_steps`](super::cost::of_steps) is what they cost.
const STEPS_MAX: u32 = 50_000;

impl Staged {
    /// Whether an element between `left` and `right`, which have one parent, has no place that is
    /// the same in every replica.
    pub(super) fn is_ambiguous(
        &mut self,
        clocks: &Clocks,
        left: Option<Id>,
        right: Option<Id>,
    ) -> Result<bool, TooManySteps> {
        let Some(right) = right else {
            return Ok(false);
        };
        let Some(left) = left else {
            return Ok(self.left_origin(clocks, right).is_some());
        };
        // If the left one was made when the right one existed, the right one does not descend
        // from it.
        let left_item = self.item(clocks, left);
        if left_item.is_none_or(|(_, origins)| origins.right == Some(right)) {
            return Ok(false);
        }
        let Some(before_right) = self.left_origin(clocks, right) else {
            return Ok(false);
        };
        if before_right == left {
            return Ok(false);
        }
        // While it looks for the place, Yjs splits an item that holds both before the right one,
        // and then takes the first part for the left one; where the item was split before, it
        // does not.
        Ok(self.may_share_item(clocks, left, right)?
            || self.descends(clocks, before_right, left)?)
    }

    /// Whether Yjs may have made one item of elements from before `right` up to `left`.
    fn may_share_item(
        &mut self,
        clocks: &Clocks,
        left: Id,
        right: Id,
    ) -> Result<bool, TooManySteps> {
        if left.client != right.client || left.clock < right.clock {
            return Ok(false);
        }
        let mut last = left;
        while let Some((clock, origins)) = self.item(clocks, last) {
            if clock < right.clock {
                return Ok(true);
            }
            let Some(before) = origins.left else {
                break;
            };
            let continues = before.client == left.client && before.clock + 1 == clock;
            let right_origin = self.item(clocks, before).map(|(_, origins)| origins.right);
            if !continues || right_origin != Some(origins.right) {
                break;
            }
            self.step()?;
            last = before;
        }
        Ok(false)
    }

    /// Whether `id` descends from `ancestor`. It goes up from both, so that it soon ends where
    /// `ancestor` descends from `id`.
    fn descends(&mut self, clocks: &Clocks, id: Id, ancestor: Id) -> Result<bool, TooManySteps> {
        let (mut from, mut other) = (Some(id), Some(ancestor));
        while let Some(at) = from {
            self.step()?;
            let up = |at: Option<Id>, to: Id| {
                let Some((at, (start, origins))) =
                    at.and_then(|at| Some((at, self.item(clocks, at)?)))
                else {
                    return (false, None);
                };
                let meets = to.client == at.client && (start..=at.clock).contains(&to.clock);
                (meets, origins.left)
            };
            let (is_found, parent) = up(Some(at), ancestor);
            if is_found {
                return Ok(true);
            }
            let (is_reverse, other_parent) = up(other, id);
            if is_reverse {
                return Ok(false);
            }
            (from, other) = (parent, other_parent);
        }
        Ok(false)
    }

    fn step(&mut self) -> Result<(), TooManySteps> {
        self.steps += 1;
        (self.steps <= STEPS_MAX).then_some(()).ok_or(TooManySteps)
    }

    fn left_origin(&self, clocks: &Clocks, id: Id) -> Option<Id> {
        let (start, origins) = self.item(clocks, id)?;
        match start == id.clock {
            true => origins.left,
            false => Some(Id {
                clock: id.clock - 1,
                ..id
            }),
        }
    }

    /// The clock at which the item begins that holds the element `id`, and its origins.
    pub(super) fn item(&self, clocks: &Clocks, id: Id) -> Option<(u32, Origins)> {
        self.staged_item(id).or_else(|| clocks.item(id))
    }
}
