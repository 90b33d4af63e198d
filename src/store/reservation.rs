//! The bound of the journal: bytes are reserved before an update is accepted.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What an update costs in the journal besides its bytes, so that a flood of tiny updates cannot
/// outgrow the capacity either.
const UPDATE_OVERHEAD_BYTES: usize = 128;

/// How many bytes the journal may hold, and how many of them are reserved.
pub(super) struct Capacity {
    reserved: AtomicUsize,
    reserved_max: usize,
}

/// Reserved bytes of the journal; dropping it gives them back.
pub struct Reservation {
    capacity: Arc<Capacity>,
    bytes: usize,
}

impl Capacity {
    pub(super) fn new(reserved_max: usize) -> Self {
        Self {
            reserved: AtomicUsize::new(0),
            reserved_max,
        }
    }

    /// Reserves `bytes` bytes and the overhead of one update; `None` where they do not fit.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let bytes = bytes.saturating_add(UPDATE_OVERHEAD_BYTES);
        let add = |reserved: usize| {
            reserved
                .checked_add(bytes)
                .filter(|&reserved| reserved <= self.reserved_max)
        };
        self.reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .ok()
            .map(|_| Reservation {
                capacity: Arc::clone(self),
                bytes,
            })
    }

    /// The bytes that are reserved.
    pub(super) fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }
}

impl Reservation {
    /// A reservation of no bytes, for rows that were accepted before and have to be written again.
    pub fn none() -> Self {
        Self {
            capacity: Arc::new(Capacity::new(0)),
            bytes: 0,
        }
    }

    /// A reservation of no bytes, for a further row of the update that this one was made for.
    pub fn further(&self) -> Self {
        Self {
            capacity: Arc::clone(&self.capacity),
            bytes: 0,
        }
    }

    /// One reservation for both, for updates that become one row.
    pub fn join(mut self, mut other: Self) -> Self {
        self.bytes += std::mem::take(&mut other.bytes);
        self
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.capacity
            .reserved
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
