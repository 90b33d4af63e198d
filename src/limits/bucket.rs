//! A token bucket that may go into debt, as one number.
//!
//! The number is the time at which the bucket will be full again (the generic cell rate
//! algorithm, inverted). Taking from the bucket moves it into the future. Taking and
//! charging are one atomic operation each, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

const SECOND_NS: u64 = 1_000_000_000;

/// The rate at which a bucket fills, and its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    per_second: u64,
    /// How long an empty bucket takes to fill, in nanoseconds.
    depth_ns: u64,
}

impl Rate {
    /// `per_second` in the long run, `burst` at once. Zero counts as one.
    pub(crate) fn new(per_second: u64, burst: u64) -> Self {
        let per_second = per_second.max(1);
        Self {
            per_second,
            depth_ns: filling(burst.max(1), per_second),
        }
    }

    /// How long a bucket takes to receive `amount`, in nanoseconds.
    pub(crate) fn filling_ns(self, amount: u64) -> u64 {
        filling(amount, self.per_second)
    }
}

/// How long a bucket takes to receive `amount`, in nanoseconds.
fn filling(amount: u64, per_second: u64) -> u64 {
    amount.saturating_mul(SECOND_NS) / per_second
}

/// A token bucket. Times are in nanoseconds since a fixed origin, the same for every call.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes `amount`, if the bucket has as much.
    ///
    /// # Errors
    /// Otherwise takes nothing, and returns in how many nanoseconds the bucket will have it.
    pub(crate) fn take(&self, amount: u64, rate: Rate, now: u64) -> Result<(), u64> {
        let cost = filling(amount, rate.per_second);
        let allowed = now.saturating_add(rate.depth_ns);
        let taken = |full_at: u64| Some(full_at.max(now).saturating_add(cost));
        let fits = |full_at: u64| taken(full_at).filter(|then| *then <= allowed);
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(drop)
            .map_err(|full_at| taken(full_at).unwrap_or(u64::MAX) - allowed)
    }

    /// Takes `amount` even if the bucket has less: it may go into debt.
    pub(crate) fn charge(&self, amount: u64, rate: Rate, now: u64) {
        let cost = filling(amount, rate.per_second);
        let charged = |full_at: u64| Some(full_at.max(now).saturating_add(cost));
        // `charged` always returns a value, so this cannot fail.
        let _ = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
    }

    /// Changes the rate from `before` to `after`. The amount missing in the bucket stays
    /// the same.
    pub(crate) fn convert(&self, before: Rate, after: Rate, now: u64) {
        let converted = |full_at: u64| {
            let missing_ns = full_at.saturating_sub(now);
            let missing = u128::from(missing_ns) * u128::from(before.per_second);
            let missing_ns = missing / u128::from(after.per_second);
            Some(now.saturating_add(u64::try_from(missing_ns).unwrap_or(u64::MAX)))
        };
        // `converted` always returns a value, so this cannot fail.
        let _ = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, converted);
    }

    /// Whether nothing is missing in the bucket.
    pub(crate) fn is_full(&self, now: u64) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now
    }

    /// For how many nanoseconds the bucket will be in debt; 0 if it is not.
    pub(crate) fn debt(&self, rate: Rate, now: u64) -> u64 {
        let full_at = self.full_at.load(Ordering::Relaxed);
        full_at.saturating_sub(now.saturating_add(rate.depth_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_allows_its_burst_and_then_its_rate() {
        let (bucket, rate) = (Bucket::default(), Rate::new(10, 5));
        for n in 0..5 {
            assert_eq!(bucket.take(1, rate, 0), Ok(()), "{n}");
        }
        assert_eq!(bucket.take(1, rate, 0), Err(SECOND_NS / 10));
        assert_eq!(bucket.take(1, rate, SECOND_NS / 20), Err(SECOND_NS / 20));
        assert_eq!(bucket.take(1, rate, SECOND_NS / 10), Ok(()));
        assert!(bucket.take(1, rate, SECOND_NS / 10).is_err());
        let later = 100 * SECOND_NS;
        assert_eq!(
            bucket.take(5, rate, later),
            Ok(()),
            "its capacity is the burst"
        );
        assert!(bucket.take(1, rate, later).is_err());
    }

    #[test]
    fn a_debt_decreases_only_with_time() {
        let (bucket, rate) = (Bucket::default(), Rate::new(100, 200));
        bucket.charge(200, rate, 0);
        assert_eq!(bucket.debt(rate, 0), 0, "an empty bucket is not in debt");
        bucket.charge(50, rate, 0);
        assert_eq!(bucket.debt(rate, 0), SECOND_NS / 2);
        assert_eq!(bucket.debt(rate, SECOND_NS / 4), SECOND_NS / 4);
        assert_eq!(bucket.debt(rate, SECOND_NS), 0);
    }

    #[test]
    fn a_change_of_rate_keeps_the_missing_amount() {
        let (bucket, slow, fast) = (Bucket::default(), Rate::new(10, 20), Rate::new(100, 200));
        assert_eq!(bucket.take(20, slow, 0), Ok(()));
        bucket.convert(slow, fast, 0);
        assert_eq!(bucket.take(180, fast, 0), Ok(()));
        assert!(bucket.take(1, fast, 0).is_err());
        bucket.convert(fast, slow, 0);
        assert_eq!(bucket.debt(slow, 0), 18 * SECOND_NS);
    }

    #[test]
    fn no_number_is_too_large() {
        let (bucket, rate) = (Bucket::default(), Rate::new(0, u64::MAX));
        bucket.charge(u64::MAX, rate, u64::MAX);
        assert_eq!(bucket.debt(rate, u64::MAX), 0);
        assert_eq!(bucket.take(u64::MAX, rate, 7), Ok(()));
        let small = Rate::new(1, 1);
        assert!(bucket.take(1, small, 7).is_err());
    }
}
