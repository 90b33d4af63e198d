//! Events: drawn from their team's counter within the transaction that publishes them, told after
//! its commit.
//!
//! The team's row is locked last, just before the commit, so that those who publish in one team
//! wait for one another for no longer than that; whoever gets the row commits before the next one
//! draws, so that the ids have no gaps and rise in the order of the commits, on all instances.
//! What this instance commits, it also tells in that order.

use std::{
    array,
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    Store,
    transaction::{FromRow, Open, Rows, Statement, args},
};
use crate::{
    error::{Error, Result},
    id::{EventId, Team, Timestamp},
    supervise::{Supervisor, Task},
};

/// Teams share so many turns.
const TURNS: usize = 64;

/// Something that happened in a team, and is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The team.
    pub team: Team,
    /// Its place among all events of the team.
    pub event_id: EventId,
    /// What happened, as its publisher wrote it.
    pub payload: Value,
    /// When it happened.
    pub at: Timestamp,
}

/// An event that has no place yet.
pub(super) struct Draft {
    pub(super) team: Team,
    pub(super) payload: Value,
    pub(super) at: Timestamp,
}

type Subscriber = Box<dyn Fn(&[Event]) + Send + Sync>;

/// Where committed events go.
pub(super) struct Outbox {
    subscriber: OnceLock<Subscriber>,
    /// Held from the drawing of the ids until the events are told: one for some teams.
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
    supervisor: Supervisor,
}

impl Store {
    /// Has `subscriber` told of the events of each transaction of this store, exactly once, after
    /// its commit and before [`transact`](Store::transact) returns; those of one team in the order
    /// of their ids. What other instances publish is not told.
    ///
    /// It has to be quick, because the team's next commit waits for it; a panic of it is logged and
    /// harms nobody else. Events of a commit whose answer is lost are not told: whoever has to know
    /// of each reads the table.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a second subscriber.
    pub fn subscribe(&self, subscriber: impl Fn(&[Event]) + Send + Sync + 'static) -> Result<()> {
        let taken = self.inner.outbox.subscriber.set(Box::new(subscriber));
        taken.map_err(|_| Error::Conflict {
            reason: "the store has a subscriber already",
        })
    }
}

impl Outbox {
    pub(super) fn new(supervisor: Supervisor) -> Self {
        Self {
            subscriber: OnceLock::new(),
            turns: array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
            supervisor,
        }
    }

    /// The owner of the transactions.
    pub(super) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Waits for the turns of the teams of `drafts`, in a fixed order.
    pub(super) async fn turns(&self, drafts: &[Draft]) -> Vec<MutexGuard<'_, ()>> {
        let place = |draft: &Draft| self.hasher.hash_one(&draft.team) as usize % TURNS;
        let places: BTreeSet<usize> = drafts.iter().map(place).collect();
        let mut turns = Vec::with_capacity(places.len());
        for place in places {
            turns.push(self.turns[place].lock().await);
        }
        turns
    }

    pub(super) fn tell(&self, events: &[Event]) {
        if let Some(subscriber) = self.subscriber.get()
            && !events.is_empty()
        {
            self.supervisor
                .guard(Task::Transaction, || subscriber(events));
        }
    }
}

impl Open<'_> {
    /// Gives each of `drafts` its id and writes it; teams in the order of their names, so that
    /// transactions that share several cannot deadlock.
    pub(super) async fn draw(&mut self, drafts: Vec<Draft>) -> sqlx::Result<Vec<Event>> {
        let mut by_team = BTreeMap::<Team, Vec<Draft>>::new();
        for draft in drafts {
            by_team.entry(draft.team.clone()).or_default().push(draft);
        }
        let mut events = Vec::new();
        for (team, drafts) in by_team {
            let mut id = self.raise(&team, drafts.len()).await? - drafts.len() as i64;
            for Draft { payload, at, .. } in drafts {
                id += 1;
                let event = Event {
                    team: team.clone(),
                    event_id: EventId(id),
                    payload,
                    at,
                };
                self.insert(&event).await?;
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Raises the team's counter, whose row stays locked until the commit.
    async fn raise(&mut self, team: &Team, by: usize) -> sqlx::Result<i64> {
        let raise = Statement {
            sql: "insert into event_counter (team, head_event_id) values ($1, $2)
                  on conflict (team) do update
                  set head_event_id = event_counter.head_event_id + excluded.head_event_id
                  returning head_event_id",
            binds: args![team, by as i64],
            rows: Rows::Read,
        };
        let rows = self.fetch(raise).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let (head,) = FromRow::from_row(row).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(head)
    }

    async fn insert(&mut self, event: &Event) -> sqlx::Result<u64> {
        let insert = Statement {
            sql: "insert into event (team, event_id, payload, at) values ($1, $2, $3, $4)",
            binds: args![event.team, event.event_id, event.payload, event.at],
            rows: Rows::Read,
        };
        self.execute(insert).await
    }
}
