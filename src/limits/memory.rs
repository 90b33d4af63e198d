//! The memory of all open documents together, compared with the limit of the process.
//! Callers use the resulting pressure to decide which documents to unload or refuse.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::machine;
use crate::metrics::Metrics;

/// The percentage of the limit from which on the pressure is `Tight`.
const TIGHT_PERCENT: usize = 75;
/// The metric is updated when the value changes by so many bytes, since memory changes
/// with every update.
const METRIC_STEP_BYTES: usize = 1 << 20;

/// The memory budget of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    bytes: AtomicUsize,
    bytes_max: usize,
    tight_from: usize,
    /// The last value of the metric.
    reported: AtomicUsize,
    metrics: Metrics,
}

/// How much of the budget is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Less than three quarters are used.
    Easy,
    /// Three quarters are used: documents that are not in use should be unloaded.
    Tight,
    /// All of it is used: no document may be opened or grow.
    Full,
}

/// One document's share of the budget, returned when it is dropped.
#[derive(Debug)]
pub struct MemoryShare {
    memory: Memory,
    bytes: usize,
}

impl Memory {
    /// An unused budget of `bytes_max` bytes. If that is 0, the budget is half of the memory
    /// available to the process: of the limit of its cgroup, or of the machine.
    pub fn new(bytes_max: usize, metrics: Metrics) -> Self {
        let bytes_max = match bytes_max {
            0 => machine::memory_bytes() / 2,
            bytes_max => bytes_max,
        };
        metrics.memory_bytes_max(bytes_max as u64);
        metrics.memory_bytes(0);
        Self(Arc::new(Counted {
            bytes: AtomicUsize::new(0),
            bytes_max,
            tight_from: bytes_max / 100 * TIGHT_PERCENT,
            reported: AtomicUsize::new(0),
            metrics,
        }))
    }

    /// A new share of zero bytes.
    pub fn track(&self) -> MemoryShare {
        MemoryShare {
            memory: self.clone(),
            bytes: 0,
        }
    }

    /// The present pressure.
    pub fn pressure(&self) -> Pressure {
        self.pressure_at(self.bytes())
    }

    /// The pressure that would result from `bytes` more.
    pub fn pressure_with(&self, bytes: usize) -> Pressure {
        self.pressure_at(self.bytes().saturating_add(bytes))
    }

    /// The sum of all shares, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// The budget, in bytes.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    fn pressure_at(&self, bytes: usize) -> Pressure {
        if bytes >= self.0.bytes_max {
            Pressure::Full
        } else if bytes >= self.0.tight_from {
            Pressure::Tight
        } else {
            Pressure::Easy
        }
    }

    fn report(&self, bytes: usize) {
        let reported = self.0.reported.load(Ordering::Relaxed);
        if bytes.abs_diff(reported) >= METRIC_STEP_BYTES {
            self.0.reported.store(bytes, Ordering::Relaxed);
            self.0.metrics.memory_bytes(bytes as u64);
        }
    }
}

impl MemoryShare {
    /// Changes the size of this share to `bytes`.
    pub fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let counted = &self.memory.0.bytes;
        let all = if bytes >= before {
            let more = bytes - before;
            counted.fetch_add(more, Ordering::Relaxed) + more
        } else {
            let less = before - bytes;
            counted.fetch_sub(less, Ordering::Relaxed) - less
        };
        self.memory.report(all);
    }

    /// The size of this share, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn shares_add_up_and_are_returned() {
        let memory = Memory::new(100 * MIB, Metrics::new());
        let (mut one, mut two) = (memory.track(), memory.track());
        one.set(50 * MIB);
        assert_eq!(memory.pressure(), Pressure::Easy);
        two.set(25 * MIB);
        assert_eq!(memory.pressure(), Pressure::Tight);
        assert_eq!(memory.pressure_with(25 * MIB), Pressure::Full);
        two.set(50 * MIB);
        assert_eq!(memory.pressure(), Pressure::Full);
        one.set(10 * MIB);
        assert_eq!(memory.bytes(), 60 * MIB);
        drop(two);
        assert_eq!(memory.bytes(), 10 * MIB);
        drop(one);
        assert_eq!(memory.bytes(), 0);
        assert_eq!(memory.pressure(), Pressure::Easy);
    }

    #[test]
    fn the_sum_is_exact_with_many_threads() {
        let memory = Memory::new(MIB, Metrics::new());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let memory = &memory;
                scope.spawn(move || {
                    for round in 0..1000 {
                        memory.track().set(thread * round);
                    }
                });
            }
        });
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn the_metric_is_accurate_to_a_mebibyte() {
        let metrics = Metrics::new();
        let memory = Memory::new(100 * MIB, metrics.clone());
        let mut share = memory.track();
        share.set(30 * MIB);
        share.set(30 * MIB + 5);
        let shown = metrics.render();
        let expected = format!("realtime_memory_bytes {}", 30 * MIB);
        assert!(shown.contains(&expected), "{shown}");
        let expected = format!("realtime_memory_bytes_max {}", 100 * MIB);
        assert!(shown.contains(&expected), "{shown}");
        drop(share);
        assert!(metrics.render().contains("realtime_memory_bytes 0"));
    }

    #[test]
    fn without_a_setting_the_budget_is_half_of_the_memory() {
        let memory = Memory::new(0, Metrics::new());
        assert_eq!(memory.bytes_max(), machine::memory_bytes() / 2);
        assert!(memory.bytes_max() > 64 * MIB);
    }
}
