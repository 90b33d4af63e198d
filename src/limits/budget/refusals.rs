//! The refusals of a session, by which a client that ignores them is recognised.
//!
//! A client that ignores refusals is distinguished from one that has not read them yet.
//! The first refusal is sent with a ping, and requests that arrive before its answer were
//! already under way: a client that reconnects after hours offline sends all its edits at
//! once. Refusals after the answer are limited more strictly.

use std::time::Duration;

use super::rates::Rates;
use crate::limits::bucket::Bucket;

/// After so long without a refusal, the next one counts as a first one.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// The kind of a refusal for rate, which decides how the session is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The first one. Answer it with a ping, and call
    /// [`Budget::refusal_read`](super::Budget::refusal_read) once the client has answered the ping.
    First,
    /// The client may not have read the first one yet, or the refusals are few. Answer it.
    Tolerable,
    /// The client ignores refusals. Cut the session.
    Abusive,
}

/// The refusals of a session.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The time of the last one, in nanoseconds.
    last: Option<u64>,
    /// The client has read the first one.
    pub(super) first_read: bool,
    /// Limits the refusals before the client has read the first one.
    before_read: Bucket,
    /// Limits the refusals afterwards.
    after_read: Bucket,
}

impl Refusals {
    /// Counts a refusal at `now`.
    pub(super) fn count(&mut self, rates: &Rates, now: u64) -> RefusalKind {
        let forgotten_ns = FORGOTTEN_AFTER.as_nanos() as u64;
        let is_first = self.last.is_none_or(|last| now - last >= forgotten_ns);
        self.last = Some(now);
        if is_first {
            self.first_read = false;
        }
        let counted = match self.first_read {
            true => self.after_read.take(1, rates.refusals_after_read, now),
            false => self.before_read.take(1, rates.refusals_before_read, now),
        };
        match (counted, is_first) {
            (Err(_), _) => RefusalKind::Abusive,
            (Ok(()), true) => RefusalKind::First,
            (Ok(()), false) => RefusalKind::Tolerable,
        }
    }
}
