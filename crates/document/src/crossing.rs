//! Which places are the same in every replica, whatever came first.
//!
//! Yjs puts an element behind its left origin, and looks for its place among what
//! else was written there: up to its right origin, or the first element that hangs on
//! something further left. Each element hangs on its left origin, so that those which
//! hang on one another make a tree, and all that hangs on an element lies behind it in one
//! stretch. A right origin outside of that stretch bounds nothing, and one that hangs on the
//! left origin itself is where the search ends in every replica. But one that hangs on
//! something in between ends it at different places, depending on what is there already. No
//! editor writes so, for the two never were neighbours: what the right one hangs on stood
//! between them from the beginning.

use super::known::{Known, Origins};
use super::staged::{Staged, TooFar};
use super::update::Id;

/// So many steps are taken for one update at most: some 30 ms in a debug build, measured.
/// What they count as is [`cost::of_steps`](super::cost::of_steps).
const STEPS_MAX: u32 = 50_000;

impl Staged {
    /// Whether an element between `left` and `right` has no place that is the same in every
    /// replica. Both are in one parent.
    pub(super) fn is_crossed(
        &mut self,
        known: &Known,
        left: Option<Id>,
        right: Option<Id>,
    ) -> Result<bool, TooFar> {
        let Some(right) = right else {
            return Ok(false);
        };
        let Some(left) = left else {
            return Ok(self.left_origin(known, right).is_some());
        };
        // What was known to the left one does not hang on it.
        let of_left = self.begins(known, left);
        if of_left.is_none_or(|(_, origins)| origins.right == Some(right)) {
            return Ok(false);
        }
        let Some(behind) = self.left_origin(known, right) else {
            return Ok(false);
        };
        if behind == left {
            return Ok(false);
        }
        // Yjs cuts what holds both before the right one while it looks for the place, and then
        // takes the first part for the left one; where it was cut before, it does not.
        Ok(self.may_hold(known, left, right)? || self.hangs(known, behind, left)?)
    }

    /// Whether Yjs may have made one block of what was written from before `right` up to `left`.
    fn may_hold(&mut self, known: &Known, left: Id, right: Id) -> Result<bool, TooFar> {
        if left.client != right.client || left.clock < right.clock {
            return Ok(false);
        }
        let mut last = left;
        while let Some((clock, origins)) = self.begins(known, last) {
            if clock < right.clock {
                return Ok(true);
            }
            let Some(before) = origins.left else {
                break;
            };
            let continues = before.client == left.client && before.clock + 1 == clock;
            let bounds = self.begins(known, before).map(|(_, origins)| origins.right);
            if !continues || bounds != Some(origins.right) {
                break;
            }
            self.step()?;
            last = before;
        }
        Ok(false)
    }

    /// Whether `id` hangs on `on`, over however many others. It goes up from both, so that it
    /// soon sees where it is the other way round.
    fn hangs(&mut self, known: &Known, id: Id, on: Id) -> Result<bool, TooFar> {
        let (mut from, mut other) = (Some(id), Some(on));
        while let Some(at) = from {
            self.step()?;
            let up = |at: Option<Id>, to: Id| {
                let Some((at, (start, origins))) =
                    at.and_then(|at| Some((at, self.begins(known, at)?)))
                else {
                    return (false, None);
                };
                let meets = to.client == at.client && (start..=at.clock).contains(&to.clock);
                (meets, origins.left)
            };
            let (is_above, above) = up(Some(at), on);
            if is_above {
                return Ok(true);
            }
            let (is_below, other_above) = up(other, id);
            if is_below {
                return Ok(false);
            }
            (from, other) = (above, other_above);
        }
        Ok(false)
    }

    fn step(&mut self) -> Result<(), TooFar> {
        self.steps += 1;
        (self.steps <= STEPS_MAX).then_some(()).ok_or(TooFar)
    }

    fn left_origin(&self, known: &Known, id: Id) -> Option<Id> {
        let (start, origins) = self.begins(known, id)?;
        match start == id.clock {
            true => origins.left,
            false => Some(Id {
                clock: id.clock - 1,
                ..id
            }),
        }
    }

    /// Where the piece begins that holds the element `id`, and with which origins.
    pub(super) fn begins(&self, known: &Known, id: Id) -> Option<(u32, Origins)> {
        self.begun(id).or_else(|| known.begun(id))
    }
}
