//! Whether the peer is still there: pings at intervals, answered in time.

use std::time::Duration;

use tokio::time::Instant;

use super::options::Options;

/// The pings of one connection.
pub(super) struct Heartbeat {
    due: Instant,
    pinged_at: Option<Instant>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing yet.
    Rest,
    /// A ping.
    Ping,
    /// The end: the last one was not answered.
    Silence,
}

impl Heartbeat {
    /// Pings for the first time when `after` is over.
    pub(super) fn begin(after: Duration) -> Self {
        Self {
            due: Instant::now() + after,
            pinged_at: None,
        }
    }

    /// When to [look](Self::beat) again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// What is due at `now`. A ping counts as sent.
    pub(super) fn beat(&mut self, now: Instant, options: &Options) -> Beat {
        if now < self.due {
            return Beat::Rest;
        }
        if self.pinged_at.is_some() {
            return Beat::Silence;
        }
        self.pinged_at = Some(now);
        self.due = now + options.ping_timeout;
        Beat::Ping
    }

    /// The peer answered.
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
    async fn an_answer_brings_the_next_ping_and_silence_the_end() {
        let options = Options {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            ..Options::default()
        };
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut heartbeat = Heartbeat::begin(options.ping_interval);
        assert_eq!(heartbeat.beat(at(24), &options), Beat::Rest);
        assert_eq!(heartbeat.beat(at(25), &options), Beat::Ping);
        assert_eq!(heartbeat.due(), at(45));
        heartbeat.answered(&options);
        heartbeat.answered(&options);
        assert_eq!(heartbeat.due(), at(50));
        assert_eq!(heartbeat.beat(at(50), &options), Beat::Ping);
        assert_eq!(heartbeat.beat(at(69), &options), Beat::Rest);
        assert_eq!(heartbeat.beat(at(70), &options), Beat::Silence);
    }
}
