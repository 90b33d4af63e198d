//! Latencies, counted in buckets that are 1.6 % wide.

use std::time::Duration;

/// Buckets for each doubling: 2^6.
const STEPS_BITS: u32 = 6;
const STEPS: usize = 1 << STEPS_BITS;

/// The number of latencies in each bucket.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        let doublings = (u64::BITS - STEPS_BITS + 1) as usize;
        Self {
            buckets: vec![0; doublings * STEPS],
            count: 0,
        }
    }
}

impl Histogram {
    /// Counts one latency of `nanos` nanoseconds.
    pub fn add(&mut self, nanos: u64) {
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    /// The latency that a `share` (0 to 1) of all latencies do not exceed; `None` without any.
    ///
    /// Of `n` latencies it is the one with the rank `ceil(share * n)`, rounded to the middle of its
    /// bucket.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_nanos(middle(index)));
            }
        }
        None
    }
}

/// Small values have a bucket each; for larger ones the six bits after the highest bit select it.
fn bucket(nanos: u64) -> usize {
    if nanos < STEPS as u64 {
        return nanos as usize;
    }
    let shift = u64::BITS - 1 - nanos.leading_zeros() - STEPS_BITS;
    (shift as usize + 1) * STEPS + (nanos >> shift) as usize - STEPS
}

fn middle(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let shift = bucket / STEPS - 1;
    let low = ((bucket % STEPS + STEPS) as u64) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_in_order() {
        let mut last = 0;
        let doublings = (12..64).map(|n| 1 << n);
        for nanos in (0..4_000_u64).chain(doublings).chain([u64::MAX]) {
            let near = middle(bucket(nanos)) as f64;
            let off = (near - nanos as f64).abs();
            assert!(off <= nanos as f64 / 64.0, "{nanos} became {near}");
            assert!(bucket(nanos) >= last, "{nanos}");
            last = bucket(nanos);
        }
    }

    #[test]
    fn quantiles_are_taken_by_rank() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for nanos in 1..=50 {
            histogram.add(nanos);
        }
        for (share, nanos) in [(0.0, 1), (0.5, 25), (0.95, 48), (0.99, 50), (1.0, 50)] {
            assert_eq!(
                histogram.quantile(share),
                Some(Duration::from_nanos(nanos)),
                "{share}"
            );
        }
        histogram.add(1_000_000);
        let high = histogram.quantile(1.0).unwrap().as_nanos() as f64;
        assert!((high - 1e6).abs() < 1e6 / 64.0);
    }
}
