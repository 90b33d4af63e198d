//! The task that owns a transaction's connection, from its begin to its end.
//!
//! Whoever runs the transaction only sends its statements here. So it ends in time and in order
//! whatever becomes of them: they may be cancelled, block, or never be polled again, and the
//! log's writer, which in SQLite shares the one connection that writes, waits for none of that.
//! A commit that has begun is told although nobody waits for it any more.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    open::{Connected, Open, Statement},
    row::Row,
};
use crate::store::{
    REPLY_TIMEOUT,
    database::{Database, Postgres, Sqlite},
    failure::bounded,
    outbox::{Draft, Outbox},
};
use crate::supervise::Task;

/// How long a transaction may go on before its commit: in SQLite, where the log waits for those
/// that write, and otherwise, where Postgres needs a second to notice a deadlock.
const SQLITE_HOLD_MAX: Duration = Duration::from_secs(1);
const HOLD_MAX: Duration = Duration::from_secs(3);
/// Postgres itself ends what outlives its keeper: a statement that waits for a lock, a session
/// whose instance is gone.
const POSTGRES_BEGIN: &str = "begin; set local statement_timeout = '3s'; \
                              set local idle_in_transaction_session_timeout = '10s'";
const POSTGRES_BEGIN_VIEW: &str = "begin isolation level repeatable read, read only; \
                                   set local statement_timeout = '3s'; \
                                   set local idle_in_transaction_session_timeout = '10s'";

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Write,
    View,
}

type Reply<T> = oneshot::Sender<sqlx::Result<T>>;

/// What a transaction asks of its keeper.
pub(super) enum Ask {
    Execute(Statement, Reply<u64>),
    Fetch(Statement, Reply<Vec<Row>>),
    Commit(Vec<Draft>, Reply<()>),
}

/// How a statement went.
enum Step {
    Done,
    Failed,
    Late,
}

struct Keeper {
    outbox: Arc<Outbox>,
    asks: mpsc::Receiver<Ask>,
    begun: Option<Reply<Instant>>,
}

/// Starts the keeper of a transaction; returns once it has begun, within 5 s, with where to ask and the
/// moment at which it ends by itself.
pub(super) async fn begin(
    database: Arc<Database>,
    outbox: Arc<Outbox>,
    purpose: Purpose,
) -> sqlx::Result<(mpsc::Sender<Ask>, Instant)> {
    let (asks, asked) = mpsc::channel(1);
    let (begun, answer) = oneshot::channel();
    let supervisor = outbox.supervisor().clone();
    let keeper = Keeper {
        outbox,
        asks: asked,
        begun: Some(begun),
    };
    // It ends by itself: what it waits for, once it has begun, has a limit.
    supervisor.spawn(Task::Transaction, keeper.run(database, purpose));
    let answer = async { answer.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)) };
    let deadline = bounded(REPLY_TIMEOUT, answer).await?;
    Ok((asks, deadline))
}

impl Keeper {
    async fn run(mut self, database: Arc<Database>, purpose: Purpose) {
        let kept = match &*database {
            Database::Postgres(postgres) => self.keep_postgres(postgres, purpose).await,
            Database::Sqlite(sqlite) => match purpose {
                Purpose::Write => self.keep_sqlite(sqlite).await,
                Purpose::View => self.keep_sqlite_view(sqlite).await,
            },
        };
        if let (Err(error), Some(begun)) = (kept, self.begun.take()) {
            let _ = begun.send(Err(error));
        }
    }

    async fn keep_postgres(&mut self, postgres: &Postgres, purpose: Purpose) -> sqlx::Result<()> {
        let begin = match purpose {
            Purpose::Write => POSTGRES_BEGIN,
            Purpose::View => POSTGRES_BEGIN_VIEW,
        };
        let mut connection = postgres.pool.acquire().await?;
        let open = Open::Postgres(bounded(REPLY_TIMEOUT, connection.begin_with(begin)).await?);
        if self.serve(open, HOLD_MAX).await == Connected::Unclear {
            connection.close_on_drop();
        }
        Ok(())
    }

    async fn keep_sqlite(&mut self, sqlite: &Sqlite) -> sqlx::Result<()> {
        // Of all transactions only one queues for the connection, so that the log's writer, which
        // does so too, waits for no more than one.
        let _turn = sqlite.turn.lock().await;
        let mut lease = sqlite.writer.lease().await?;
        let begin = lease.connection.begin_with("begin immediate");
        let open = Open::Sqlite(bounded(REPLY_TIMEOUT, begin).await?);
        if self.serve(open, SQLITE_HOLD_MAX).await == Connected::Clean {
            forget_deadline(&mut lease.connection).await?;
            lease.give_back();
        }
        Ok(())
    }

    async fn keep_sqlite_view(&mut self, sqlite: &Sqlite) -> sqlx::Result<()> {
        let mut connection = sqlite.readers.acquire().await?;
        let open = Open::Sqlite(bounded(REPLY_TIMEOUT, connection.begin()).await?);
        match self.serve(open, HOLD_MAX).await {
            Connected::Clean => forget_deadline(&mut connection).await?,
            Connected::Unclear => connection.close_on_drop(),
        }
        Ok(())
    }

    /// Does what is asked until the commit, the first failure, until nobody can ask any more, or
    /// for `hold_max`.
    async fn serve(&mut self, mut open: Open<'_>, hold_max: Duration) -> Connected {
        let deadline = Instant::now() + hold_max;
        let armed = open.interrupt_at(deadline).await.map(|()| deadline);
        if let Some(begun) = self.begun.take() {
            // Where nobody waits any more, or after a failure, nobody asks either.
            let _ = begun.send(armed);
        }
        loop {
            let step = match timeout_at(deadline, self.asks.recv()).await {
                Ok(Some(Ask::Execute(statement, reply))) => {
                    answer(deadline, open.execute(statement), reply).await
                }
                Ok(Some(Ask::Fetch(statement, reply))) => {
                    answer(deadline, open.fetch(statement), reply).await
                }
                Ok(Some(Ask::Commit(drafts, reply))) => {
                    return self.commit(open, drafts, reply).await;
                }
                Ok(None) => Step::Failed,
                Err(_) => {
                    tracing::warn!("a transaction is held too long: undone");
                    Step::Failed
                }
            };
            match step {
                Step::Done => {}
                Step::Failed => return open.roll_back().await,
                Step::Late => {
                    tracing::warn!("a transaction's statement takes too long: undone");
                    return Connected::Unclear;
                }
            }
        }
    }

    async fn commit(&self, mut open: Open<'_>, drafts: Vec<Draft>, reply: Reply<()>) -> Connected {
        let deadline = Instant::now() + REPLY_TIMEOUT;
        // Until the events are told, so that they are told in the order of the commits.
        let turns = async { Ok(self.outbox.turns(&drafts).await) };
        let _turns = match until(deadline, turns).await {
            Ok(turns) => turns,
            Err(error) => return undo(open, error, reply).await,
        };
        let events = match until(deadline, open.draw(drafts)).await {
            Ok(events) => events,
            Err(error) => return undo(open, error, reply).await,
        };
        match until(deadline, open.commit()).await {
            Ok(()) => {
                self.outbox.tell(&events);
                let _ = reply.send(Ok(()));
                Connected::Clean
            }
            Err(error) => {
                let _ = reply.send(Err(error));
                Connected::Unclear
            }
        }
    }
}

async fn until<T>(
    deadline: Instant,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    bounded(deadline.saturating_duration_since(Instant::now()), work).await
}

/// Takes what [`Open::interrupt_at`] has set off a connection.
async fn forget_deadline(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    connection.lock_handle().await?.remove_progress_handler();
    Ok(())
}

/// Runs a statement's `work` until `deadline` and tells how it went.
async fn answer<T>(
    deadline: Instant,
    work: impl Future<Output = sqlx::Result<T>>,
    reply: Reply<T>,
) -> Step {
    let Ok(outcome) = timeout_at(deadline, work).await else {
        return Step::Late;
    };
    let step = match &outcome {
        Ok(_) => Step::Done,
        Err(_) => Step::Failed,
    };
    let _ = reply.send(outcome);
    step
}

async fn undo(open: Open<'_>, error: sqlx::Error, reply: Reply<()>) -> Connected {
    let connected = open.roll_back().await;
    let _ = reply.send(Err(error));
    connected
}
