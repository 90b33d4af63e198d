//! When a room ends: an idle one is unloaded, a draining one ends once all is written.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Message,
    core::{Phase, RoomCore},
    interface::Output,
    members::PeerHandle,
};
use crate::{error::Error, limits::Pressure};

impl<P: PeerHandle> RoomCore<P> {
    /// Ends a draining room once all is written, and asks to unload an idle one.
    pub(super) fn end_when_due(&mut self) {
        match self.phase {
            Phase::Draining if self.commits.is_idle() => self.close(Error::Draining),
            Phase::Open
                if self
                    .idle_from()
                    .is_some_and(|from| self.now.instant >= from) =>
            {
                self.notice_edit();
                self.outputs.push(Output::Unload);
            }
            _ => {}
        }
    }

    /// From when on the room may be unloaded; `None` while it is needed.
    pub(super) fn idle_from(&self) -> Option<Instant> {
        let is_needed = !self.members.is_empty()
            || !self.commits.is_idle()
            || self.document.is_snapshot_in_progress();
        match (&self.metadata, is_needed) {
            (_, true) => None,
            (None, false) => Some(self.needed_at),
            (Some(_), false) => Some(self.needed_at + self.idle_time()),
        }
    }

    /// How long a room is kept while it is not needed.
    fn idle_time(&self) -> Duration {
        match self.pressure {
            Pressure::Easy => Duration::from_millis(self.timing.room_idle_ms),
            Pressure::Tight | Pressure::Full => Duration::ZERO,
        }
    }

    /// Ends the room although members or handles exist: every member is told why.
    pub(super) fn close(&mut self, error: Error) {
        self.phase = Phase::Closed;
        self.acknowledge();
        self.outputs.push(Output::End(error.clone()));
        for ack in self.commits.abandon() {
            self.refuse(ack, error.clone());
        }
        if error != Error::Draining {
            let closed = Output::Announce(Message::Closed(error));
            self.outputs.push(closed);
        }
    }
}
