//! The simulated database loses its newest rows, as a replica that was behind has when it takes over.

use super::{
    Step,
    client::{CANNOT_ASK, rows, written},
    world::{FOREIGN, World},
};
use crate::room::interface::Input;

impl World {
    /// The log loses up to `count` rows, but none that a snapshot holds. Other instances write theirs again, and the room is told.
    pub(super) fn lose(&mut self, count: usize) {
        // Acks that promise these rows are not under way any more, and a snapshot that is being written is not put.
        if self.core.commits.acks_due().is_some() {
            self.take(Step::Wait(20));
        }
        self.take(Step::SnapshotFailed);
        if !self.log.exists || self.has_ended {
            return;
        }
        let kept = self.log.snapshot.as_ref().map_or(0, |(seq, _)| rows(*seq));
        let left = self.log.rows.len().saturating_sub(count).max(kept);
        let before = std::mem::take(&mut self.log.rows);
        self.log.elements.clear();
        for row in before.into_iter().take(left) {
            self.log.write(row);
        }
        let foreign = self.log.visible(FOREIGN);
        if foreign < self.foreign_wrote {
            self.log
                .write(written(FOREIGN, foreign, self.foreign_wrote));
        }
        self.lineage = self.lineage.next();
        self.put(Input::LineageEnded(self.lineage));
        self.foreign_due = self.foreign_wrote;
        self.hear();
    }
}

/// After a first loss the update is sent again while another one is accepted, and then the log loses the row that holds it once more.
#[test]
fn an_update_that_was_sent_again_is_acknowledged_when_its_lost_row_is_written_again() {
    const WRITER: u8 = CANNOT_ASK;
    const OTHER: u8 = 0;
    let mut world = World::new();
    for step in [
        Step::Join(OTHER),
        Step::Join(WRITER),
        Step::Type(WRITER),
        Step::Wait(100),
        Step::Written,
        Step::Lost(1),
        Step::Written,
        Step::Resend(OTHER),
        Step::Type(OTHER),
        Step::Resend(WRITER),
        Step::Lost(1),
        Step::Written,
        Step::Wait(20),
    ] {
        world.take(step);
    }
    world.settle();
}
