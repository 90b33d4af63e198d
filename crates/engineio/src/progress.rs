//! Whether the frames of a peer make progress: messages arrive in time, and few frames carry nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::{decoder::Seen, receiver::Limits};

/// The least rate at which the bytes of a message arrive, beside the time for which it may stall.
const BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// What is known about the frames of one connection.
pub(super) struct Progress {
    limits: Limits,
    /// When the frames that carry nothing are forgotten; the farther ahead, the more there were.
    bare_until: Option<Instant>,
    partial: Option<Partial>,
}

/// A message that is arriving.
#[derive(Clone, Copy)]
struct Partial {
    since: Instant,
    bytes: u64,
}

impl Progress {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            bare_until: None,
            partial: None,
        }
    }

    /// Notes that `bytes` arrived, in which `seen` was decoded. Returns `false` if too many frames
    /// carried nothing.
    pub(super) fn note(&mut self, bytes: usize, seen: Seen) -> bool {
        if seen.messages > 0 {
            self.partial = None;
        }
        if let Some(partial) = &mut self.partial {
            partial.bytes += bytes as u64;
        }
        seen.bare == 0 || self.charge(seen.bare)
    }

    fn charge(&mut self, bare: u32) -> bool {
        let Limits {
            bare_frames_per_second: per_second,
            bare_frames_burst: burst,
            ..
        } = self.limits;
        let now = Instant::now();
        let each = Duration::from_secs(1) / per_second.max(1);
        let until = self.bare_until.map_or(now, |until| until.max(now)) + each * bare;
        self.bare_until = Some(until);
        until - now <= each * burst
    }

    /// When a message that is arriving is late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let Partial { since, bytes } = self.partial?;
        let at_least_rate = Duration::from_secs(bytes / BYTES_PER_SECOND_MIN);
        Some(since + at_least_rate + self.limits.partial_timeout)
    }

    /// Notes whether a message `is_partial`, and returns whether it is late. The time does not
    /// count while reading is `paused`.
    pub(super) fn is_late(&mut self, is_partial: bool, paused: bool) -> bool {
        if !is_partial {
            self.partial = None;
            return false;
        }
        if paused || self.partial.is_none() {
            let bytes = self.partial.map_or(0, |partial| partial.bytes);
            let since = Instant::now();
            self.partial = Some(Partial { since, bytes });
            return false;
        }
        self.deadline().is_some_and(|late| late <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(messages: u32, bare: u32) -> Seen {
        let frames = messages + bare;
        Seen {
            frames,
            messages,
            bare,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_carry_nothing_have_a_burst_and_a_rate() {
        let mut progress = Progress::new(Limits::default());
        assert!(progress.note(6000, seen(0, 1000)));
        assert!(!progress.note(6, seen(0, 1)));
        let mut progress = Progress::new(Limits::default());
        assert!(progress.note(6000, seen(0, 1000)));
        for _ in 0..100 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(progress.note(300, seen(10_000, 50)), "messages are free");
        }
        assert!(!progress.note(6, seen(0, 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_late_when_it_stalls_or_trickles() {
        let seconds = |n| tokio::time::advance(Duration::from_secs(n));
        let mut progress = Progress::new(Limits::default());
        assert!(!progress.is_late(true, false));
        seconds(14).await;
        assert!(
            !progress.is_late(true, true),
            "the time does not count while nothing is read"
        );
        seconds(14).await;
        assert!(!progress.is_late(true, false));
        progress.note(10, seen(1, 0));
        assert!(!progress.is_late(true, false), "the next one began");
        seconds(14).await;
        assert!(progress.note(1, seen(0, 0)));
        assert!(!progress.is_late(true, false));
        seconds(1).await;
        assert!(progress.is_late(true, false), "a byte is no progress");
        assert!(!progress.is_late(false, false));
        assert!(!progress.is_late(true, false));
        for _ in 0..100 {
            seconds(1).await;
            progress.note(16 * 1024, seen(0, 0));
            assert!(!progress.is_late(true, false), "a slow line");
        }
    }
}
