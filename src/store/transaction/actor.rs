//! The actor of a transaction: the task that owns its connection, from the begin to the end.
//!
//! The code that runs in a transaction only sends its statements here. So the transaction ends in
//! time and in order even where that code is cancelled, blocks or is never polled again, and the
//! log's writer, which in SQLite shares the one connection that writes, does not wait for it.
//! The subscriber is told of a commit that has begun even where its caller no longer waits for it.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    store::{
        database::{BEGIN_SHORT, BEGIN_SHORT_READ, Database, PgTransaction, Postgres, Sqlite},
        event::NewEvent,
        outbox::{Outbox, write_events},
        statement::{ConnectionState, NativeTransaction, Row, Statement},
        timeouts::{REPLY_TIMEOUT, bounded},
    },
    supervise::Task,
};

/// How long a transaction may take before its commit: in SQLite, where the log's writer waits for
/// those that write, and otherwise, where Postgres needs a second to detect a deadlock.
const SQLITE_DURATION_MAX: Duration = Duration::from_secs(1);
const DURATION_MAX: Duration = Duration::from_secs(3);
/// The kinds of statements that a transaction may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

type Reply<T> = oneshot::Sender<sqlx::Result<T>>;

/// A request to the actor.
pub(super) enum Request {
    Execute(Statement, Reply<u64>),
    Fetch(Statement, Reply<Vec<Row>>),
    Commit(Vec<NewEvent>, Reply<()>),
}

/// The end of one request.
enum Step {
    Succeeded,
    Failed,
    TimedOut,
}

struct Actor {
    outbox: Arc<Outbox>,
    requests: mpsc::Receiver<Request>,
    /// Gets the deadline when the transaction has begun.
    begun: Option<Reply<Instant>>,
}

/// Starts the actor of a transaction. Returns once the transaction has begun, within 5 s, with the
/// channel for requests and the time at which the transaction is rolled back unless it has ended.
pub(super) async fn begin(
    database: Arc<Database>,
    outbox: Arc<Outbox>,
    access: Access,
) -> sqlx::Result<(mpsc::Sender<Request>, Instant)> {
    let (sender, requests) = mpsc::channel(1);
    let (begun, deadline) = oneshot::channel();
    let supervisor = outbox.supervisor().clone();
    let actor = Actor {
        outbox,
        requests,
        begun: Some(begun),
    };
    // It ends without being stopped: once it has begun, everything that it waits for is bounded.
    supervisor.spawn(Task::Transaction, actor.run(database, access));
    let deadline = async { deadline.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)) };
    let deadline = bounded(REPLY_TIMEOUT, deadline).await?;
    Ok((sender, deadline))
}

impl Actor {
    async fn run(mut self, database: Arc<Database>, access: Access) {
        let ended = match &*database {
            // Boxed, because it has 15 KiB: without Postgres, each actor would have these too.
            Database::Postgres(postgres) => Box::pin(self.run_postgres(postgres, access)).await,
            Database::Sqlite(sqlite) => match access {
                Access::Read => self.run_sqlite_read(sqlite).await,
                Access::Write => self.run_sqlite_write(sqlite).await,
            },
        };
        if let (Err(error), Some(begun)) = (ended, self.begun.take()) {
            let _ = begun.send(Err(error));
        }
    }

    async fn run_postgres(&mut self, postgres: &Postgres, access: Access) -> sqlx::Result<()> {
        let begin = match access {
            Access::Read => BEGIN_SHORT_READ,
            Access::Write => BEGIN_SHORT,
        };
        let mut connection = postgres.pool.acquire().await?;
        let transaction = bounded(REPLY_TIMEOUT, connection.begin_with(begin)).await?;
        let transaction = PgTransaction::new(transaction, postgres.sessions);
        let transaction = NativeTransaction::Postgres(transaction);
        if self.serve(transaction, DURATION_MAX).await == ConnectionState::Unknown {
            connection.close_on_drop();
        }
        Ok(())
    }

    async fn run_sqlite_write(&mut self, sqlite: &Sqlite) -> sqlx::Result<()> {
        // Only one of all transactions waits for the connection at a time, so that the log's
        // writer, which waits for it too, waits for at most one transaction.
        let _queue = sqlite.transaction_queue.lock().await;
        let mut lease = sqlite.writer.lease().await?;
        let begin = lease.connection.begin_with("begin immediate");
        let transaction = NativeTransaction::Sqlite(bounded(REPLY_TIMEOUT, begin).await?);
        if self.serve(transaction, SQLITE_DURATION_MAX).await == ConnectionState::Reusable {
            clear_deadline(&mut lease.connection).await?;
            lease.give_back();
        }
        Ok(())
    }

    async fn run_sqlite_read(&mut self, sqlite: &Sqlite) -> sqlx::Result<()> {
        let mut connection = sqlite.readers.acquire().await?;
        let transaction = bounded(REPLY_TIMEOUT, connection.begin()).await?;
        let transaction = NativeTransaction::Sqlite(transaction);
        match self.serve(transaction, DURATION_MAX).await {
            ConnectionState::Reusable => clear_deadline(&mut connection).await?,
            ConnectionState::Unknown => connection.close_on_drop(),
        }
        Ok(())
    }

    /// Serves requests until the commit, the first failure, the end of the channel, or for
    /// `duration_max`.
    async fn serve(
        &mut self,
        mut transaction: NativeTransaction<'_>,
        duration_max: Duration,
    ) -> ConnectionState {
        let deadline = Instant::now() + duration_max;
        let begun_with = transaction.interrupt_at(deadline).await.map(|()| deadline);
        if let Some(begun) = self.begun.take() {
            // Where nobody receives it, or it is an error, the channel of the requests ends.
            let _ = begun.send(begun_with);
        }
        loop {
            let step = match timeout_at(deadline, self.requests.recv()).await {
                Ok(Some(Request::Execute(statement, reply))) => {
                    run_statement(deadline, transaction.execute(statement), reply).await
                }
                Ok(Some(Request::Fetch(statement, reply))) => {
                    run_statement(deadline, transaction.fetch(statement), reply).await
                }
                Ok(Some(Request::Commit(events, reply))) => {
                    return self.commit(transaction, events, reply).await;
                }
                Ok(None) => Step::Failed,
                Err(_) => {
                    tracing::warn!("a transaction takes too long: it is rolled back");
                    Step::Failed
                }
            };
            match step {
                Step::Succeeded => {}
                Step::Failed => return transaction.roll_back().await,
                Step::TimedOut => {
                    tracing::warn!("a transaction's statement takes too long: it is rolled back");
                    return ConnectionState::Unknown;
                }
            }
        }
    }

    async fn commit(
        &self,
        mut transaction: NativeTransaction<'_>,
        events: Vec<NewEvent>,
        reply: Reply<()>,
    ) -> ConnectionState {
        let deadline = Instant::now() + REPLY_TIMEOUT;
        // Held until the subscriber has been told, so that it is told in the order of the commits.
        let lock = async { Ok(self.outbox.lock_teams(&events).await) };
        let _locks = match until(deadline, lock).await {
            Ok(locks) => locks,
            Err(error) => return roll_back(transaction, error, reply).await,
        };
        let events = match until(deadline, write_events(&mut transaction, events)).await {
            Ok(events) => events,
            Err(error) => return roll_back(transaction, error, reply).await,
        };
        match until(deadline, transaction.commit()).await {
            Ok(()) => {
                self.outbox.tell(&events);
                let _ = reply.send(Ok(()));
                ConnectionState::Reusable
            }
            Err(error) => {
                let _ = reply.send(Err(error));
                ConnectionState::Unknown
            }
        }
    }
}

/// Waits for `work` until `deadline`, then fails as if the connection had broken.
async fn until<T>(
    deadline: Instant,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    bounded(deadline.saturating_duration_since(Instant::now()), work).await
}

/// Removes the deadline that [`NativeTransaction::interrupt_at`] has set from a connection.
async fn clear_deadline(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    connection.lock_handle().await?.remove_progress_handler();
    Ok(())
}

/// Runs a statement until `deadline` and sends its result.
async fn run_statement<T>(
    deadline: Instant,
    statement: impl Future<Output = sqlx::Result<T>>,
    reply: Reply<T>,
) -> Step {
    let Ok(result) = timeout_at(deadline, statement).await else {
        return Step::TimedOut;
    };
    let step = match &result {
        Ok(_) => Step::Succeeded,
        Err(_) => Step::Failed,
    };
    let _ = reply.send(result);
    step
}

async fn roll_back(
    transaction: NativeTransaction<'_>,
    error: sqlx::Error,
    reply: Reply<()>,
) -> ConnectionState {
    let state = transaction.roll_back().await;
    let _ = reply.send(Err(error));
    state
}
