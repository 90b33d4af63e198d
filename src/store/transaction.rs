//! Transactions of features, with SQL that is written once for both databases.
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
//! The SQL has to be valid in both databases: `$1` for parameters, `on conflict`, `returning`; no
//! `for update` ([`find_locked`](Transaction::find_locked) adds it), no casts with `::`, one
//! statement in a text. Many rows are one parameter, a JSON array of arrays: `from json_each($2) as
//! given` lists them in their order, and `given.value ->> 0` is the first column of a row, as text.
//! (Postgres gets its own function of that kind in place of `json_each`.) Rows are to be locked in a
//! fixed order: the document, then the rows that belong to it by rising id; the counter of the events
//! is locked last by the store.

mod abort;
mod actor;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};

use self::{
    abort::Abort,
    actor::{Access, Request},
};
use super::{
    Store,
    event::{Event, NewEvent, Payload},
    statement::{Bind, FromRow, Row, RowLock, Statement},
};
use crate::{
    error::{Error, Result},
    id::{Team, Timestamp},
};

/// No attempt begins later than this after the first one.
const ATTEMPTS_WITHIN: Duration = Duration::from_secs(5);
/// The wait after the first conflict; it doubles, and a part of it is random.
const BACKOFF_MIN: Duration = Duration::from_millis(5);

/// A transaction that has begun; [`Store::transact`] ends it.
///
/// After the first statement that fails the transaction is rolled back, and later statements fail
/// with the same error: a feature that expects a conflict of values uses `on conflict do nothing`
/// and checks the number of rows.
pub struct Transaction {
    state: Arc<State>,
}

/// The state of a transaction, which its [`Transaction`] and [`Store::transact`] share.
struct State {
    requests: mpsc::Sender<Request>,
    deadline: Instant,
    events: Mutex<Vec<NewEvent>>,
    abort: Mutex<Option<Abort>>,
}

impl Store {
    /// Runs `work` in a transaction and commits it when `work` succeeds; it is durable when this
    /// returns. Where `work` or anything else fails, nothing is written and no event is published.
    ///
    /// `work` is run again, from its beginning, after a conflict with another transaction, so it
    /// must have no effects but its statements. It may take one second (in Postgres three) and is
    /// then cancelled, so it should wait for nothing but its statements. The call takes at most
    /// 20 s.
    ///
    /// # Errors
    /// The error of `work`; [`Error::StorageUnavailable`] where the database cannot be reached or
    /// is overloaded, or `work` took too long; [`Error::Internal`] where the database refuses a
    /// statement. Where the answer to the commit was lost, [`Error::StorageUnavailable`] may also
    /// mean that everything was written; the subscriber is not told of the events then.
    pub async fn transact<T, F>(&self, work: impl Fn(Transaction) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let last_begin = Instant::now() + ATTEMPTS_WITHIN;
        let mut backoff = BACKOFF_MIN;
        loop {
            let error = match self.attempt(&work).await {
                Ok(done) => return Ok(done),
                Err(Abort::Final(error)) => return Err(error),
                Err(Abort::Conflict(error)) => error,
            };
            if Instant::now() + backoff * 2 > last_begin {
                return Err(Abort::Conflict(error).into_error());
            }
            tracing::debug!(%error, "a transaction conflicted with another one: it is run again");
            sleep(backoff.mul_f64(1.0 + rand::random::<f64>())).await;
            backoff *= 2;
        }
    }

    /// Runs `work`, which only reads, on one consistent view of the database. It blocks no
    /// writer, and may take three seconds.
    ///
    /// # Errors
    /// As [`transact`](Store::transact); a statement that writes is refused.
    pub async fn view<T, F>(&self, work: impl FnOnce(Transaction) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let run = async {
            let state = self.begin(Access::Read).await?;
            state.run(work).await
        };
        run.await.map_err(Abort::into_error)
    }

    async fn attempt<T, F>(&self, work: &impl Fn(Transaction) -> F) -> Result<T, Abort>
    where
        F: Future<Output = Result<T>>,
    {
        let state = self.begin(Access::Write).await?;
        let done = state.run(work).await?;
        state.commit().await?;
        Ok(done)
    }

    /// Has `subscriber` told of the events of each transaction of this store, exactly once, after
    /// its commit and before [`transact`](Store::transact) returns; the events of one team in the
    /// order of their ids. It is not told of the events of other instances.
    ///
    /// It must be quick, because the team's next commit waits for it; a panic of it is logged and
    /// affects nobody else. It is not told of the events of a commit whose answer was lost: a
    /// subscriber that has to know all events reads [`events_after`](Store::events_after).
    ///
    /// # Errors
    /// [`Error::Conflict`] for a second subscriber.
    pub fn subscribe(&self, subscriber: impl Fn(&[Event]) + Send + Sync + 'static) -> Result<()> {
        if self.inner.outbox.subscribe(Box::new(subscriber)) {
            return Ok(());
        }
        Err(Error::Conflict {
            reason: "the store has a subscriber already",
        })
    }

    async fn begin(&self, access: Access) -> Result<Arc<State>, Abort> {
        let (database, outbox) = (&self.inner.database, &self.inner.outbox);
        let begun = actor::begin(Arc::clone(database), Arc::clone(outbox), access).await;
        let (requests, deadline) = begun.map_err(Abort::from)?;
        Ok(Arc::new(State {
            requests,
            deadline,
            events: Mutex::default(),
            abort: Mutex::default(),
        }))
    }
}

impl Transaction {
    /// Runs a statement; returns the number of rows that it wrote.
    ///
    /// # Errors
    /// [`Error::StorageUnavailable`] or [`Error::Internal`], logged; the whole transaction is then
    /// rolled back.
    pub async fn execute(&self, sql: &'static str, args: Vec<Bind>) -> Result<u64> {
        let statement = Statement::new(sql, args);
        let execute = |reply| Request::Execute(statement, reply);
        self.state.request(execute).await
    }

    /// Reads the first row that a statement returns.
    ///
    /// # Errors
    /// As [`execute`](Transaction::execute).
    pub async fn find<T: FromRow>(&self, sql: &'static str, args: Vec<Bind>) -> Result<Option<T>> {
        let rows = self.fetch(Statement::new(sql, args)).await?;
        rows.first().map(T::from_row).transpose()
    }

    /// As [`find`](Transaction::find), but locks the rows that are found against changes by other
    /// transactions until this one ends. `sql` is a `select` to which `for update` can be appended.
    ///
    /// # Errors
    /// As [`execute`](Transaction::execute).
    pub async fn find_locked<T: FromRow>(
        &self,
        sql: &'static str,
        args: Vec<Bind>,
    ) -> Result<Option<T>> {
        let mut statement = Statement::new(sql, args);
        statement.lock = RowLock::Update;
        let rows = self.fetch(statement).await?;
        rows.first().map(T::from_row).transpose()
    }

    /// Reads all rows that a statement returns; the statement has to limit their number.
    ///
    /// # Errors
    /// As [`execute`](Transaction::execute).
    pub async fn list<T: FromRow>(&self, sql: &'static str, args: Vec<Bind>) -> Result<Vec<T>> {
        let rows = self.fetch(Statement::new(sql, args)).await?;
        rows.iter().map(T::from_row).collect()
    }

    /// Publishes `payload` as an event of `team` that happened `at`: it, or its
    /// [brief](Payload::brief), is written with the commit, and the subscriber is told of it after
    /// that ([`Store::subscribe`]).
    ///
    /// # Errors
    /// [`Error::Internal`] where `payload` cannot be written as JSON.
    pub fn publish(&self, team: &Team, at: Timestamp, payload: &impl Payload) -> Result<()> {
        let (reach, brief) = (payload.reach(), payload.brief());
        let payload = serde_json::to_value(payload).map_err(|error| {
            tracing::error!(%error, "an event cannot be written as JSON");
            Error::Internal
        })?;
        let team = team.clone();
        let event = NewEvent {
            team,
            reach,
            payload,
            brief,
            at,
        };
        self.state.events.lock().push(event);
        Ok(())
    }

    async fn fetch(&self, statement: Statement) -> Result<Vec<Row>> {
        let fetch = |reply| Request::Fetch(statement, reply);
        self.state.request(fetch).await
    }
}

impl State {
    /// Runs `work` until the transaction's deadline.
    async fn run<T, F>(self: &Arc<Self>, work: impl FnOnce(Transaction) -> F) -> Result<T, Abort>
    where
        F: Future<Output = Result<T>>,
    {
        let state = Arc::clone(self);
        let worked = timeout_at(self.deadline, work(Transaction { state })).await;
        // After a failed statement nothing is committed, even where `work` ignores the error.
        if let Some(abort) = self.abort.lock().take() {
            return Err(abort);
        }
        // The actor has logged that the deadline has passed.
        let worked = worked.unwrap_or(Err(Error::StorageUnavailable));
        worked.map_err(Abort::Final)
    }

    async fn commit(&self) -> Result<(), Abort> {
        let events = std::mem::take(&mut *self.events.lock());
        let commit = |reply| Request::Commit(events, reply);
        let committed = self.request(commit).await;
        let abort = self.abort.lock().take();
        committed.map_err(|error| abort.unwrap_or(Abort::Final(error)))
    }

    /// Sends a request to the actor and waits for its reply.
    async fn request<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<sqlx::Result<T>>) -> Request,
    ) -> Result<T> {
        if let Some(abort) = &*self.abort.lock() {
            return Err(abort.error());
        }
        let (sender, reply) = oneshot::channel();
        // Where the actor has ended, the sender of the reply is dropped with the request.
        let _ = self.requests.send(request(sender)).await;
        let abort = match reply.await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) => Abort::from(error),
            Err(_) => Abort::Final(Error::StorageUnavailable),
        };
        // Where several requests run at once, the first failure counts.
        Err(self.abort.lock().get_or_insert(abort).error())
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
