//! The retention of events: a task deletes those that are older than seven days.
//!
//! It deletes the oldest events of each team, up to the first one that is younger, so that the ids
//! of the kept events have no gaps. Several instances may do so at once. Each statement is bounded,
//! because in SQLite the log's writer waits for it.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    database::{Database, writing},
    failure::report,
    timeouts::{REPLY_TIMEOUT, TRANSFER_TIMEOUT, bounded},
};
use crate::id::Timestamp;

/// How long events are kept.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The time between two rounds of deletions.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The most teams that one statement reads.
const TEAMS_MAX: usize = 1000;
/// The most events that one statement deletes.
const EVENTS_MAX: u64 = 500;

/// Deletes old events.
pub(super) struct EventTrimmer {
    database: Arc<Database>,
}

impl EventTrimmer {
    pub(super) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Deletes old events now and in each interval; never ends.
    pub(super) async fn run(self) {
        loop {
            let retention_ms = RETENTION.as_millis() as i64;
            let oldest_kept = Timestamp(Timestamp::now().0 - retention_ms);
            match self.trim(oldest_kept).await {
                Ok(0) => {}
                Ok(events) => tracing::info!(events, "old events are deleted"),
                // The next round deletes the rest.
                Err(error) => drop(report("deleting old events", None, error)),
            }
            sleep(INTERVAL).await;
        }
    }

    /// Deletes the events of all teams that are older than `oldest_kept`; returns their number.
    async fn trim(&self, oldest_kept: Timestamp) -> sqlx::Result<u64> {
        let mut events = 0;
        let mut last_team = String::new();
        loop {
            let teams = bounded(REPLY_TIMEOUT, self.select_teams(&last_team)).await?;
            let is_end = teams.len() < TEAMS_MAX;
            for (team, oldest) in teams {
                if oldest.is_some_and(|oldest| oldest < oldest_kept) {
                    events += self.trim_team(&team, oldest_kept).await?;
                }
                last_team = team;
            }
            if is_end {
                return Ok(events);
            }
        }
    }

    async fn trim_team(&self, team: &str, oldest_kept: Timestamp) -> sqlx::Result<u64> {
        let mut events = 0;
        loop {
            let batch = self.delete_oldest(team, oldest_kept);
            let deleted = bounded(TRANSFER_TIMEOUT, batch).await?;
            events += deleted;
            if deleted < EVENTS_MAX {
                return Ok(events);
            }
        }
    }

    /// The teams whose names follow `last_team`, each with the time of its oldest event.
    async fn select_teams(
        &self,
        last_team: &str,
    ) -> sqlx::Result<Vec<(String, Option<Timestamp>)>> {
        let teams = writing!(&*self.database, transaction => {
            sqlx::query_as::<_, (String, Option<Timestamp>)>(
                "select team, (
                     select at from event where event.team = event_counter.team
                     order by event_id limit 1
                 ) from event_counter where team > $1 order by team limit $2",
            )
            .bind(last_team)
            .bind(TEAMS_MAX as i64)
            .fetch_all(&mut *transaction)
            .await?
        });
        Ok(teams)
    }

    /// Deletes the team's oldest events up to the first one that is kept, at most `EVENTS_MAX`.
    async fn delete_oldest(&self, team: &str, oldest_kept: Timestamp) -> sqlx::Result<u64> {
        let deleted = writing!(&*self.database, transaction => {
            sqlx::query(
                "delete from event where team = $1 and event_id < coalesce((
                     select min(event_id) from (
                         select event_id, at from event where team = $1
                         order by event_id limit $3
                     ) as oldest where at >= $2
                 ), (
                     select max(event_id) + 1 from (
                         select event_id from event where team = $1
                         order by event_id limit $3
                     ) as oldest
                 ))",
            )
            .bind(team)
            .bind(oldest_kept)
            .bind(EVENTS_MAX as i64)
            .execute(&mut *transaction)
            .await?
            .rows_affected()
        });
        Ok(deleted)
    }
}
