//! The two databases: how they are opened, connected to and brought to this version's schema.
//!
//! Postgres has a pool for everything but the log, which has a connection of its
//! own. SQLite has one connection that writes and a few that read, and belongs
//! to one process: a lock file next to it keeps a second server out, because two
//! that hold the same document in memory would not hear of each other.
//!
//! Migrations are additive. While a new version is rolled out, instances of the previous one
//! go on serving from the same database, and one of them may be started again, so that a
//! migration must leave every statement of the versions before working:
//! - a new column has a default or may be null, also in Postgres, also where the new version
//!   always gives a value;
//! - no table, column, index or constraint that an older statement names is renamed, retyped or
//!   dropped;
//! - no new constraint, trigger or unique index refuses what an older statement writes.
//!
//! `tests/it/store/rollout.rs` runs the statements of all versions on the newest schema. What
//! cannot be done like that takes two releases: the first stops using it, the second removes it.
//!
//! Statements are written once for both and run through [`reading!`] and
//! [`writing!`], which differ only in the type of the transaction.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    str::FromStr,
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, SqliteConnection, SqlitePool,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{
    failure::{Failure, bounded},
    migrations,
    sole::Sole,
};
use crate::error::{Error, Result};

/// How long one attempt to connect may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the start waits for a Postgres that is not there yet.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// After this long Postgres itself gives a statement up, so that none outlives its asker by much.
const STATEMENT_TIMEOUT: &str = "30s";
/// The same for the group commit, which is tried again.
const COMMIT_TIMEOUT: &str = "5s";

const POSTGRES_CONNECTIONS_MAX: u32 = 8;
const SQLITE_READERS_MAX: u32 = 4;
/// How long a SQLite statement waits for another process that holds the file.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The write-ahead log is copied into the database when it has grown to so many pages (32 MiB).
/// At the default of 1,000, a batch that touches 1,000 documents would pay for it every time:
/// it writes a page for each.
const SQLITE_WAL_PAGES_MAX: &str = "8192";
/// What the group commit returns is buffered, so that it need not wait for its reader.
const SQLITE_ROWS_BUFFERED: usize = 1024;
/// A write-ahead log that a burst has grown further is cut back to this.
const SQLITE_WAL_BYTES_KEPT: &str = "67108864";

/// One of the two databases, connected and migrated.
pub(super) enum Database {
    Postgres(Postgres),
    Sqlite(Sqlite),
}

pub(super) struct Postgres {
    /// For everything but the group commit.
    pub(super) pool: PgPool,
    /// For the group commit: a pool would ask the server for a sign of life after each use.
    pub(super) log: Sole<PgConnection>,
}

pub(super) struct Sqlite {
    pub(super) readers: SqlitePool,
    pub(super) writer: Sole<SqliteConnection>,
    /// Held by the one transaction of a feature that may queue for the writer.
    pub(super) turn: Mutex<()>,
    list: List,
    lock: File,
}

/// How the table of documents and its indexes were found at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Each document is found by its name and by its id.
    Sound,
    /// Some may not be found although they are there.
    Damaged,
}

/// Runs statements on one consistent view of the database, as `$transaction`; beginning
/// and ending it are bounded.
///
/// For use in an `async fn` that returns `sqlx::Result`.
macro_rules! reading {
    ($database:expr, $transaction:ident => $body:expr) => {
        match $database {
            $crate::store::database::Database::Postgres(postgres) => {
                let begin = postgres
                    .pool
                    .begin_with("begin isolation level repeatable read, read only");
                let mut $transaction =
                    $crate::store::failure::bounded($crate::store::REPLY_TIMEOUT, begin).await?;
                let read = $body;
                $crate::store::failure::bounded(
                    $crate::store::REPLY_TIMEOUT,
                    $transaction.commit(),
                )
                .await?;
                read
            }
            $crate::store::database::Database::Sqlite(sqlite) => {
                let mut $transaction = $crate::store::failure::bounded(
                    $crate::store::REPLY_TIMEOUT,
                    sqlite.readers.begin(),
                )
                .await?;
                let read = $body;
                $crate::store::failure::bounded(
                    $crate::store::REPLY_TIMEOUT,
                    $transaction.commit(),
                )
                .await?;
                read
            }
        }
    };
}

/// Runs statements that write as one `$transaction`, which leaving `$body` early undoes.
///
/// For use in an `async fn` that returns `sqlx::Result`.
macro_rules! writing {
    ($database:expr, $transaction:ident => $body:expr) => {
        match $database {
            $crate::store::database::Database::Postgres(postgres) => {
                let mut $transaction = postgres.pool.begin().await?;
                let written = $body;
                $transaction.commit().await?;
                written
            }
            $crate::store::database::Database::Sqlite(sqlite) => {
                let mut lease = sqlite.writer.lease().await?;
                let mut $transaction =
                    sqlx::Connection::begin_with(&mut lease.connection, "begin immediate").await?;
                let written = $body;
                $transaction.commit().await?;
                lease.give_back();
                written
            }
        }
    };
}

pub(super) use {reading, writing};

impl Database {
    /// Connects and migrates.
    pub(super) async fn open(url: &str) -> Result<Self> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Sqlite::open(url).await.map(Self::Sqlite),
            Some("postgres" | "postgresql") => Postgres::open(url).await.map(Self::Postgres),
            _ => Err(bad_url("must begin with sqlite:// or postgres://")),
        }
    }

    /// Whether a document that is not found does not exist.
    ///
    /// Postgres tells of damaged pages by itself where its checksums are switched on; SQLite
    /// has none, and a page of an index that is another sound page hides what it held.
    pub(super) fn list(&self) -> List {
        match self {
            Self::Postgres(_) => List::Sound,
            Self::Sqlite(sqlite) => sqlite.list,
        }
    }

    /// Disconnects; what is begun afterwards fails.
    pub(super) async fn close(&self) {
        match self {
            Self::Postgres(postgres) => {
                postgres.log.close().await;
                postgres.pool.close().await;
            }
            Self::Sqlite(sqlite) => {
                sqlite.readers.close().await;
                sqlite.writer.close().await;
                // Failing means that the process is about to end, which unlocks as well.
                let _ = sqlite.lock.unlock();
            }
        }
    }
}

impl Postgres {
    async fn open(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| bad_url("is not a valid postgres:// address"))?
            .application_name("realtime-server")
            // An acknowledgement promises that the commit is on disk, whatever the server's default.
            .options([("synchronous_commit", "on")])
            .disable_statement_logging();
        let mut connection = reach(&options).await?;
        migrations::postgres()
            .run_direct(None, &mut connection, false)
            .await
            .map_err(unmigrated)?;
        let _ = connection.close().await;

        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(
                options
                    .clone()
                    .options([("statement_timeout", STATEMENT_TIMEOUT)]),
            );
        let log = Sole::new(options.options([("statement_timeout", COMMIT_TIMEOUT)]));
        Ok(Self { pool, log })
    }
}

impl Sqlite {
    async fn open(url: &str) -> Result<Self> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(bad_url(
                "must name a file: a database in memory keeps no promise",
            ));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| bad_url("is not a valid sqlite:// address"))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Full, not Normal: an acknowledgement survives a loss of power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(SQLITE_BUSY_TIMEOUT)
            .foreign_keys(true)
            // A commit that touches many pages would make and delete a file for its statement's undo.
            .pragma("temp_store", "memory")
            .pragma("journal_size_limit", SQLITE_WAL_BYTES_KEPT)
            .pragma("wal_autocheckpoint", SQLITE_WAL_PAGES_MAX)
            .disable_statement_logging();
        let lock = claim(options.get_filename())?;

        let writer =
            Sole::<SqliteConnection>::new(options.clone().row_buffer_size(SQLITE_ROWS_BUFFERED));
        let mut lease = writer.lease().await.map_err(unopened)?;
        migrations::sqlite()
            .run_direct(None, &mut lease.connection, false)
            .await
            .map_err(unmigrated)?;
        let list = check_list(&mut lease.connection).await;
        lease.give_back();
        let readers = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("query_only", "on"));
        Ok(Self {
            readers,
            writer,
            turn: Mutex::new(()),
            list,
            lock,
        })
    }
}

/// Compares the table of documents with its indexes: some milliseconds for a thousand documents,
/// some seconds for a million.
async fn check_list(connection: &mut SqliteConnection) -> List {
    let findings = sqlx::query_scalar::<_, String>("pragma integrity_check(document)")
        .fetch_all(connection)
        .await;
    let finding = match findings {
        Ok(findings) if findings == ["ok"] => return List::Sound,
        Ok(findings) => findings.join("; "),
        Err(error) => error.to_string(),
    };
    tracing::error!(
        finding,
        "the list of documents is damaged: those that are found are served, and none is made \
         until the database is repaired"
    );
    List::Damaged
}

/// Connects to a Postgres that may still be starting.
async fn reach(options: &PgConnectOptions) -> Result<PgConnection> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let error = match bounded(CONNECT_TIMEOUT, options.connect()).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        if is_misconfigured(&error) {
            tracing::error!(%error, "the database refuses the connection");
            return Err(bad_url(
                "names a user, password, database or TLS that Postgres refuses",
            ));
        }
        if Instant::now() >= deadline {
            tracing::error!(%error, "the database cannot be reached: giving up");
            return Err(Error::StorageUnavailable);
        }
        tracing::warn!(%error, "the database cannot be reached yet: trying again");
        sleep(Duration::from_secs(1)).await;
    }
}

/// Whether waiting will not help: authorization (28), no such database (3D), TLS.
fn is_misconfigured(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            code.starts_with("28") || code.starts_with("3D")
        }
        _ => false,
    }
}

/// Makes the file's folder and locks the database for this process.
fn claim(file: &Path) -> Result<File> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| unclaimed(file, &error))?;
    }
    // Through a symbolic link or not, one file has one lock.
    let mut path = fs::canonicalize(file)
        .unwrap_or_else(|_| file.to_owned())
        .into_os_string();
    path.push(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let lock = lock.map_err(|error| unclaimed(file, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let reason = "another process serves this SQLite file; several servers need Postgres";
            Err(Error::Conflict { reason })
        }
        Err(TryLockError::Error(error)) => Err(unclaimed(file, &error)),
    }
}

fn unclaimed(file: &Path, error: &std::io::Error) -> Error {
    tracing::error!(file = %file.display(), %error, "the database's file cannot be made");
    Error::Internal
}

fn unopened(error: sqlx::Error) -> Error {
    tracing::error!(%error, "the database cannot be opened");
    Error::Internal
}

fn unmigrated(error: MigrateError) -> Error {
    tracing::error!(%error, "the database cannot be brought to this version's schema");
    match &error {
        MigrateError::Execute(cause) if Failure::of(cause) == Failure::Passing => {
            Error::StorageUnavailable
        }
        _ => Error::Internal,
    }
}

fn bad_url(reason: &'static str) -> Error {
    Error::Invalid {
        field: "DATABASE_URL",
        reason,
    }
}

#[cfg(test)]
mod tests;
