//! What the main service answered about tokens, by their hashes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Verdict;

/// The most tokens whose answers are kept: about 20 MB. Beyond it an answer is used only once.
const ANSWERS_MAX: usize = 100_000;
/// The number of answers at which the first sweep removes those that are no longer needed.
const SWEEP_MIN: usize = 1024;

type Hash = [u8; 32];

/// The answers about all tokens.
#[derive(Default)]
pub(super) struct Answers {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    slots: HashMap<Hash, Arc<Slot>>,
    /// Sweeps are rare enough that their cost does not count: see [`Kept::sweep`].
    sweep_at: usize,
    swept_at: Option<Instant>,
}

/// An answer of the main service.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    verdict: Verdict,
    pub(super) at: Instant,
}

/// The answer about one token, which callers may wait for.
#[derive(Default)]
pub(super) struct Slot {
    /// Locked by the caller that asks.
    pub(super) asking: tokio::sync::Mutex<()>,
    answer: Mutex<Option<Answer>>,
}

impl Answers {
    /// The last answer about a token, however old.
    pub(super) fn find(&self, hash: &Hash) -> Option<Answer> {
        let kept = self.kept.lock();
        let slot = kept.slots.get(hash)?;
        *slot.answer.lock()
    }

    /// The place of the answer about a token. Answers that are older than `retention` may be removed.
    pub(super) fn slot(&self, hash: &Hash, retention: Duration) -> Arc<Slot> {
        let mut kept = self.kept.lock();
        if let Some(slot) = kept.slots.get(hash) {
            return Arc::clone(slot);
        }
        if kept.slots.len() >= kept.sweep_at.max(SWEEP_MIN) {
            kept.sweep(retention);
        }
        let slot = Arc::new(Slot::default());
        if kept.slots.len() < ANSWERS_MAX {
            kept.slots.insert(*hash, Arc::clone(&slot));
        }
        slot
    }
}

impl Kept {
    /// Removes what is old and not waited for; at most once a second, because it looks at all.
    fn sweep(&mut self, retention: Duration) {
        let recently = |at: Instant| at.elapsed() < Duration::from_secs(1);
        if self.swept_at.is_some_and(recently) {
            return;
        }
        self.swept_at = Some(Instant::now());
        self.slots.retain(|_, slot| {
            let answer = *slot.answer.lock();
            answer.is_some_and(|answer| answer.at.elapsed() < retention)
                || Arc::strong_count(slot) > 1
        });
        self.sweep_at = (self.slots.len() * 2).min(ANSWERS_MAX);
    }
}

impl Slot {
    /// The verdict of an answer that is younger than `age`.
    pub(super) fn verdict_within(&self, age: Duration) -> Option<Verdict> {
        let answer = (*self.answer.lock())?;
        (answer.at.elapsed() < age).then_some(answer.verdict)
    }

    /// Notes an answer.
    pub(super) fn answered(&self, verdict: Verdict, at: Instant) {
        *self.answer.lock() = Some(Answer { verdict, at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Duration = Duration::from_secs(600);

    fn hash(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_its_time_and_the_number_of_answers_is_bounded() {
        let answers = Answers::default();
        for number in 0..ANSWERS_MAX + 10 {
            let slot = answers.slot(&hash(number), RETENTION);
            slot.answered(Verdict::Active, Instant::now());
        }
        assert_eq!(answers.kept.lock().slots.len(), ANSWERS_MAX);
        let beyond = hash(ANSWERS_MAX + 1);
        assert!(answers.find(&beyond).is_none());
        let held = answers.slot(&hash(0), RETENTION);
        tokio::time::advance(RETENTION).await;
        assert_eq!(held.verdict_within(RETENTION), None);
        answers.slot(&beyond, RETENTION);
        assert_eq!(
            answers.kept.lock().slots.len(),
            2,
            "the new one, and the one in use"
        );
    }
}
