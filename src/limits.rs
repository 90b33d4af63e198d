//! How fast one session may go: token buckets, one method per limited action.
//!
//! A refusal says when the same request would pass. Who goes on regardless is
//! told apart from who merely hurries: refusals have a bucket of their own.

use std::num::NonZeroU32;

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::{InMemoryState, NotKeyed},
};

use crate::{
    config::Limits,
    error::{Error, Result},
};

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock>;

/// The budgets of one session.
#[derive(Debug)]
pub struct Budget {
    requests: Bucket,
    updates: Bucket,
    refusals: Bucket,
    clock: DefaultClock,
}

/// What to do with a session whose request was refused for its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It may just be in a hurry: answer it.
    Tolerable,
    /// It goes on regardless: cut it.
    Abusive,
}

impl Budget {
    /// Full budgets, as `limits` sets them.
    pub fn new(limits: &Limits) -> Self {
        let refusals = limits
            .requests_per_second
            .saturating_mul(10)
            .max(limits.updates_burst);
        Self {
            requests: bucket(
                limits.requests_per_second,
                limits.requests_per_second.saturating_mul(2),
            ),
            updates: bucket(limits.updates_per_second, limits.updates_burst),
            refusals: bucket(limits.requests_per_second, refusals),
            clock: DefaultClock::default(),
        }
    }

    /// Any request that is neither an update nor an awareness update.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn admit_request(&self) -> Result<()> {
        self.admit(&self.requests)
    }

    /// A document or awareness update.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn admit_update(&self) -> Result<()> {
        self.admit(&self.updates)
    }

    /// Counts a refusal that [`Error::RateLimited`] caused.
    pub fn count_refusal(&self) -> Persistence {
        match self.refusals.check() {
            Ok(()) => Persistence::Tolerable,
            Err(_) => Persistence::Abusive,
        }
    }

    fn admit(&self, bucket: &Bucket) -> Result<()> {
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            Error::RateLimited { retry_after_ms }
        })
    }
}

fn bucket(per_second: u32, burst: u32) -> Bucket {
    let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(
        Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_updates_passes_and_the_next_one_is_told_when() {
        let budget = Budget::new(&Limits {
            updates_burst: 5000,
            ..Limits::default()
        });
        for n in 0..5000 {
            assert_eq!(budget.admit_update(), Ok(()), "update {n}");
        }
        let refused = (0..100)
            .find_map(|_| budget.admit_update().err())
            .expect("a refusal");
        assert!(
            refused
                .retry_after_ms()
                .is_some_and(|ms| (1..1000).contains(&ms))
        );
        assert_eq!(
            budget.admit_request(),
            Ok(()),
            "requests have a budget of their own"
        );
    }

    #[test]
    fn who_goes_on_regardless_is_abusive() {
        let limits = Limits {
            requests_per_second: 1,
            updates_burst: 20,
            ..Limits::default()
        };
        let budget = Budget::new(&limits);
        assert_eq!(budget.count_refusal(), Persistence::Tolerable);
        let abusive = (0..100).any(|_| budget.count_refusal() == Persistence::Abusive);
        assert!(abusive);
    }
}
