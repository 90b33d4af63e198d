//! How often people are told of, and the sizes from which it is less often.

use std::time::Duration;

use tokio::time::Instant;

/// How long the contribution of a session stays after the session has ended.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(5);
/// The most people in a team of whom everybody is told, and the most sessions in a room of a larger
/// team.
pub(super) const TEAM_MAX: usize = 128;
/// How long changes are collected: in a team of at most [`TEAM_MAX`] people, in a larger one, and in
/// one of at least [`HUGE_TEAM_MIN`].
const COLLECT: Duration = Duration::from_millis(100);
const COLLECT_LARGE: Duration = Duration::from_secs(1);
const COLLECT_HUGE: Duration = Duration::from_secs(2);
const HUGE_TEAM_MIN: usize = 1000;
/// How often in a row a person's entry is told, and how long it takes until it may be told once more.
pub(super) const TELLS_MAX: u32 = 10;
pub(super) const TELL_EVERY: Duration = Duration::from_secs(2);

/// How often a person's entry may still be told.
pub(super) struct TellBudget {
    tells: u32,
    /// From when on the next tell is earned.
    since: Instant,
}

/// How long changes are collected in a team of so many people.
pub(super) fn collected_for(people: usize) -> Duration {
    match people {
        ..=TEAM_MAX => COLLECT,
        HUGE_TEAM_MIN.. => COLLECT_HUGE,
        _ => COLLECT_LARGE,
    }
}

impl TellBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            tells: TELLS_MAX,
            since: now,
        }
    }

    /// Takes one tell.
    ///
    /// # Errors
    /// When the next one is earned, if there is none.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        while self.tells < TELLS_MAX && now >= self.since + TELL_EVERY {
            self.tells += 1;
            self.since += TELL_EVERY;
        }
        if self.tells == 0 {
            return Err(self.since + TELL_EVERY);
        }
        if self.tells == TELLS_MAX {
            self.since = now;
        }
        self.tells -= 1;
        Ok(())
    }
}
