//! How the requests of a connection that polls stand to one another.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How the requests of a connection stand to one another.
#[derive(Default)]
pub(super) struct PollingState {
    flags: Mutex<Flags>,
    /// Wakes the task that keeps time: the end, an answer to a ping, an upgrade.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct Flags {
    /// A GET waits.
    reading: bool,
    /// A POST is being read.
    posting: bool,
    /// A ping was answered.
    answered: bool,
    /// A WebSocket wants to take over.
    probing: bool,
    /// It showed that it can.
    upgrading: bool,
    /// It did.
    upgraded: bool,
}

impl PollingState {
    /// Lets one GET wait; `None` while another one does.
    pub(super) fn begin_get(&self) -> Option<Turn<'_>> {
        Turn::take(self, |flags| &mut flags.reading)
    }

    /// Lets one POST be read; `None` while another one is.
    pub(super) fn begin_post(&self) -> Option<Turn<'_>> {
        Turn::take(self, |flags| &mut flags.posting)
    }

    /// Whether a WebSocket showed that it can take over.
    pub(super) fn is_upgrading(&self) -> bool {
        self.flags.lock().upgrading
    }

    /// Runs `take` unless polls are let go; no WebSocket takes over meanwhile. A poll that
    /// `came_upgrading` is let go only when one did.
    pub(super) fn unless_let_go<T>(
        &self,
        came_upgrading: bool,
        take: impl FnOnce() -> T,
    ) -> Option<T> {
        let flags = self.flags.lock();
        let let_go = flags.upgraded || (flags.upgrading && !came_upgrading);
        (!let_go).then(take)
    }

    /// A ping was answered.
    pub(super) fn note_answer(&self) {
        self.flags.lock().answered = true;
        self.changed.notify_one();
    }

    /// Whether a ping was answered since the last call; `None` once the connection is upgraded.
    pub(super) fn take_answer(&self) -> Option<bool> {
        let mut flags = self.flags.lock();
        (!flags.upgraded).then(|| std::mem::take(&mut flags.answered))
    }

    /// Lets one WebSocket try to take over; `false` where one does, or did.
    pub(super) fn begin_probe(&self) -> bool {
        let mut flags = self.flags.lock();
        !flags.upgraded && !std::mem::replace(&mut flags.probing, true)
    }

    /// The WebSocket works: polls are let go.
    pub(super) fn announce_upgrade(&self) {
        self.flags.lock().upgrading = true;
    }

    /// The WebSocket takes over: polling is at its end. `change` runs while no poll can.
    pub(super) fn upgrade(&self, change: impl FnOnce()) -> bool {
        let mut flags = self.flags.lock();
        if !flags.upgrading {
            return false;
        }
        flags.upgraded = true;
        change();
        drop(flags);
        self.changed.notify_one();
        true
    }

    /// The WebSocket is gone, or needs no place beside polling any more.
    pub(super) fn end_probe(&self) {
        let mut flags = self.flags.lock();
        flags.probing = false;
        flags.upgrading = false;
    }
}

/// The only GET or POST of its connection, while it lasts.
pub(super) struct Turn<'a> {
    polling: &'a PollingState,
    place: fn(&mut Flags) -> &mut bool,
}

impl<'a> Turn<'a> {
    fn take(polling: &'a PollingState, place: fn(&mut Flags) -> &mut bool) -> Option<Self> {
        let taken = std::mem::replace(place(&mut polling.flags.lock()), true);
        (!taken).then_some(Self { polling, place })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *(self.place)(&mut self.polling.flags.lock()) = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_websocket_may_try_and_only_a_working_one_takes_over() {
        let polling = PollingState::default();
        assert!(polling.begin_probe());
        assert!(!polling.begin_probe(), "one tries already");
        assert!(!polling.upgrade(|| panic!("it did not answer a probe")));
        polling.end_probe();
        assert!(polling.begin_probe(), "the first one is gone");
        polling.announce_upgrade();
        assert!(polling.upgrade(|| {}));
        polling.end_probe();
        assert!(!polling.begin_probe(), "it is done");
    }
}
