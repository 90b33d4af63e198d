//! The kept events that a client has missed: those for a person, or those for the members of a room.

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
    id::{EventId, RoomName, Team, Timestamp, UserId},
};

/// The most events that are read for one client.
pub const MISSED_MAX: usize = 500;

/// Whose events are read.
#[derive(Clone, Copy, Debug)]
pub enum Receiver<'a> {
    /// A person: the events for the person, and those for the whole team.
    Person(&'a UserId),
    /// The members of a room: the events for the room that are not for the whole team.
    Room(&'a RoomName),
}

/// What a client has missed.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// The newest id of the team, up to which this is complete.
    pub head: EventId,
    /// The events in the order of their ids; `None` where some are no longer kept, where they are
    /// more than 500, or where the given id is from the future.
    pub events: Option<Vec<Event>>,
}

type EventRow = (EventId, Json<Value>, Timestamp);

impl Store {
    /// Reads the newest id of `team`, and with `since` the events for `receiver` whose ids follow
    /// it. Takes at most 5 s.
    ///
    /// # Errors
    /// As [`find_document`](Store::find_document).
    pub async fn missed_events(
        &self,
        team: &Team,
        since: Option<EventId>,
        receiver: Receiver<'_>,
    ) -> Result<Missed> {
        let read = bounded(REPLY_TIMEOUT, self.select_missed(team, since, receiver)).await;
        let (head, oldest, rows) =
            read.map_err(|error| report("reading missed events", None, error))?;
        let head = EventId(head.unwrap_or(0));
        let Some(since) = since else {
            let events = Some(Vec::new());
            return Ok(Missed { head, events });
        };
        // The ids of a team have no gaps: the next one is kept, or none has come.
        let next_is_kept = since == head || oldest.is_some_and(|oldest| oldest <= since.0 + 1);
        let is_complete =
            (0..=head.0).contains(&since.0) && next_is_kept && rows.len() <= MISSED_MAX;
        let event = |(event_id, Json(payload), at)| Event {
            team: team.clone(),
            event_id,
            payload,
            at,
        };
        Ok(Missed {
            head,
            events: is_complete.then(|| rows.into_iter().map(event).collect()),
        })
    }

    /// The newest and the oldest id of the team, and the receiver's events, one more than the limit
    /// where there are more.
    async fn select_missed(
        &self,
        team: &Team,
        since: Option<EventId>,
        receiver: Receiver<'_>,
    ) -> sqlx::Result<(Option<i64>, Option<i64>, Vec<EventRow>)> {
        let limit = MISSED_MAX as i64 + 1;
        // Each statement is answered by an index of its own.
        let (statements, name): (&[&'static str], &str) = match receiver {
            Receiver::Person(user) => (&[OF_TEAM, OF_USER], user.as_str()),
            Receiver::Room(room) => (&[OF_ROOM], room.as_str()),
        };
        let read = reading!(&*self.inner.database, transaction => {
            let head: Option<i64> =
                sqlx::query_scalar("select head_event_id from event_counter where team = $1")
                    .bind(team.as_str())
                    .fetch_optional(&mut *transaction)
                    .await?;
            let mut oldest = None;
            let mut rows = Vec::new();
            if let Some(since) = since {
                oldest = sqlx::query_scalar("select min(event_id) from event where team = $1")
                    .bind(team.as_str())
                    .fetch_one(&mut *transaction)
                    .await?;
                for statement in statements {
                    let more = sqlx::query_as::<_, EventRow>(*statement)
                        .bind(team.as_str())
                        .bind(since.0)
                        .bind(limit)
                        .bind(name)
                        .fetch_all(&mut *transaction)
                        .await?;
                    rows.extend(more);
                }
            }
            (head, oldest, rows)
        });
        let (head, oldest, mut rows) = read;
        rows.sort_unstable_by_key(|(id, ..)| *id);
        rows.dedup_by_key(|(id, ..)| *id);
        Ok((head, oldest, rows))
    }
}

const OF_TEAM: &str = "select event_id, payload, at from event
     where team = $1 and event_id > $2 and to_team and $4 is not null
     order by event_id limit $3";
const OF_USER: &str = "select event_id, payload, at from event
     where team = $1 and event_id > $2 and to_user = $4
     order by event_id limit $3";
const OF_ROOM: &str = "select event_id, payload, at from event
     where team = $1 and event_id > $2 and to_room = $4 and not to_team
     order by event_id limit $3";
