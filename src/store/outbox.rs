//! The outbox: events get their ids within the transaction that publishes them, and the subscriber
//! is told of them after its commit.
//!
//! The row of the team's counter is locked last, just before the commit, so that transactions that
//! publish in one team wait for one another for no longer than that. A transaction that holds the
//! row commits before the next one can draw ids, so that the ids have no gaps and rise in the order
//! of the commits, on all instances. This instance also tells of its commits in that order.

use std::{
    array,
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    event::{Event, NewEvent, Reach},
    statement::{FromRow, NativeTransaction, Statement, args},
};
use crate::{
    id::{EventId, RoomName, Team, UserId},
    supervise::{Supervisor, Task},
};

/// The number of locks, which all teams share.
const LOCKS: usize = 64;

pub(super) type Subscriber = Box<dyn Fn(&[Event]) + Send + Sync>;

/// Gives events their ids and tells the subscriber of them.
pub(super) struct Outbox {
    subscriber: OnceLock<Subscriber>,
    /// Held from the drawing of the ids until the subscriber has been told: one for some teams.
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
    supervisor: Supervisor,
}

impl Outbox {
    pub(super) fn new(supervisor: Supervisor) -> Self {
        Self {
            subscriber: OnceLock::new(),
            locks: array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
            supervisor,
        }
    }

    /// The owner of the transactions' tasks.
    pub(super) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Sets the subscriber; returns whether there was none.
    pub(super) fn subscribe(&self, subscriber: Subscriber) -> bool {
        self.subscriber.set(subscriber).is_ok()
    }

    /// Waits for the locks of the teams of `events`, in a fixed order.
    pub(super) async fn lock_teams(&self, events: &[NewEvent]) -> Vec<MutexGuard<'_, ()>> {
        let index = |event: &NewEvent| self.hasher.hash_one(&event.team) as usize % LOCKS;
        let indexes: BTreeSet<usize> = events.iter().map(index).collect();
        let mut guards = Vec::with_capacity(indexes.len());
        for index in indexes {
            guards.push(self.locks[index].lock().await);
        }
        guards
    }

    /// Tells the subscriber of `events`, which have been committed.
    pub(super) fn tell(&self, events: &[Event]) {
        if let Some(subscriber) = self.subscriber.get()
            && !events.is_empty()
        {
            self.supervisor
                .guard(Task::Transaction, || subscriber(events));
        }
    }
}

/// Gives each of `new_events` its id and writes it. The teams are locked in the order of their
/// names, so that transactions that share several teams cannot deadlock.
pub(super) async fn write_events(
    transaction: &mut NativeTransaction<'_>,
    new_events: Vec<NewEvent>,
) -> sqlx::Result<Vec<Event>> {
    let mut by_team = BTreeMap::<Team, Vec<NewEvent>>::new();
    for event in new_events {
        by_team.entry(event.team.clone()).or_default().push(event);
    }
    let mut events = Vec::new();
    for (team, new_events) in by_team {
        let count = new_events.len() as i64;
        let first = raise_counter(transaction, &team, count).await? - count + 1;
        insert(transaction, &team, first, &new_events).await?;
        let ids = (first..).map(EventId);
        events.extend(
            new_events
                .into_iter()
                .zip(ids)
                .map(|(new, event_id)| Event {
                    team: team.clone(),
                    event_id,
                    payload: new.payload,
                    at: new.at,
                }),
        );
    }
    Ok(events)
}

/// Raises the team's counter, whose row stays locked until the commit; returns its new value.
async fn raise_counter(
    transaction: &mut NativeTransaction<'_>,
    team: &Team,
    by: i64,
) -> sqlx::Result<i64> {
    let raise = Statement::new(
        "insert into event_counter (team, head_event_id) values ($1, $2)
         on conflict (team) do update
         set head_event_id = event_counter.head_event_id + excluded.head_event_id
         returning head_event_id",
        args![team, by],
    );
    let rows = transaction.fetch(raise).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let (head,) = FromRow::from_row(row).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(head)
}

/// Writes events of `team` with the ids from `first` on, those of one time in one statement: all
/// events of a transaction usually have the same time.
async fn insert(
    transaction: &mut NativeTransaction<'_>,
    team: &Team,
    first: i64,
    events: &[NewEvent],
) -> sqlx::Result<()> {
    let row = |(event, id): (&NewEvent, i64)| {
        let stored = event.brief.as_ref().unwrap_or(&event.payload);
        let Reach { team, room, user } = &event.reach;
        let (room, user) = (room.as_ref(), user.as_ref());
        let (room, user) = (room.map(RoomName::as_str), user.map(UserId::as_str));
        json!([id, stored, team, room, user])
    };
    let mut next = first;
    for of_one_time in events.chunk_by(|event, later| event.at == later.at) {
        let rows: Vec<Value> = of_one_time.iter().zip(next..).map(row).collect();
        next += rows.len() as i64;
        let insert = Statement::new(
            "insert into event (team, event_id, payload, at, to_team, to_room, to_user)
             select $1, cast(given.value ->> 0 as bigint), given.value -> 1, $2,
                    cast(given.value ->> 2 as boolean), given.value ->> 3, given.value ->> 4
             from json_each($3) as given",
            args![team, of_one_time[0].at, Value::from(rows)],
        );
        transaction.execute(insert).await?;
    }
    Ok(())
}
