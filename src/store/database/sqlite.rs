//! SQLite: one connection that writes, a few that read, and a lock file.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    str::FromStr,
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Mutex;

use super::setup::{invalid_url, not_migrated};
use crate::{
    error::{Error, Result},
    store::{connection::ExclusiveConnection, migrations, timeouts::CONNECT_TIMEOUT},
};

const READERS_MAX: u32 = 4;
/// How long a SQLite statement waits for another process that has locked the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The write-ahead log is copied into the database when it has grown to so many pages (32 MiB).
/// At the default of 1,000, every batch of 1,000 documents would cause a copy, because it writes a
/// page for each document.
const WAL_PAGES_MAX: &str = "8192";
/// The rows that the group commit returns are buffered, so that it need not wait for its reader.
const ROWS_BUFFERED: usize = 1024;
/// A write-ahead log that has become larger in a burst is truncated to this size.
const WAL_BYTES_KEPT: &str = "67108864";

/// The connections to a SQLite file, and its lock.
pub(in crate::store) struct Sqlite {
    pub(in crate::store) readers: SqlitePool,
    pub(in crate::store) writer: ExclusiveConnection<SqliteConnection>,
    /// Held by the one transaction of a feature that may wait for the writing connection.
    pub(in crate::store) transaction_queue: Mutex<()>,
    pub(super) list: DocumentList,
    lock: File,
}

/// The state of the table of documents and its indexes, as it was checked at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum DocumentList {
    /// Each document is found by its name and by its id.
    Intact,
    /// Some documents may not be found although they exist.
    Damaged,
}

impl Sqlite {
    /// Locks the file, connects and migrates.
    pub(super) async fn open(url: &str) -> Result<Self> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(invalid_url(
                "must name a file: a database in memory is not durable",
            ));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| invalid_url("is not a valid sqlite:// address"))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Full, not Normal: an acknowledgement survives a loss of power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            // Otherwise a commit that changes many pages creates and deletes a file for the
            // rollback of its statement.
            .pragma("temp_store", "memory")
            .pragma("journal_size_limit", WAL_BYTES_KEPT)
            .pragma("wal_autocheckpoint", WAL_PAGES_MAX)
            .disable_statement_logging();
        let lock = lock(options.get_filename())?;

        let writer = ExclusiveConnection::<SqliteConnection>::new(
            options.clone().row_buffer_size(ROWS_BUFFERED),
        );
        let mut lease = writer.lease().await.map_err(not_opened)?;
        migrations::sqlite()
            .run_direct(None, &mut lease.connection, false)
            .await
            .map_err(not_migrated)?;
        let list = check_list(&mut lease.connection).await;
        lease.give_back();
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("query_only", "on"));
        Ok(Self {
            readers,
            writer,
            transaction_queue: Mutex::new(()),
            list,
            lock,
        })
    }

    /// Disconnects and unlocks the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        // A failure is harmless: the end of the process unlocks the file as well.
        let _ = self.lock.unlock();
    }
}

/// Compares the table of documents with its indexes: some milliseconds for a thousand documents,
/// some seconds for a million.
async fn check_list(connection: &mut SqliteConnection) -> DocumentList {
    let findings = sqlx::query_scalar::<_, String>("pragma integrity_check(document)")
        .fetch_all(connection)
        .await;
    let finding = match findings {
        Ok(findings) if findings == ["ok"] => return DocumentList::Intact,
        Ok(findings) => findings.join("; "),
        Err(error) => error.to_string(),
    };
    tracing::error!(
        finding,
        "the list of documents is damaged: documents that are found are served, and none is \
         created until the database is repaired"
    );
    DocumentList::Damaged
}

/// Creates the file's folder and locks the database for this process.
fn lock(file: &Path) -> Result<File> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| not_created(file, &error))?;
    }
    // The lock belongs to the file itself, also where its path is a symbolic link.
    let mut path = fs::canonicalize(file)
        .unwrap_or_else(|_| file.to_owned())
        .into_os_string();
    path.push(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let lock = lock.map_err(|error| not_created(file, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let reason = "another process serves this SQLite file; several servers need Postgres";
            Err(Error::Conflict { reason })
        }
        Err(TryLockError::Error(error)) => Err(not_created(file, &error)),
    }
}

fn not_created(file: &Path, error: &std::io::Error) -> Error {
    tracing::error!(file = %file.display(), %error, "the database's file cannot be created");
    Error::Internal
}

fn not_opened(error: sqlx::Error) -> Error {
    tracing::error!(%error, "the database cannot be opened");
    Error::Internal
}

#[cfg(test)]
mod tests;
