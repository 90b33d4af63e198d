//! When a room sends to its members: at once while it is quiet, once a tick while it is busy.
//!
//! The first messages of a tick go at once, so that a person who types is seen without delay: some
//! updates, and one message of cursors. What follows within the tick is gathered and sent as one message at its end, so that the
//! cost of a busy room grows with the number of its receivers and not with that of its senders.
//! `rows.rs` merges what was gathered.

use std::time::Duration;

use tokio::time::Instant;

/// How many deliveries of updates may go at once within a tick. A message counts once for each
/// receiver, because each is a write.
pub(super) const UPDATES_AT_ONCE: u64 = 16;

/// As [`UPDATES_AT_ONCE`], for awareness states: one message in a tick, because the next one replaces it.
pub(super) const STATES_AT_ONCE: u64 = 1;

/// The shortest tick for each receiver. A write costs some 10 µs, so that a room takes half a
/// core at most.
const TICK_PER_RECEIVER: Duration = Duration::from_micros(20);

/// Decides when the next message is sent.
pub(super) struct Pace {
    tick: Duration,
    at_once: u64,
    /// When the tick that has begun ends.
    ends: Option<Instant>,
    /// How many deliveries this tick has had.
    deliveries: u64,
}

impl Pace {
    /// A pace with ticks of `tick_ms` milliseconds, or longer ones for many receivers, and up to `at_once` deliveries that do not
    /// wait for the end of their tick.
    pub(super) fn new(tick_ms: u64, at_once: u64) -> Self {
        Self {
            tick: Duration::from_millis(tick_ms),
            at_once,
            ends: None,
            deliveries: 0,
        }
    }

    /// When a message that is ready now is due; `now` itself if at once.
    pub(super) fn due(&self, now: Instant) -> Instant {
        match self.ends {
            Some(ends) if now < ends && self.deliveries >= self.at_once => ends,
            _ => now,
        }
    }

    /// When the next tick begins; `now` if the last one is over.
    pub(super) fn next_tick(&self, now: Instant) -> Instant {
        self.ends.map_or(now, |ends| ends.max(now))
    }

    /// Notes that a message is sent to this number of receivers now.
    pub(super) fn sent(&mut self, receivers: u64, now: Instant) {
        if self.ends.is_none_or(|ends| now >= ends) {
            let fair = TICK_PER_RECEIVER * u32::try_from(receivers).unwrap_or(u32::MAX);
            self.ends = Some(now + self.tick.max(fair));
            self.deliveries = 0;
        }
        self.deliveries += receivers;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quiet_room_sends_at_once_and_a_busy_one_once_a_tick() {
        let mut pace = Pace::new(4, 16);
        let start = Instant::now();
        for _ in 0..16 / 4 {
            assert_eq!(pace.due(start), start);
            pace.sent(4, start);
        }
        let tick = Duration::from_millis(4);
        let next = start + tick;
        assert_eq!(pace.due(start), next, "one more is due at the tick's end");
        pace.sent(100, next);
        assert_eq!(pace.due(next), start + tick * 2, "still busy");
        let quiet = start + tick * 3;
        assert_eq!(pace.due(quiet), quiet, "quiet again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_message_of_cursors_waits_for_the_end_of_the_tick() {
        let mut pace = Pace::new(4, STATES_AT_ONCE);
        let start = Instant::now();
        assert_eq!(pace.due(start), start);
        pace.sent(1, start);
        assert_eq!(pace.due(start), start + Duration::from_millis(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_with_many_receivers_has_longer_ticks() {
        let mut pace = Pace::new(4, 16);
        let start = Instant::now();
        pace.sent(1500, start);
        assert_eq!(pace.due(start), start + Duration::from_millis(30));
    }
}
