//! The state of a connection that began with polling: its open requests, and its upgrade.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The state of one connection that began with polling.
#[derive(Default)]
pub(super) struct PollingState {
    flags: Mutex<Flags>,
    /// Wakes the task that observes the deadlines: after the end, an answer to a ping, or
    /// an upgrade.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct Flags {
    /// A GET is waiting for messages.
    get_open: bool,
    /// A POST is being read.
    post_open: bool,
    /// A ping was answered since this was last asked.
    ping_answered: bool,
    /// A WebSocket was opened to take over the connection.
    probing: bool,
    /// The WebSocket sent its probe, so the upgrade is under way.
    upgrading: bool,
    /// The WebSocket took over.
    upgraded: bool,
}

impl PollingState {
    /// Begins a GET; `None` while another one is open.
    pub(super) fn begin_get(&self) -> Option<OpenRequest<'_>> {
        OpenRequest::begin(self, |flags| &mut flags.get_open)
    }

    /// Begins a POST; `None` while another one is open.
    pub(super) fn begin_post(&self) -> Option<OpenRequest<'_>> {
        OpenRequest::begin(self, |flags| &mut flags.post_open)
    }

    /// Whether an upgrade is under way.
    pub(super) fn is_upgrading(&self) -> bool {
        self.flags.lock().upgrading
    }

    /// Runs `take`, with the upgrade locked out, unless the poll has to end because of an
    /// upgrade. A poll that `began_upgrading` ends only when the upgrade is complete.
    pub(super) fn unless_poll_ends<T>(
        &self,
        began_upgrading: bool,
        take: impl FnOnce() -> T,
    ) -> Option<T> {
        let flags = self.flags.lock();
        let ends = flags.upgraded || (flags.upgrading && !began_upgrading);
        (!ends).then(take)
    }

    /// Notes that a ping was answered.
    pub(super) fn note_ping_answer(&self) {
        self.flags.lock().ping_answered = true;
        self.changed.notify_one();
    }

    /// Whether a ping was answered since the last call; `None` once the connection is upgraded.
    pub(super) fn take_ping_answer(&self) -> Option<bool> {
        let mut flags = self.flags.lock();
        (!flags.upgraded).then(|| std::mem::take(&mut flags.ping_answered))
    }

    /// Reserves the upgrade for one WebSocket; `false` while another one has it, or after
    /// the upgrade.
    pub(super) fn begin_probe(&self) -> bool {
        let mut flags = self.flags.lock();
        !flags.upgraded && !std::mem::replace(&mut flags.probing, true)
    }

    /// The WebSocket sent its probe: open polls end.
    pub(super) fn begin_upgrade(&self) {
        self.flags.lock().upgrading = true;
    }

    /// The WebSocket takes over and polling ends; `false` without a probe. `change` runs
    /// while no poll can take messages.
    pub(super) fn complete_upgrade(&self, change: impl FnOnce()) -> bool {
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

    /// The WebSocket failed before it took over, or it has taken over.
    pub(super) fn end_probe(&self) {
        let mut flags = self.flags.lock();
        flags.probing = false;
        flags.upgrading = false;
    }
}

/// A GET or POST, the only one of its connection until it is dropped.
pub(super) struct OpenRequest<'a> {
    polling: &'a PollingState,
    flag: fn(&mut Flags) -> &mut bool,
}

impl<'a> OpenRequest<'a> {
    fn begin(polling: &'a PollingState, flag: fn(&mut Flags) -> &mut bool) -> Option<Self> {
        let open = std::mem::replace(flag(&mut polling.flags.lock()), true);
        (!open).then_some(Self { polling, flag })
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        *(self.flag)(&mut self.polling.flags.lock()) = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_websocket_at_a_time_may_probe_and_only_a_probed_one_takes_over() {
        let polling = PollingState::default();
        assert!(polling.begin_probe());
        assert!(!polling.begin_probe(), "another one is probing");
        assert!(!polling.complete_upgrade(|| panic!("it sent no probe")));
        polling.end_probe();
        assert!(polling.begin_probe(), "the first one has failed");
        polling.begin_upgrade();
        assert!(polling.complete_upgrade(|| {}));
        polling.end_probe();
        assert!(!polling.begin_probe(), "the upgrade is complete");
    }
}
