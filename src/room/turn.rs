//! The end of a turn: what a room does because it is due, and when the next turn has to end.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    core::{Phase, RoomCore, UpdateCounts},
    interface::Output,
    members::PeerHandle,
};

/// How often a room checks the queues of lagging members.
const LAGGING_CHECK_EVERY: Duration = Duration::from_millis(100);
/// How often a room removes awareness states that were not renewed.
const AWARENESS_SWEEP_EVERY: Duration = Duration::from_secs(5);

impl<P: PeerHandle> RoomCore<P> {
    /// Relays, appends and acknowledges what is due, then does the periodic work.
    pub(super) fn end_turn(&mut self) {
        let UpdateCounts { received, accepted } = std::mem::take(&mut self.counts);
        if received > 0 {
            self.metrics.updates_handled(received, accepted);
        }
        self.is_log_compared = false;
        self.send_due();
        self.cut_lagging();
        self.sweep_awareness();
        self.put_snapshot_when_due();
        self.notice_edit_when_due();
        self.end_when_due();
    }

    /// Relays updates and awareness states and sends acks, as far as they are due.
    fn send_due(&mut self) {
        let now = self.now.instant;
        let is_draining = self.phase == Phase::Draining;
        let has_updates = self.commits.accepted() > 0;
        let flush = has_updates && (is_draining || self.relay_pace.due(now) <= now);
        if flush {
            self.flush();
        }
        self.append_when_due();
        // Awareness states wait for the updates that came with them, so that one write takes both.
        if let Some(due) = self.awareness_due()
            && (flush || (!has_updates && due <= now))
        {
            self.relay_awareness();
        }
        let acks_due = self.commits.acks_due();
        if flush || acks_due.is_some_and(|due| is_draining || due <= now) {
            self.acknowledge();
        }
    }

    /// When updates or awareness states are due to be relayed; `None` if there are none.
    pub(super) fn relay_due(&self) -> Option<Instant> {
        match self.commits.accepted() > 0 {
            true => Some(self.relay_pace.due(self.now.instant)),
            false => self.awareness_due(),
        }
    }

    /// Cuts the members that have lagged for too long.
    fn cut_lagging(&mut self) {
        if self.members.any_lagging() {
            let timeout = Duration::from_millis(self.timing.lag_timeout_ms);
            let late = self.members.lagging_for(self.now.instant, timeout).cloned();
            let cut = late.map(|peer| Output::Cut(peer, "lagging"));
            self.outputs.extend(cut);
        }
    }

    /// Removes awareness states that were not renewed in time.
    fn sweep_awareness(&mut self) {
        let now = self.now.instant;
        if now >= self.swept_at + AWARENESS_SWEEP_EVERY {
            self.swept_at = now;
            let timeout = self.timing.awareness_timeout_ms;
            let timeout = i64::try_from(timeout).unwrap_or(i64::MAX);
            let removed = self.awareness.sweep(self.age_ms(), timeout);
            self.relay_removed(&removed);
        }
    }

    /// When the next turn has to end, even if no other input comes before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let now = self.now.instant;
        let check_lagging = self
            .members
            .any_lagging()
            .then(|| now + LAGGING_CHECK_EVERY);
        let sweep = (!self.awareness.is_empty()).then(|| self.swept_at + AWARENESS_SWEEP_EVERY);
        let all = [
            self.idle_from(),
            self.relay_due(),
            self.commits.append_due(now),
            self.commits.acks_due(),
            check_lagging,
            sweep,
            self.edit_notice_due(),
        ];
        all.into_iter().flatten().min()
    }
}
