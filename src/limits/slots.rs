//! The times that refused requests were told: each has one of its own, so that a client which sends
//! each refused request again at its time is accepted.
//!
//! A slot belongs to the client, not to the request: whichever request arrives first takes it. A
//! client that sends others meanwhile takes the slots of those that it was refused, which are then
//! refused once more.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far ahead slots are reserved. Whoever is refused beyond that is told this time, at which it
/// may be refused again.
const RESERVED_MAX_NS: u64 = 60_000_000_000;

/// The slots of one bucket. Times are in nanoseconds since the origin of the bucket's times.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// When the next slot begins at the earliest.
    next: AtomicU64,
}

impl Slots {
    /// Reserves the next slot for a request that could be accepted in `wait_ns` if there were no other,
    /// and after which the bucket needs `spacing_ns`. Returns in how many nanoseconds the slot begins.
    pub(crate) fn reserve(&self, wait_ns: u64, spacing_ns: u64, now: u64) -> u64 {
        let earliest = now.saturating_add(wait_ns);
        let latest = earliest.max(now.saturating_add(RESERVED_MAX_NS));
        let reserved = |next: u64| {
            let slot = next.max(earliest);
            (slot <= latest).then(|| slot.saturating_add(spacing_ns))
        };
        let before = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserved);
        before.map_or(latest, |next| next.max(earliest)) - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn each_refusal_gets_a_slot_of_its_own() {
        let slots = Slots::default();
        assert_eq!(slots.reserve(2 * MS, 2 * MS, 0), 2 * MS);
        assert_eq!(slots.reserve(2 * MS, 2 * MS, 0), 4 * MS);
        assert_eq!(slots.reserve(MS, 2 * MS, MS), 5 * MS);
        assert_eq!(slots.reserve(9 * MS, 2 * MS, MS), 9 * MS, "not earlier");
        let later = 100 * MS;
        assert_eq!(slots.reserve(MS, 2 * MS, later), MS, "they are past");
    }

    #[test]
    fn slots_are_reserved_for_a_minute_at_most() {
        let (slots, second) = (Slots::default(), 1000 * MS);
        let waits: Vec<_> = (0..100).map(|_| slots.reserve(second, second, 0)).collect();
        assert_eq!(waits[59], 60 * second);
        assert_eq!(waits[99], 60 * second, "not reserved");
        assert_eq!(slots.reserve(second, second, 60 * second), second);
        assert_eq!(slots.reserve(90 * second, second, 60 * second), 90 * second);
    }
}
