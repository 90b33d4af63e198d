//! When the server asks a client for what it lacks, because some of the client's edits depend on
//! something that the server does not have.
//!
//! A stock client cannot be told that its edit is pending; but asked with the server's state vector it
//! sends everything that the server lacks. If it does not have that either, the next answer is pending
//! again, so the server asks less and less often.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest and the longest time from one question to the next.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The pace of the questions to one client.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// The next question is not asked earlier than this; `None` before the first one.
    not_before: Option<Instant>,
    wait: Duration,
    is_wanted: bool,
}

impl Asking {
    /// Notes that something is missing. Returns whether to ask now; otherwise at [`due`](Self::due).
    pub(super) fn want(&mut self, now: Instant) -> bool {
        self.is_wanted = true;
        self.take(now)
    }

    /// When to call [`take`](Self::take); `None` if there is nothing to ask.
    pub(super) fn due(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.is_wanted)
    }

    /// Returns whether to ask at `now`.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let early = self.not_before.is_some_and(|not_before| now < not_before);
        if !self.is_wanted || early {
            return false;
        }
        let rested = self.not_before.is_none_or(|it| now >= it + WAIT_MAX);
        self.wait = match rested {
            true => WAIT_MIN,
            false => (self.wait * 2).min(WAIT_MAX),
        };
        self.not_before = Some(now + self.wait);
        self.is_wanted = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_come_less_and_less_often_until_nothing_is_missing_for_a_while() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut asking = Asking::default();
        assert_eq!(asking.due(), None);
        assert!(!asking.take(at(0)), "nothing is missing");
        let mut asked = Vec::new();
        for second in 0..100 {
            if asking.want(at(second)) {
                asked.push(second);
            }
            assert!(asking.due().is_none_or(|due| due > at(second)));
        }
        assert_eq!(asked, [0, 1, 3, 7, 15, 31, 61, 91]);
        assert!(asking.take(at(121)), "as was wanted");
        assert!(!asking.take(at(500)), "once");
        assert!(asking.want(at(1000)));
        assert!(
            asking.want(at(1001)),
            "after a rest the first wait is short"
        );
    }
}
