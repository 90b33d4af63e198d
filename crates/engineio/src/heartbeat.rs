//! Detects a peer that is gone: pings at intervals, each to be answered in time.

use std::time::Duration;

use tokio::time::Instant;

use super::options::Options;

/// The schedule of one connection's pings.
pub(super) struct Heartbeat {
    due: Instant,
    pinged_at: Option<Instant>,
}

/// The action that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing yet.
    Nothing,
    /// A ping has to be sent.
    Ping,
    /// The last ping was not answered in time: the connection has to end.
    TimedOut,
}

impl Heartbeat {
    /// A schedule whose first ping is due after `after`.
    pub(super) fn begin(after: Duration) -> Self {
        Self {
            due: Instant::now() + after,
            pinged_at: None,
        }
    }

    /// When to ask [`beat`](Self::beat) again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The action that is due at `now`. A ping that is returned counts as sent.
    pub(super) fn beat(&mut self, now: Instant, options: &Options) -> Beat {
        if now < self.due {
            return Beat::Nothing;
        }
        if self.pinged_at.is_some() {
            return Beat::TimedOut;
        }
        self.pinged_at = Some(now);
        self.due = now + options.ping_timeout;
        Beat::Ping
    }

    /// Notes that the peer answered.
    pub(super) fn answered(&mut self, options: &Options) {
        if let Some(pinged_at) = self.pinged_at.take() {
            self.due = pinged_at + options.ping_interval;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_schedules_the_next_ping_and_a_missing_answer_ends() {
        let options = Options {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            ..Options::default()
        };
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut heartbeat = Heartbeat::begin(options.ping_interval);
        assert_eq!(heartbeat.beat(at(24), &options), Beat::Nothing);
        assert_eq!(heartbeat.beat(at(25), &options), Beat::Ping);
        assert_eq!(heartbeat.due(), at(45));
        heartbeat.answered(&options);
        heartbeat.answered(&options);
        assert_eq!(heartbeat.due(), at(50));
        assert_eq!(heartbeat.beat(at(50), &options), Beat::Ping);
        assert_eq!(heartbeat.beat(at(69), &options), Beat::Nothing);
        assert_eq!(heartbeat.beat(at(70), &options), Beat::TimedOut);
    }
}
