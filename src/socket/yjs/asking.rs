//! When the server asks a client of y-socket.io for what the server lacks, by a step 1 of its own.
//!
//! It asks once at the beginning, behind its answer to the client's step 1: then `synced` of the client is
//! true only when the client has the document. It asks again while something of the client is missing: an
//! update that is pending, or one that could not be taken for a while. The protocol has no refusal of an
//! update, so this is how no edit is lost. The waits between these questions double, up to 30 s.
//!
//! This is a pure state: the time is a parameter.

use std::time::Duration;

use tokio::time::Instant;

/// The wait before the first question for something that is missing.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// For how long no other question is asked while one is not answered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked whether it was answered.
const ANSWER_CHECK: Duration = Duration::from_millis(500);

/// The questions of one client.
#[derive(Debug)]
pub(super) struct Asking {
    /// The number of the next question.
    next: u64,
    /// The question that is not answered yet, and when it was asked.
    open: Option<(u64, Instant)>,
    /// Whether something of the client is missing.
    is_owed: bool,
    /// Whether a timer runs, after which [`due`](Self::due) is called.
    is_timed: bool,
    /// The wait before the next question.
    wait: Duration,
}

/// What is due when a timer has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing is missing any more.
    Nothing,
    /// The question has to be asked.
    Question,
    /// A question is open: it is to be looked again after this time.
    After(Duration),
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            next: 0,
            open: None,
            is_owed: false,
            is_timed: false,
            wait: WAIT_MIN,
        }
    }
}

impl Asking {
    /// Whether a question has to be asked with the answer to a step 1 of the client.
    pub(super) fn belongs_to_answer(&self) -> bool {
        self.next == 0 || (self.is_owed && self.open.is_none())
    }

    /// Something of the client is missing. Returns the time after which [`due`](Self::due) has to be called,
    /// unless that is arranged already.
    pub(super) fn owe(&mut self) -> Option<Duration> {
        self.is_owed = true;
        if std::mem::replace(&mut self.is_timed, true) {
            return None;
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(WAIT_MAX);
        Some(wait)
    }

    /// The timer has run out.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        let is_open = |asked: &mut (u64, Instant)| now.duration_since(asked.1) < ANSWER_TIMEOUT;
        if self.is_owed && self.open.as_mut().is_some_and(is_open) {
            return Due::After(ANSWER_CHECK);
        }
        self.is_timed = false;
        match self.is_owed {
            true => Due::Question,
            false => Due::Nothing,
        }
    }

    /// A question is asked at `now`. Returns its number.
    pub(super) fn asked(&mut self, now: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open = Some((number, now));
        number
    }

    /// Whether the question of this number is not answered yet. There may be no such question.
    pub(super) fn is_open(&self, number: u64) -> bool {
        self.open.is_some_and(|(open, _)| open == number)
    }

    /// The open question was answered.
    pub(super) fn answered(&mut self) {
        self.open = None;
    }

    /// The answer was taken, and nothing of it is missing.
    pub(super) fn settled(&mut self) {
        self.is_owed = false;
        self.wait = WAIT_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_comes_with_a_question_and_later_ones_only_if_something_is_missing() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        assert!(asking.belongs_to_answer());
        let number = asking.asked(now);
        assert!(!asking.belongs_to_answer() && asking.is_open(number) && !asking.is_open(99));
        asking.answered();
        assert!(!asking.belongs_to_answer() && !asking.is_open(number));
        assert!(asking.owe().is_some() && asking.belongs_to_answer());
    }

    #[test]
    fn the_waits_double_up_to_half_a_minute_until_nothing_is_missing() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(asking.owe().expect("a timer"));
            assert_eq!(asking.owe(), None, "one timer suffices");
            assert_eq!(asking.due(now), Due::Question);
            asking.asked(now);
            asking.answered();
        }
        assert_eq!(waits[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(waits[11], WAIT_MAX);
        asking.settled();
        assert_eq!(asking.owe(), Some(WAIT_MIN));
        asking.settled();
        assert_eq!(asking.due(now), Due::Nothing);
    }

    #[test]
    fn while_a_question_is_open_no_other_is_asked_until_it_is_given_up() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        asking.asked(now);
        asking.owe();
        assert_eq!(asking.due(now), Due::After(ANSWER_CHECK));
        assert_eq!(asking.due(now + ANSWER_TIMEOUT), Due::Question);
    }
}
