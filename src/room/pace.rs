//! When a room speaks: at once while it is quiet, once a tick while it is busy.
//!
//! The first few messages of a tick go at once, so that a person typing is seen
//! without delay; what comes faster is gathered and goes as one at the tick's
//! end, so that the cost of a busy room is set by its receivers and not by its
//! senders. [`merged_rows`] is that gathering for updates.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::commits::{Accepted, Audience};
use crate::{
    id::SessionId,
    store::{Author, Reservation},
};

/// How many deliveries may go at once within a tick: a message costs as many
/// as it has receivers, for each is a write.
const AT_ONCE: u64 = 16;

/// A tick is at least so long for each receiver. A write costs some 10 µs, so
/// that a room takes half a core at most.
const TICK_PER_RECEIVER: Duration = Duration::from_micros(20);

/// After so long without a message a room is quiet.
const QUIET: Duration = Duration::from_millis(50);

/// The most updates merged into one: merging takes time with the square of
/// their number (yrs 0.28: 0.4 µs each in groups of 64, 27 µs each at 10,000).
const MERGED_MAX: usize = 64;

/// Decides whether what is gathered goes now.
pub(super) struct Pace {
    tick: Duration,
    /// When the tick that has begun ends.
    ends: Option<Instant>,
    gone: u64,
}

impl Pace {
    pub(super) fn new(tick_ms: u64) -> Self {
        Self {
            tick: Duration::from_millis(tick_ms),
            ends: None,
            gone: 0,
        }
    }

    /// When something that is gathered now is due; `now` itself if at once.
    pub(super) fn due(&self, now: Instant) -> Instant {
        match self.ends {
            Some(ends) if now < ends && self.gone >= AT_ONCE => ends,
            _ => now,
        }
    }

    /// When the next tick begins; `now` if it may now.
    pub(super) fn next_tick(&self, now: Instant) -> Instant {
        self.ends.map_or(now, |ends| ends.max(now))
    }

    /// Whether nothing went for so long that the next is not to be waited for.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.ends.is_none_or(|ends| now >= ends + QUIET)
    }

    /// Notes that a message went to so many now.
    pub(super) fn went(&mut self, receivers: u64, now: Instant) {
        if self.ends.is_none_or(|ends| now >= ends) {
            let fair = TICK_PER_RECEIVER * u32::try_from(receivers).unwrap_or(u32::MAX);
            self.ends = Some(now + self.tick.max(fair));
            self.gone = 0;
        }
        self.gone += receivers;
    }
}

/// One row for the log and one message for the members.
pub(super) struct Row {
    pub(super) bytes: Bytes,
    /// What the members are told; nothing of what waits for its dependencies.
    pub(super) message: Option<Bytes>,
    pub(super) reservation: Reservation,
    /// The only sender, who need not get it back.
    pub(super) from: Option<SessionId>,
    /// How many updates it holds.
    pub(super) updates: u64,
}

/// What a turn has accepted, as it is told and written.
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) authors: Vec<Author>,
}

/// Merges neighbours and keeps their order. What set something free stands alone,
/// for that is in the log already; so does what waits.
pub(super) fn merged_rows(mut accepted: Vec<Accepted>) -> Rows {
    let news = accepted.iter_mut();
    let authors = news.filter_map(|update| update.author.take()).collect();
    let mut rows = Vec::with_capacity(accepted.len().div_ceil(MERGED_MAX));
    let mut group: Vec<Accepted> = Vec::new();
    for update in accepted {
        let whole = update.message.as_ref() == Some(&update.row);
        let mergeable = whole && update.audience == Audience::Others;
        if !mergeable || group.len() == MERGED_MAX {
            close(&mut group, &mut rows);
        }
        if mergeable {
            group.push(update);
        } else {
            rows.push(single(update));
        }
    }
    close(&mut group, &mut rows);
    Rows { rows, authors }
}

fn close(group: &mut Vec<Accepted>, rows: &mut Vec<Row>) {
    let merged = match group.len() {
        0 | 1 => None,
        _ => {
            let updates: Vec<Bytes> = group.iter().map(|update| update.row.clone()).collect();
            // Each was cut to what was new, so that they share no element.
            let merged = document::merge(&updates);
            debug_assert!(merged.is_ok(), "accepted updates overlap: {merged:?}");
            merged.ok()
        }
    };
    let Some(bytes) = merged else {
        rows.extend(group.drain(..).map(single));
        return;
    };
    let first = group[0].from;
    let from = group
        .iter()
        .all(|update| update.from == first)
        .then_some(first);
    let updates = group.len() as u64;
    let reservation = group
        .drain(..)
        .map(|update| update.reservation)
        .reduce(Reservation::join);
    if let Some(reservation) = reservation {
        let bytes = Bytes::from(bytes);
        rows.push(Row {
            message: Some(bytes.clone()),
            bytes,
            reservation,
            from,
            updates,
        });
    }
}

fn single(update: Accepted) -> Row {
    Row {
        bytes: update.row,
        message: update.message,
        reservation: update.reservation,
        from: (update.audience == Audience::Others).then_some(update.from),
        updates: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quiet_room_speaks_at_once_and_a_busy_one_once_a_tick() {
        let mut pace = Pace::new(4);
        let start = Instant::now();
        for _ in 0..AT_ONCE / 4 {
            assert_eq!(pace.due(start), start);
            pace.went(4, start);
        }
        let tick = Duration::from_millis(4);
        let next = start + tick;
        assert_eq!(pace.due(start), next, "one more waits for the tick's end");
        pace.went(100, next);
        assert_eq!(pace.due(next), start + tick * 2, "still busy");
        let quiet = start + tick * 3;
        assert_eq!(pace.due(quiet), quiet, "quiet again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_told_less_often() {
        let mut pace = Pace::new(4);
        let start = Instant::now();
        pace.went(1500, start);
        assert_eq!(pace.due(start), start + Duration::from_millis(30));
    }
}
