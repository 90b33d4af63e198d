//! Which of many like lines are logged.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::bucket::{Bucket, Rate};

/// So many lines at once, and one each second in the long run.
const BURST: u64 = 10;

/// Admits ten lines at once and one each second in the long run, so that strangers cannot fill the
/// disk.
#[derive(Debug)]
pub struct Sampler {
    began: Instant,
    bucket: Bucket,
    suppressed: AtomicU64,
}

impl Sampler {
    /// A sampler that has seen no line.
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            bucket: Bucket::default(),
            suppressed: AtomicU64::new(0),
        }
    }

    /// If the line is to be logged, how many were not since the last one that was.
    pub fn admit(&self) -> Option<u64> {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if self.bucket.take(1, Rate::new(1, BURST), now).is_ok() {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_beyond_the_rate_are_counted_by_the_next_one() {
        let sampler = Sampler::new();
        for _ in 0..BURST {
            assert_eq!(sampler.admit(), Some(0));
        }
        for _ in 0..1000 {
            assert_eq!(sampler.admit(), None);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sampler.admit(), Some(1000));
        assert_eq!(sampler.admit(), None);
    }
}
