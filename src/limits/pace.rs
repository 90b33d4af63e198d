//! How many requests strangers of one address may send: beyond that they wait, and then they are
//! refused.

use std::{collections::HashMap, time::Duration};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    bucket::{Bucket, Rate},
    occupant::Subnet,
};

/// How long a request waits at most. After that it is refused.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// So many seconds' requests may come at once.
const BURST_SECONDS: u64 = 4;
/// The number of addresses at which the first sweep removes those that are silent.
const SWEEP_SUBNETS_MIN: usize = 1024;

/// The requests of strangers, by address.
pub struct Pace {
    began: Instant,
    rate: Rate,
    subnets: Mutex<Subnets>,
}

struct Subnets {
    buckets: HashMap<Subnet, Bucket, RandomState>,
    sweep_at: usize,
}

impl Pace {
    /// `per_second` requests of each address in the long run, and four times as many at once.
    pub fn new(per_second: u32) -> Self {
        let per_second = u64::from(per_second);
        Self {
            began: Instant::now(),
            rate: Rate::new(per_second, per_second * BURST_SECONDS),
            subnets: Mutex::new(Subnets {
                buckets: HashMap::default(),
                sweep_at: SWEEP_SUBNETS_MIN,
            }),
        }
    }

    /// How long a request from `subnet` has to wait until it is answered.
    ///
    /// # Errors
    /// How long it has to wait until it is refused, because too many others wait.
    pub fn admit(&self, subnet: Subnet) -> Result<Duration, Duration> {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut subnets = self.subnets.lock();
        if subnets.buckets.len() >= subnets.sweep_at {
            subnets.sweep(now);
        }
        let bucket = subnets.buckets.entry(subnet).or_default();
        let wait = Duration::from_nanos(bucket.debt(self.rate, now));
        if wait > WAIT_MAX {
            return Err(WAIT_MAX);
        }
        bucket.charge(1, self.rate, now);
        Ok(wait)
    }
}

impl Subnets {
    fn sweep(&mut self, now: u64) {
        self.buckets.retain(|_, bucket| !bucket.is_full(now));
        self.sweep_at = SWEEP_SUBNETS_MIN.max(self.buckets.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_beyond_the_rate_wait_and_then_are_refused() {
        let pace = Pace::new(100);
        let [one, two] = [1, 2].map(|host| Subnet::V4([10, 0, 0, host]));
        for _ in 0..400 {
            assert_eq!(pace.admit(one), Ok(Duration::ZERO));
        }
        let waits: Vec<_> = (0..200).map(|_| pace.admit(one)).collect();
        assert_eq!(waits[1], Ok(Duration::from_millis(10)));
        assert_eq!(waits[100], Ok(WAIT_MAX));
        assert_eq!(waits[199], Err(WAIT_MAX));
        assert_eq!(pace.admit(two), Ok(Duration::ZERO), "others do not wait");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(pace.admit(one), Ok(Duration::ZERO));
    }
}
