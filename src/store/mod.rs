//! Durable storage: documents, the log of their updates, snapshots of their state, and events.
//!
//! The log is the truth, memory is a cache of it: an update that [`UpdateLog`] has acknowledged is
//! on disk in Postgres or SQLite and survives a crash and a loss of power. A document is its newest
//! snapshot and the rows of the log after it. Every row has a checksum; a damaged row is set aside
//! and reported, and never returned to a caller.
//!
//! The store knows bytes, not Yjs: it neither merges nor validates updates. SQL is written here
//! and, through a [`Transaction`], in features; once for both databases except for the group
//! commit (`batch/commit.rs`).

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

mod append;
mod author;
mod backoff;
mod batch;
mod checksum;
mod column;
mod connection;
mod damage;
mod database;
mod documents;
mod event;
mod events;
mod failure;
mod foreign;
mod history;
mod journal;
mod lineage;
mod load;
mod log;
mod log_tail;
mod migrations;
mod missed;
mod newer;
mod outbox;
mod pages;
mod person;
mod reservation;
mod retention;
mod snapshot;
mod statement;
mod timeouts;
mod transaction;
mod trash;
mod writer;

pub(crate) use self::documents::{DOCUMENT_BY_NAME, metadata_columns, people};
pub use self::{
    append::{AppendError, Completion, NewRow, NewRows},
    author::Author,
    damage::{Damage, Damaged, Reason},
    documents::{DocumentRecord, Metadata, Status},
    event::{Event, Payload, Reach},
    events::EventsAfter,
    foreign::{ForeignError, ForeignTable, TableNames},
    journal::Unwritten,
    lineage::Lineage,
    load::Loaded,
    log::{JournalOptions, UpdateLog},
    missed::{MISSED_MAX, Missed, Receiver},
    newer::Writers,
    pages::{PagePermits, TIME_MAX, Window, parse_time},
    reservation::Reservation,
    statement::{Bind, Column, FromRow, Json, Row, ToBind, args, has_nul},
    transaction::Transaction,
};
pub use crate::metrics::Availability;

use self::{
    damage::KnownDamage,
    database::{Database, reading},
    failure::report,
    history::History,
    lineage::Lineages,
    outbox::Outbox,
    retention::EventTrimmer,
    timeouts::{REPLY_TIMEOUT, bounded},
    trash::TrashPurger,
    writer::Writer,
};
use crate::{
    error::Result,
    metrics::Metrics,
    supervise::{Supervisor, Task},
};

/// How long a reader waits for the newest times of the documents.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The database of this server. Cheap to clone.
///
/// Dropping the last clone without [`close`](Store::close) aborts the store's tasks: updates that
/// are not yet acknowledged may be lost, as in a crash.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Arc<Database>,
    log: UpdateLog,
    writer: Mutex<Option<AbortOnDropHandle<()>>>,
    event_trimmer: AbortOnDropHandle<()>,
    trash_purger: AbortOnDropHandle<()>,
    damage: KnownDamage,
    outbox: Arc<Outbox>,
    history: History,
    history_trimmer: AbortOnDropHandle<()>,
    lineages: Lineages,
    metrics: Metrics,
}

/// Brings the database at `url` to this version's schema and disconnects.
///
/// # Errors
/// As [`Store::open`].
pub async fn migrate(url: &str) -> Result<()> {
    let database = Database::open(url).await?;
    database.close().await;
    Ok(())
}

impl Store {
    /// Connects to `url` (`sqlite://path` or `postgres://…`), brings the schema to this version
    /// and starts the task that writes the log, with the options of `journal`, and those that
    /// delete events that are older than seven days, rows of the log that are no longer kept as
    /// history, and documents that have been in the trash for more than 30 days.
    ///
    /// A SQLite file is created where it is missing, with its folder, and is locked for this
    /// process until the store is closed. A Postgres that cannot be reached yet is awaited for
    /// 30 s. `supervisor` owns the store's tasks: the server stops if the log's writer dies.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `DATABASE_URL` for an address that cannot work,
    /// [`Error::Conflict`] where another process has locked the SQLite file,
    /// [`Error::StorageUnavailable`] where Postgres was not reached, otherwise
    /// [`Error::Internal`]. Causes are logged.
    ///
    /// [`Error::Invalid`]: crate::error::Error::Invalid
    /// [`Error::Conflict`]: crate::error::Error::Conflict
    /// [`Error::StorageUnavailable`]: crate::error::Error::StorageUnavailable
    /// [`Error::Internal`]: crate::error::Error::Internal
    pub async fn open(
        url: &str,
        journal: JournalOptions,
        metrics: Metrics,
        supervisor: &Supervisor,
    ) -> Result<Self> {
        let database = Arc::new(Database::open(url).await?);
        let commit_interval = journal.commit_interval.clone();
        let history = History::new(Arc::clone(&database), journal.history);
        let history_trimmer = supervisor.spawn(Task::HistoryTrimmer, history.clone().run());
        let (log, journal) = UpdateLog::new(journal);
        let writer = Writer::new(
            journal,
            commit_interval,
            Arc::clone(&database),
            metrics.clone(),
            supervisor.clone(),
        );
        let writer = supervisor.spawn(Task::LogWriter, writer.run());
        let trimmer = EventTrimmer::new(Arc::clone(&database));
        let trimmer = supervisor.spawn(Task::EventTrimmer, trimmer.run());
        let purger = TrashPurger::new(Arc::clone(&database));
        let purger = supervisor.spawn(Task::TrashPurger, purger.run());
        let inner = Inner {
            database,
            log,
            writer: Mutex::new(Some(AbortOnDropHandle::new(writer))),
            event_trimmer: AbortOnDropHandle::new(trimmer),
            trash_purger: AbortOnDropHandle::new(purger),
            damage: KnownDamage::default(),
            outbox: Arc::new(Outbox::new(supervisor.clone())),
            history,
            history_trimmer: AbortOnDropHandle::new(history_trimmer),
            lineages: Lineages::default(),
            metrics,
        };
        let store = Self {
            inner: Arc::new(inner),
        };
        // After a failure the next health check counts again.
        let _ = store.damaged_documents().await;
        let _ = store.look_at_lineage().await;
        Ok(store)
    }

    /// The log of updates.
    pub fn log(&self) -> &UpdateLog {
        &self.inner.log
    }

    /// Checks that the database answers. Takes at most 5 s.
    ///
    /// # Errors
    /// As [`find_document`](Store::find_document).
    pub async fn ping(&self) -> Result<()> {
        let answer = bounded(REPLY_TIMEOUT, self.select_one()).await;
        answer.map_err(|error| report("pinging", None, error))
    }

    /// Waits until all appends are written and their completions have run, at most until
    /// `deadline`, and disconnects; returns the updates that were not written.
    ///
    /// Later appends may not be written. Disconnecting may take a second past the deadline.
    pub async fn close(&self, deadline: Instant) -> Unwritten {
        self.inner.log.close();
        let writer = self.inner.writer.lock().take();
        if let Some(writer) = writer {
            // After a timeout the handle is dropped here, which aborts the writer.
            let _ = timeout_at(deadline, writer).await;
        }
        self.inner.event_trimmer.abort();
        self.inner.trash_purger.abort();
        self.inner.history_trimmer.abort();
        let unwritten = self.inner.log.unwritten();
        if timeout(Duration::from_secs(1), self.inner.database.close())
            .await
            .is_err()
        {
            tracing::warn!("the connections to the database were not closed in time");
        }
        unwritten
    }

    /// Has the rows of SQLite's tail moved. Takes at most 5 s; a failure is logged, and the rows are moved later.
    async fn move_tail(&self) {
        if let Database::Sqlite(_) = &*self.inner.database {
            let _ = timeout(REPLY_TIMEOUT, self.inner.log.move_tail()).await;
        }
    }

    /// Has `updated_at` of all documents count the newest rows of the log, which SQLite keeps in its tail first. Takes at most a second,
    /// and does nothing while the database cannot be written.
    pub(crate) async fn settle(&self) {
        if *self.inner.log.availability().borrow() == Availability::Ok {
            let _ = timeout(SETTLE_TIMEOUT, self.move_tail()).await;
        }
    }

    async fn select_one(&self) -> sqlx::Result<()> {
        reading!(&*self.inner.database, transaction => {
            sqlx::query("select 1").execute(&mut *transaction).await?;
        });
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
