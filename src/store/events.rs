//! The kept events of a team, read in the order of their ids.

use serde_json::Value;
use sqlx::types::Json;

use super::{
    Store,
    database::reading,
    event::Event,
    failure::report,
    timeouts::{REPLY_TIMEOUT, bounded},
};
use crate::{
    error::Result,
    id::{EventId, Team, Timestamp},
};

/// The answer to [`Store::events_after`].
#[derive(Clone, Debug, PartialEq)]
pub enum EventsAfter {
    /// The next events in the order of their ids, which have no gaps.
    Events {
        /// The events, as many as were asked for or as there are.
        events: Vec<Event>,
        /// Whether the team has further events after these.
        has_more: bool,
    },
    /// Some of the next events are no longer kept: they are older than seven days.
    Expired,
    /// The team has no event with this id yet.
    Future,
}

type EventRow = (EventId, Json<Value>, Timestamp);

impl Store {
    /// Reads the events of `team` whose ids follow `event_id`, at most `limit`, in the order of
    /// their ids; 0 is the id before the first event. Takes at most 5 s.
    ///
    /// It returns the events that any instance has committed. Events are deleted some time after
    /// they are seven days old, so that some of these may be older.
    ///
    /// # Errors
    /// As [`find_document`](Store::find_document).
    pub async fn events_after(
        &self,
        team: &Team,
        event_id: EventId,
        limit: usize,
    ) -> Result<EventsAfter> {
        let read = bounded(REPLY_TIMEOUT, self.select_events(team, event_id, limit)).await;
        let (head, rows) = read.map_err(|error| report("reading events", None, error))?;
        Ok(answer(team, event_id, limit, head, rows))
    }

    /// The newest id of `team`, and the rows of its next events.
    async fn select_events(
        &self,
        team: &Team,
        event_id: EventId,
        limit: usize,
    ) -> sqlx::Result<(i64, Vec<EventRow>)> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = reading!(&*self.inner.database, transaction => {
            let head: Option<i64> =
                sqlx::query_scalar("select head_event_id from event_counter where team = $1")
                    .bind(team.as_str())
                    .fetch_optional(&mut *transaction)
                    .await?;
            let rows = sqlx::query_as::<_, EventRow>(
                "select event_id, payload, at from event
                 where team = $1 and event_id > $2 order by event_id limit $3",
            )
            .bind(team.as_str())
            .bind(event_id.0)
            .bind(limit)
            .fetch_all(&mut *transaction)
            .await?;
            (head.unwrap_or(0), rows)
        });
        Ok(read)
    }
}

/// The answer for a team whose newest id is `head`. The ids of a team have no gaps, so that a
/// missing one belongs to an event that has been deleted.
fn answer(
    team: &Team,
    event_id: EventId,
    limit: usize,
    head: i64,
    rows: Vec<EventRow>,
) -> EventsAfter {
    let after = event_id.0;
    if after > head {
        return EventsAfter::Future;
    }
    let expected = usize::try_from(head.saturating_sub(after)).unwrap_or(usize::MAX);
    let last = rows.last().map_or(after, |(id, ..)| id.0);
    let is_complete = rows.len() == expected.min(limit);
    // The ids rise, so that they have no gap where the last one is as far away as their number.
    if !is_complete || last.checked_sub(after) != i64::try_from(rows.len()).ok() {
        return EventsAfter::Expired;
    }
    let event = |(event_id, Json(payload), at)| Event {
        team: team.clone(),
        event_id,
        payload,
        at,
    };
    EventsAfter::Events {
        events: rows.into_iter().map(event).collect(),
        has_more: last < head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids of the answer for a team whose newest id is 9, from a table with the events `kept`.
    fn ids_after(after: i64, limit: usize, kept: &[i64]) -> Result<(Vec<i64>, bool), EventsAfter> {
        let team = Team::parse("acme").expect("a team");
        let next = kept.iter().filter(|&&id| id > after).take(limit);
        let rows = next.map(|&id| (EventId(id), Json(Value::Null), Timestamp(0)));
        match answer(&team, EventId(after), limit, 9, rows.collect()) {
            EventsAfter::Events { events, has_more } => {
                let ids = events.iter().map(|event| event.event_id.0);
                Ok((ids.collect(), has_more))
            }
            other => Err(other),
        }
    }

    #[test]
    fn the_answer_has_no_gaps_and_says_why() {
        let kept = [4, 5, 6, 7, 8, 9];
        assert_eq!(ids_after(3, 9, &kept), Ok((vec![4, 5, 6, 7, 8, 9], false)));
        assert_eq!(ids_after(3, 6, &kept), Ok((vec![4, 5, 6, 7, 8, 9], false)));
        assert_eq!(ids_after(3, 5, &kept), Ok((vec![4, 5, 6, 7, 8], true)));
        assert_eq!(ids_after(8, 5, &kept), Ok((vec![9], false)));
        assert_eq!(ids_after(9, 5, &kept), Ok((vec![], false)));
        assert_eq!(ids_after(9, 5, &[]), Ok((vec![], false)));
        assert_eq!(ids_after(5, 0, &kept), Ok((vec![], true)));
        assert_eq!(ids_after(10, 5, &kept), Err(EventsAfter::Future));
        for (after, limit) in [(2, 9), (2, 1), (0, 5), (-1, 5), (i64::MIN, 5)] {
            assert_eq!(ids_after(after, limit, &kept), Err(EventsAfter::Expired));
        }
        assert_eq!(ids_after(8, 5, &[]), Err(EventsAfter::Expired));
        assert_eq!(ids_after(3, 3, &[4, 6, 7, 8, 9]), Err(EventsAfter::Expired));
        assert_eq!(ids_after(-1, 1, &[1, 2]), Err(EventsAfter::Expired));
    }
}
