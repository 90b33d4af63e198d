//! Durable truth: documents, the log of their updates and snapshots of their state.
//!
//! The log is the truth, memory is a cache of it: what [`UpdateLog`] has
//! acknowledged is on disk in Postgres or SQLite and survives a crash and a loss
//! of power. A document is its newest snapshot and the log's rows after it.
//! Every row carries a checksum; a damaged one is set aside and reported, never
//! handed out.
//!
//! The store knows bytes, not Yjs: it neither merges nor validates. SQL is
//! written here and, through a [`Transaction`], in features; once for both
//! databases except for the group commit (`batch/commit.rs`).

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

mod author;
mod batch;
mod column;
mod damage;
mod database;
mod failure;
mod holds;
mod list;
mod load;
mod log;
mod migrations;
mod outbox;
mod snapshot;
mod sole;
mod transaction;
mod writer;

pub use self::{
    author::Author,
    damage::{Damage, Damaged, Reason},
    list::ListedDocument,
    load::Loaded,
    log::{AppendError, Entry, JournalOptions, Receipt, Reservation, UpdateLog},
    outbox::Event,
    transaction::{Bind, Column, FromRow, Json, Row, ToBind, Transaction, args},
};
pub use crate::metrics::Availability;

use self::{
    damage::Damages,
    database::{Database, List, reading, writing},
    failure::{bounded, report},
    outbox::Outbox,
    writer::Writer,
};
use crate::{
    error::{Error, Result},
    id::{DocumentId, DocumentKey, Seq, Timestamp, UserId},
    metrics::Metrics,
    supervise::{Supervisor, Task},
};

/// How long finding, making or pinging may take before the database counts as unreachable.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one large read or write may take: a snapshot of 64 MiB over a slow line.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(30);

/// The database of this server. Cheap to clone.
///
/// Dropping the last clone without [`close`](Store::close) ends the log's writer
/// where it stands: what was not yet acknowledged may be lost, as in a crash.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Arc<Database>,
    log: UpdateLog,
    writer: Mutex<Option<AbortOnDropHandle<()>>>,
    damage: Damages,
    outbox: Arc<Outbox>,
    metrics: Metrics,
}

/// What is known of a document without reading its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentRecord {
    /// The document's present life.
    pub id: DocumentId,
    /// The newest position in its log.
    pub head_seq: Seq,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What was accepted and could not be written before the server stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// Updates.
    pub updates: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The documents that they belong to, each once.
    pub documents: Vec<DocumentId>,
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
    /// Connects to `url` (`sqlite://path` or `postgres://…`), brings the schema to
    /// this version and starts writing what is appended to the log, as `journal` says.
    ///
    /// A SQLite file is made where it is missing, with its folder, and belongs to
    /// this process until the store is closed. A Postgres that cannot be reached
    /// yet is awaited for 30 s. `supervisor` owns the task that writes: the server
    /// stops where it dies.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `DATABASE_URL` for an address that cannot
    /// work, [`Error::Conflict`] where another process holds the SQLite file,
    /// [`Error::StorageUnavailable`] where Postgres was not reached, otherwise
    /// [`Error::Internal`]. Causes are logged.
    pub async fn open(
        url: &str,
        journal: JournalOptions,
        metrics: Metrics,
        supervisor: &Supervisor,
    ) -> Result<Self> {
        let database = Arc::new(Database::open(url).await?);
        let commit_interval = journal.commit_interval;
        let (log, journal) = UpdateLog::new(journal);
        let writer = Writer::new(
            journal,
            commit_interval,
            Arc::clone(&database),
            metrics.clone(),
            supervisor.clone(),
        );
        let writer = supervisor.spawn(Task::LogWriter, writer.run());
        let writer = AbortOnDropHandle::new(writer);
        let inner = Inner {
            database,
            log,
            writer: Mutex::new(Some(writer)),
            damage: Damages::default(),
            outbox: Arc::new(Outbox::new(supervisor.clone())),
            metrics,
        };
        let store = Self {
            inner: Arc::new(inner),
        };
        // A database that cannot tell now is asked again by whoever asks for the server's health.
        let _ = store.damaged_documents().await;
        Ok(store)
    }

    /// The log of updates.
    pub fn log(&self) -> &UpdateLog {
        &self.inner.log
    }

    /// Looks a document up by its name. Takes at most 5 s.
    ///
    /// # Errors
    /// [`Error::StorageUnavailable`], or [`Error::Internal`] where the database answers with a
    /// failure of its own, or where it does not find a document and its list of them was found
    /// damaged at the start: the document may well be there.
    pub async fn find_document(&self, key: &DocumentKey) -> Result<Option<DocumentRecord>> {
        let found = bounded(REPLY_TIMEOUT, self.select_document(key)).await;
        match found.map_err(|error| report("finding a document", None, error))? {
            Some(found) => Ok(Some(found)),
            None => self.absent().map(|()| None),
        }
    }

    /// Makes a document, or gets the one that has the name already, whoever else
    /// does the same at once. Takes at most 5 s.
    ///
    /// # Errors
    /// As [`find_document`](Store::find_document).
    pub async fn create_document(
        &self,
        key: &DocumentKey,
        by: &UserId,
        now: Timestamp,
    ) -> Result<DocumentRecord> {
        if self.list_is_damaged()
            && let Some(found) = self.find_document(key).await?
        {
            return Ok(found);
        }
        let made = bounded(REPLY_TIMEOUT, self.insert_document(key, by, now)).await;
        made.map_err(|error| report("making a document", None, error))
    }

    /// Whether the list of documents was found damaged at the start, so that documents may be
    /// there and not be found; none is made then.
    pub fn list_is_damaged(&self) -> bool {
        self.inner.database.list() == List::Damaged
    }

    /// Fails where what was not found may be there all the same.
    fn absent(&self) -> Result<()> {
        if self.list_is_damaged() {
            tracing::error!("a document is not found, but the list of documents is damaged");
            return Err(Error::Internal);
        }
        Ok(())
    }

    /// Asks the database for a sign of life. Takes at most 5 s.
    ///
    /// # Errors
    /// As [`find_document`](Store::find_document).
    pub async fn ping(&self) -> Result<()> {
        let answer = bounded(REPLY_TIMEOUT, self.select_one()).await;
        answer.map_err(|error| report("pinging", None, error))
    }

    /// Waits until everything appended is written and its receipts have run, or
    /// for `deadline`, and disconnects; tells what was not written.
    ///
    /// What is appended from now on may not be written. Disconnecting may take a
    /// second past the deadline.
    pub async fn close(&self, deadline: Instant) -> Unwritten {
        self.inner.log.close();
        let writer = self.inner.writer.lock().take();
        if let Some(writer) = writer {
            // Elapsed or not, the handle is dropped here, which ends the writer.
            let _ = tokio::time::timeout_at(deadline, writer).await;
        }
        let unwritten = self.inner.log.unwritten();
        if timeout(Duration::from_secs(1), self.inner.database.close())
            .await
            .is_err()
        {
            tracing::warn!("the database did not let go of its connections in time");
        }
        unwritten
    }

    async fn select_document(&self, key: &DocumentKey) -> sqlx::Result<Option<DocumentRecord>> {
        let found = reading!(&*self.inner.database, transaction => {
            sqlx::query_as::<_, (DocumentId, i64, Timestamp)>(
                "select document_id, head_seq, created_at from document
                 where team = $1 and room = $2",
            )
            .bind(key.team.as_str())
            .bind(key.room.as_str())
            .fetch_optional(&mut *transaction)
            .await?
        });
        Ok(found.map(DocumentRecord::from))
    }

    async fn insert_document(
        &self,
        key: &DocumentKey,
        by: &UserId,
        now: Timestamp,
    ) -> sqlx::Result<DocumentRecord> {
        // The update changes nothing: it makes the statement return the row that is there.
        let made = writing!(&*self.inner.database, transaction => {
            sqlx::query_as::<_, (DocumentId, i64, Timestamp)>(
                "insert into document (document_id, team, room, created_by, created_at, updated_at)
                 values ($1, $2, $3, $4, $5, $5)
                 on conflict (team, room) do update set team = excluded.team
                 returning document_id, head_seq, created_at",
            )
            .bind(DocumentId::generate())
            .bind(key.team.as_str())
            .bind(key.room.as_str())
            .bind(by.as_str())
            .bind(now)
            .fetch_one(&mut *transaction)
            .await?
        });
        Ok(DocumentRecord::from(made))
    }

    async fn select_one(&self) -> sqlx::Result<()> {
        reading!(&*self.inner.database, transaction => {
            sqlx::query("select 1").execute(&mut *transaction).await?;
        });
        Ok(())
    }
}

impl Unwritten {
    /// Whether everything was written.
    pub fn is_empty(&self) -> bool {
        self.updates == 0 && self.documents.is_empty()
    }
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            updates,
            bytes,
            documents,
        } = self;
        write!(
            f,
            "{updates} updates ({bytes} bytes) of {} documents: {documents:?}",
            documents.len()
        )
    }
}

impl From<(DocumentId, i64, Timestamp)> for DocumentRecord {
    fn from((id, head_seq, created_at): (DocumentId, i64, Timestamp)) -> Self {
        Self {
            id,
            head_seq: Seq(head_seq),
            created_at,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
