//! When the writes of a provider of Hocuspocus are acknowledged.
//!
//! A provider counts its writes, and takes every acknowledgement for one of them. With each step 1 it counts from one again: the step 2
//! with which it answers the server's step 1. After that step 1 it sends what it has written while it was not connected, which
//! it does not count any more. If that were acknowledged first, the provider would say that everything is saved while its
//! step 2 is not. So between a step 1 and its step 2 nothing is acknowledged; then everything is, at once.
//!
//! A write that is durable and not visible yet is acknowledged with the answer that brings what it depends on.

use document::Visibility;

/// The writes of one client that are durable and not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// How many steps 1 of the client have no durable step 2 yet.
    synchronising: u32,
    /// How many writes are acknowledged later.
    withheld: u32,
    /// Whether one of them depends on something that the server lacks.
    is_missing: bool,
}

impl Acks {
    /// The client has sent a step 1. Returns how many writes to acknowledge now, as all of these methods do.
    pub(super) fn step_1(&mut self) -> u32 {
        self.synchronising = self.synchronising.saturating_add(1);
        0
    }

    /// An update is durable.
    pub(super) fn update(&mut self, visibility: Visibility) -> u32 {
        let is_pending = visibility == Visibility::Pending;
        if !is_pending && self.synchronising == 0 {
            return 1;
        }
        self.is_missing |= is_pending;
        self.withheld = self.withheld.saturating_add(1);
        0
    }

    /// The step 2 with which the client synchronises is durable.
    pub(super) fn step_2(&mut self, visibility: Visibility) -> u32 {
        self.synchronising = self.synchronising.saturating_sub(1);
        self.is_missing = visibility == Visibility::Pending;
        self.withheld = self.withheld.saturating_add(1);
        self.release()
    }

    /// That step 2 was refused.
    pub(super) fn step_2_refused(&mut self) -> u32 {
        self.synchronising = self.synchronising.saturating_sub(1);
        self.release()
    }

    /// The answer to a question of the server is durable and visible.
    pub(super) fn answer(&mut self) -> u32 {
        self.is_missing = false;
        self.release()
    }

    fn release(&mut self) -> u32 {
        match self.synchronising == 0 && !self.is_missing {
            true => std::mem::take(&mut self.withheld),
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Visibility::{Pending, Visible};

    #[test]
    fn between_a_step_1_and_its_step_2_nothing_is_acknowledged() {
        let mut acks = Acks::default();
        assert_eq!(acks.update(Visible), 1);
        acks.step_1();
        assert_eq!([acks.update(Visible), acks.update(Visible)], [0, 0]);
        assert_eq!(acks.step_2(Visible), 3);
        assert_eq!(acks.update(Visible), 1);
        assert_eq!([acks.step_1(), acks.step_1()], [0, 0]);
        assert_eq!([acks.step_2(Visible), acks.step_2(Visible)], [0, 2]);
        acks.step_1();
        assert_eq!([acks.update(Visible), acks.step_2_refused()], [0, 1]);
    }

    #[test]
    fn what_is_not_visible_is_acknowledged_with_the_answer_that_brings_what_it_depends_on() {
        let mut acks = Acks::default();
        assert_eq!([acks.update(Pending), acks.update(Visible)], [0, 1]);
        assert_eq!([acks.answer(), acks.answer()], [1, 0]);
        acks.step_1();
        assert_eq!([acks.step_2(Pending), acks.update(Visible)], [0, 1]);
        assert_eq!(acks.answer(), 1);
        assert_eq!(acks.update(Pending), 0);
        acks.step_1();
        assert_eq!(acks.step_2(Visible), 2, "it has brought everything");
    }
}
