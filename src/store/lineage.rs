//! Notices that the database goes on from another state than the one that was acknowledged.
//!
//! When a server of Postgres is lost and a replica takes its place that receives commits later, the last commits are lost with it,
//! and their positions in the logs are given to other rows. A position is therefore valid only within one [`Lineage`], which ends
//! when Postgres's timeline changes, as it does with each promotion and each recovery to an earlier moment, or when a head is lower
//! than it was.

use parking_lot::Mutex;

use super::{
    Store, Writers,
    database::reading,
    failure::report,
    timeouts::{REPLY_TIMEOUT, bounded},
};
use crate::error::Result;

/// The timeline that Postgres writes; null on a replica. Everyone may ask for it.
pub(super) const TIMELINE: &str = "select case when pg_is_in_recovery() then null \
     else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end";

/// A span of time in which the database lost nothing that it had committed, as far as this process knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lineage(u32);

impl Lineage {
    /// The one after this.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The present lineage.
#[derive(Default)]
pub(super) struct Lineages {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    lineage: Lineage,
    timeline: Timeline,
}

#[derive(Default, PartialEq, Eq)]
enum Timeline {
    /// Not read yet.
    #[default]
    Unread,
    /// This database does not tell it.
    Untold,
    Is(String),
}

impl Store {
    /// The present lineage, as it is known.
    pub fn lineage(&self) -> Lineage {
        self.inner.lineages.known.lock().lineage
    }

    /// Looks whether the present lineage has ended, and returns the one that is present then.
    ///
    /// # Errors
    /// As [`ping`](Store::ping).
    pub async fn look_at_lineage(&self) -> Result<Lineage> {
        if self.writers() == Writers::This || !self.inner.lineages.is_told() {
            return Ok(self.lineage());
        }
        match bounded(REPLY_TIMEOUT, self.timeline()).await {
            Ok(timeline) => self.saw(timeline),
            Err(error) if is_untold(&error) => {
                tracing::info!(%error, "the database does not tell its timeline");
                self.inner.lineages.known.lock().timeline = Timeline::Untold;
            }
            Err(error) => return Err(report("reading the timeline", None, error)),
        }
        Ok(self.lineage())
    }

    /// Ends `lineage`, if it is the present one, because a head was lower than before; returns the one that is present then.
    pub fn end_lineage(&self, lineage: Lineage) -> Lineage {
        let mut known = self.inner.lineages.known.lock();
        if known.lineage == lineage {
            self.inner.metrics.database_rewound();
            tracing::error!(
                "the database lacks commits that it had acknowledged: open documents are compared with it"
            );
            known.lineage = known.lineage.next();
        }
        known.lineage
    }

    /// Ends the present lineage if `timeline` is another one than before.
    fn saw(&self, timeline: Option<String>) {
        // A replica does not write.
        let Some(timeline) = timeline else { return };
        let mut known = self.inner.lineages.known.lock();
        if let Timeline::Is(before) = &known.timeline
            && *before != timeline
        {
            self.inner.metrics.database_rewound();
            tracing::error!(
                before,
                timeline,
                "another server of the database has taken over: the last commits may be lost, open documents are compared with it"
            );
            known.lineage = known.lineage.next();
        }
        known.timeline = Timeline::Is(timeline);
    }

    async fn timeline(&self) -> sqlx::Result<Option<String>> {
        let timeline = reading!(&*self.inner.database, transaction => {
            sqlx::query_scalar(TIMELINE).fetch_one(&mut *transaction).await?
        });
        Ok(timeline)
    }
}

impl Lineages {
    /// Whether the database tells its timeline, as far as that is known.
    pub(super) fn is_told(&self) -> bool {
        self.known.lock().timeline != Timeline::Untold
    }

    /// Whether `lineage` is the present one and the database is at its timeline.
    pub(super) fn is_present(&self, lineage: Lineage, timeline: Option<String>) -> bool {
        let known = self.known.lock();
        let is_same = match (&known.timeline, timeline) {
            (Timeline::Is(known), Some(timeline)) => *known == timeline,
            (Timeline::Unread | Timeline::Untold, _) => true,
            (Timeline::Is(_), None) => false,
        };
        known.lineage == lineage && is_same
    }
}

/// Whether the database has no such functions (42883), or does not support or allow them.
fn is_untold(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(code.get(..2), Some("0A" | "42" | "55")))
}
