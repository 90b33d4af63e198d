//! What a feature writes, in one transaction, with SQL written once for both databases.
//!
//! ```no_run
//! # use realtime_server::{error::Result, id::{Team, Timestamp}, store::{Store, args}};
//! # async fn rename(store: &Store, team: &Team, id: i64, name: &str) -> Result<u64> {
//! let now = Timestamp::now();
//! store
//!     .transact(async |tx| {
//!         let renamed = tx
//!             .execute("update folder set name = $1, at = $2 where id = $3", args![name, now, id])
//!             .await?;
//!         tx.publish(team, now, &serde_json::json!({ "folder": id, "name": name }))?;
//!         Ok(renamed)
//!     })
//!     .await
//! # }
//! ```
//! SQL that both databases understand: `$1` for parameters, `on conflict`, `returning`; no
//! `for update` ([`find_locked`](Transaction::find_locked) adds it), no casts with `::`, one
//! statement in a text. Rows are locked in a fixed order: the document, then what belongs to it
//! by rising id; the events' counter comes last by itself.

mod bind;
mod fault;
mod keeper;
mod open;
mod row;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};

pub use self::{
    bind::{Bind, ToBind, args},
    row::{Column, FromRow, Row},
};
pub use sqlx::types::Json;

pub(super) use self::open::{Open, Rows, Statement};
use self::{
    fault::Fault,
    keeper::{Ask, Purpose},
};
use super::{Store, outbox::Draft};
use crate::{
    error::{Error, Result},
    id::{Team, Timestamp},
};

/// No attempt begins later than this after the first one.
const ATTEMPTS_WITHIN: Duration = Duration::from_secs(5);
/// The wait after the first conflict; it doubles, and a part of it is chance.
const BACKOFF_MIN: Duration = Duration::from_millis(5);

/// A transaction that has begun; [`Store::transact`] ends it.
///
/// After the first statement that fails everything is undone, and what is asked afterwards fails
/// as that did: whoever expects a conflict of values says `on conflict do nothing` and looks at
/// the number of rows.
pub struct Transaction {
    state: Arc<State>,
}

/// What whoever writes in a transaction and whoever ends it share.
struct State {
    asks: mpsc::Sender<Ask>,
    deadline: Instant,
    drafts: Mutex<Vec<Draft>>,
    failed: Mutex<Option<Fault>>,
}

impl Store {
    /// Runs `work` in a transaction and commits it when `work` succeeds; durable when this
    /// returns. Where `work` fails, or anything else does, nothing is written and nothing told.
    ///
    /// `work` is run again, from its beginning, where another transaction was in its way, so that
    /// it changes nothing but by its statements. It has a second (in Postgres three), and is cut
    /// then: it waits for nothing but its statements. All of it takes at most 20 s.
    ///
    /// # Errors
    /// What `work` fails with; [`Error::StorageUnavailable`] where the database cannot be reached,
    /// has too much to do or `work` took too long; [`Error::Internal`] where it refuses a
    /// statement. [`Error::StorageUnavailable`] may, where the answer to the commit was lost, also
    /// mean that everything was written; it is not told then.
    pub async fn transact<T, F>(&self, work: impl Fn(Transaction) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let last_begin = Instant::now() + ATTEMPTS_WITHIN;
        let mut backoff = BACKOFF_MIN;
        loop {
            let error = match self.attempt(&work).await {
                Ok(done) => return Ok(done),
                Err(Fault::Lasting(error)) => return Err(error),
                Err(Fault::Conflict(error)) => error,
            };
            if Instant::now() + backoff * 2 > last_begin {
                return Err(Fault::Conflict(error).into_error());
            }
            tracing::debug!(%error, "a transaction met another one: it is run again");
            sleep(backoff.mul_f64(1.0 + rand::random::<f64>())).await;
            backoff *= 2;
        }
    }

    /// Runs `work`, which only reads, on one consistent view of the database. Keeps nobody from
    /// writing; has three seconds.
    ///
    /// # Errors
    /// As [`transact`](Store::transact); a statement that writes is refused.
    pub async fn view<T, F>(&self, work: impl FnOnce(Transaction) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let run = async {
            let state = self.begin(Purpose::View).await?;
            state.run(work).await
        };
        run.await.map_err(Fault::into_error)
    }

    async fn attempt<T, F>(&self, work: &impl Fn(Transaction) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T>>,
    {
        let state = self.begin(Purpose::Write).await?;
        let done = state.run(work).await?;
        state.commit().await?;
        Ok(done)
    }

    async fn begin(&self, purpose: Purpose) -> Result<Arc<State>, Fault> {
        let (database, outbox) = (&self.inner.database, &self.inner.outbox);
        let begun = keeper::begin(Arc::clone(database), Arc::clone(outbox), purpose).await;
        let (asks, deadline) = begun.map_err(Fault::from)?;
        Ok(Arc::new(State {
            asks,
            deadline,
            drafts: Mutex::default(),
            failed: Mutex::default(),
        }))
    }
}

impl Transaction {
    /// Runs a statement; returns how many rows it wrote.
    ///
    /// # Errors
    /// [`Error::StorageUnavailable`] or [`Error::Internal`], logged; the whole transaction has
    /// failed then.
    pub async fn execute(&self, sql: &'static str, args: Vec<Bind>) -> Result<u64> {
        let statement = Statement::new(sql, args);
        self.state.ask(|reply| Ask::Execute(statement, reply)).await
    }

    /// Reads the first row that a statement returns.
    ///
    /// # Errors
    /// As [`execute`](Transaction::execute).
    pub async fn find<T: FromRow>(&self, sql: &'static str, args: Vec<Bind>) -> Result<Option<T>> {
        let rows = self.fetch(Statement::new(sql, args)).await?;
        rows.first().map(T::from_row).transpose()
    }

    /// As [`find`](Transaction::find), and nobody else changes what is found before this
    /// transaction has ended. `sql` is a `select` that could end with `for update`.
    ///
    /// # Errors
    /// As [`execute`](Transaction::execute).
    pub async fn find_locked<T: FromRow>(
        &self,
        sql: &'static str,
        args: Vec<Bind>,
    ) -> Result<Option<T>> {
        let mut statement = Statement::new(sql, args);
        statement.rows = Rows::Locked;
        let rows = self.fetch(statement).await?;
        rows.first().map(T::from_row).transpose()
    }

    /// Reads all rows that a statement returns; the statement says how many at most.
    ///
    /// # Errors
    /// As [`execute`](Transaction::execute).
    pub async fn list<T: FromRow>(&self, sql: &'static str, args: Vec<Bind>) -> Result<Vec<T>> {
        let rows = self.fetch(Statement::new(sql, args)).await?;
        rows.iter().map(T::from_row).collect()
    }

    /// Has `payload` written as an event of `team` that happened `at`, with the commit, and told
    /// after it ([`Store::subscribe`]).
    ///
    /// # Errors
    /// [`Error::Internal`] where `payload` cannot be JSON.
    pub fn publish(&self, team: &Team, at: Timestamp, payload: &impl Serialize) -> Result<()> {
        let payload = serde_json::to_value(payload).map_err(|error| {
            tracing::error!(%error, "an event cannot be written as JSON");
            Error::Internal
        })?;
        let team = team.clone();
        self.state.drafts.lock().push(Draft { team, payload, at });
        Ok(())
    }

    async fn fetch(&self, statement: Statement) -> Result<Vec<Row>> {
        let fetch = |reply| Ask::Fetch(statement, reply);
        self.state.ask(fetch).await
    }
}

impl State {
    /// Runs `work` until the transaction's deadline.
    async fn run<T, F>(self: &Arc<Self>, work: impl FnOnce(Transaction) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T>>,
    {
        let state = Arc::clone(self);
        let worked = timeout_at(self.deadline, work(Transaction { state })).await;
        // What has failed is not committed, whatever `work` makes of it.
        if let Some(fault) = self.failed.lock().take() {
            return Err(fault);
        }
        // The keeper has logged it.
        let worked = worked.unwrap_or(Err(Error::StorageUnavailable));
        worked.map_err(Fault::Lasting)
    }

    async fn commit(&self) -> Result<(), Fault> {
        let drafts = std::mem::take(&mut *self.drafts.lock());
        let committed = self.ask(|reply| Ask::Commit(drafts, reply)).await;
        let fault = self.failed.lock().take();
        committed.map_err(|error| fault.unwrap_or(Fault::Lasting(error)))
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<sqlx::Result<T>>) -> Ask) -> Result<T> {
        if let Some(fault) = &*self.failed.lock() {
            return Err(fault.error());
        }
        let (reply, answer) = oneshot::channel();
        // Where the keeper has ended, the reply is gone with it.
        let _ = self.asks.send(ask(reply)).await;
        let fault = match answer.await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Fault::from(error),
            Err(_) => Fault::Lasting(Error::StorageUnavailable),
        };
        // Where several are asked at once, the first failure counts.
        Err(self.failed.lock().get_or_insert(fault).error())
    }
}

impl Statement {
    fn new(sql: &'static str, binds: Vec<Bind>) -> Self {
        let rows = Rows::Read;
        Self { sql, binds, rows }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
