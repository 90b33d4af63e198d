//! Postgres: a pool, and a separate connection for the log.
//!
//! A pooler in transaction mode (pgbouncer) may stand between: it gives each transaction another session of Postgres, and does not
//! pass settings of a session on. So all settings but those of the log's own connection are made anew in each transaction, in the
//! same round trip that begins it; and behind a pooler also those of the group commit, statements are not prepared by name, and
//! the lock of migrations ends with a transaction.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, Row,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep};

use super::setup::{invalid_url, not_migrated};
use crate::{
    error::{Error, Result},
    store::{
        connection::ExclusiveConnection,
        migrations,
        timeouts::{CONNECT_TIMEOUT, bounded},
    },
};

/// How long the start waits for a Postgres that cannot be reached yet.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECTIONS_MAX: u32 = 8;
/// A pooled connection that is older than this and on which the database is read-only is replaced: a new one may not be.
const READ_ONLY_AGE: Duration = Duration::from_secs(1);
/// After this time Postgres itself cancels a group commit, which is tried again.
const COMMIT_TIMEOUT: &str = "5s";
/// An acknowledgement promises that the commit is on disk, so the server's default does not count.
const DURABLE: (&str, &str) = ("synchronous_commit", "on");
/// A setting that shows whether settings of a session reach Postgres.
const SESSION: (&str, &str) = ("realtime.session", "kept");
/// What a pooler answers to settings of a session, unless it is told to ignore them.
const PROTOCOL_VIOLATION: &str = "08P01";

/// The settings of each transaction of the pool. After the timeout Postgres itself cancels a statement, so that it does not run
/// much longer than its caller waits for it.
///
/// How Postgres plans: statements are short and find their rows by an index, so that neither compiling one nor starting processes
/// for it is worth the time. Rows are not read in the order of a part of their sort key and then sorted (Postgres 13 or newer can
/// do so), because without statistics Postgres believes that such a part separates them well. It decides on all three by estimates
/// that may be far too high.
macro_rules! with_settings {
    ($begin:literal, $timeout:literal) => {
        concat!(
            $begin,
            "; set local statement_timeout = '",
            $timeout,
            "'; set local synchronous_commit = on; set local jit = off",
            "; set local max_parallel_workers_per_gather = 0; set local enable_incremental_sort = off",
        )
    };
}

/// Begins a transaction that reads, on one consistent view.
pub(in crate::store) const BEGIN_READ: &str =
    with_settings!("begin isolation level repeatable read, read only", "30s");
/// Begins a transaction that writes.
pub(in crate::store) const BEGIN: &str = with_settings!("begin", "30s");
/// The same for a transaction of a feature, which Postgres ends also if it does nothing for long.
pub(in crate::store) const BEGIN_SHORT_READ: &str = with_settings!(
    "begin isolation level repeatable read, read only; set local idle_in_transaction_session_timeout = '10s'",
    "3s"
);
pub(in crate::store) const BEGIN_SHORT: &str = with_settings!(
    "begin; set local idle_in_transaction_session_timeout = '10s'",
    "3s"
);

/// The connections to Postgres.
pub(in crate::store) struct Postgres {
    /// The connections for everything but the group commit.
    pub(in crate::store) pool: PgPool,
    /// The connection for the group commit: a pool would ping the server after each use.
    pub(in crate::store) log: ExclusiveConnection<PgConnection>,
    /// Whether the log's connection has a session of Postgres to itself, with its settings.
    pub(in crate::store) sessions: Sessions,
}

/// Whether settings of a session reach Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Sessions {
    /// Each connection is a session of its own.
    Kept,
    /// A pooler gives each transaction another session.
    Shared,
}

impl Postgres {
    /// Connects and migrates.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| invalid_url("is not a valid postgres:// address"))?
            .application_name("realtime-server")
            .disable_statement_logging();
        let (mut connection, sessions) = reach(&options).await?;
        let migrated = migrate(&mut connection, sessions).await;
        let _ = connection.close().await;
        migrated?;

        let (options, log) = match sessions {
            Sessions::Kept => {
                let kept = [DURABLE, ("statement_timeout", COMMIT_TIMEOUT)];
                (options.clone(), options.options(kept))
            }
            Sessions::Shared => {
                tracing::info!(
                    "a pooler shares the sessions of Postgres: settings are made in each transaction"
                );
                let options = for_pooler(options);
                (options.clone(), options)
            }
        };
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            // In place of sqlx's test, at the same cost: a connection that broke is replaced, and one that has stayed read-only.
            .test_before_acquire(false)
            .before_acquire(|connection, of| {
                Box::pin(async move {
                    let shown = sqlx::raw_sql("show transaction_read_only");
                    let shown = shown.fetch_one(connection).await?;
                    let is_read_only = shown.try_get::<String, _>(0)? == "on";
                    Ok(!is_read_only || of.age < READ_ONLY_AGE)
                })
            })
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            log: ExclusiveConnection::new(log),
            sessions,
        })
    }

    /// Disconnects.
    pub(super) async fn close(&self) {
        self.log.close().await;
        self.pool.close().await;
    }
}

/// Without what a pooler refuses.
fn for_pooler(options: PgConnectOptions) -> PgConnectOptions {
    options.extra_float_digits(None)
}

/// Connects, and finds out whether settings of a session reach Postgres.
async fn connect(options: &PgConnectOptions) -> sqlx::Result<(PgConnection, Sessions)> {
    let direct = options.clone().options([DURABLE, SESSION]);
    let refusal = match direct.connect().await {
        Ok(mut connection) => {
            let found = sqlx::raw_sql("select current_setting('realtime.session', true)");
            let found = found.fetch_one(&mut connection).await?;
            let found: Option<String> = found.try_get(0)?;
            if found.as_deref() == Some(SESSION.1) {
                return Ok((connection, Sessions::Kept));
            }
            let _ = connection.close().await;
            None
        }
        Err(error) => Some(error),
    };
    if let Some(error) = refusal {
        let refused = error.as_database_error();
        let code = refused.and_then(sqlx::error::DatabaseError::code);
        if code.as_deref() != Some(PROTOCOL_VIOLATION) {
            return Err(error);
        }
    }
    let connection = for_pooler(options.clone()).connect().await?;
    Ok((connection, Sessions::Shared))
}

/// Brings the schema to this version. Several instances may do so at once.
///
/// Where nothing is to be done, no right to change the schema is needed.
async fn migrate(connection: &mut PgConnection, sessions: Sessions) -> Result<()> {
    let migrator = migrations::postgres();
    let migrated = match sessions {
        Sessions::Kept if migrations::are_applied(&migrator, connection).await => Ok(()),
        Sessions::Kept => migrator.run_direct(None, connection, false).await,
        Sessions::Shared => migrate_shared(connection, migrator).await,
    };
    migrated.map_err(not_migrated)
}

/// The same in one transaction: sqlx's lock belongs to a session, and so do the statements that it prepares.
async fn migrate_shared(
    connection: &mut PgConnection,
    mut migrator: Migrator,
) -> std::result::Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("select pg_advisory_xact_lock(hashtext('realtime-server migrates'))")
        .execute(&mut *transaction)
        .await?;
    // Looking at a table that does not exist fails.
    let mut look = transaction.begin().await?;
    let are_applied = migrations::are_applied(&migrator, &mut *look).await;
    look.rollback().await?;
    if !are_applied {
        migrator.set_locking(false);
        migrator.run_direct(None, &mut *transaction, false).await?;
    }
    transaction.clear_cached_statements().await?;
    Ok(transaction.commit().await?)
}

/// Connects to a Postgres that may still be starting.
async fn reach(options: &PgConnectOptions) -> Result<(PgConnection, Sessions)> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let error = match bounded(CONNECT_TIMEOUT, connect(options)).await {
            Ok(reached) => return Ok(reached),
            Err(error) => error,
        };
        if is_misconfigured(&error) {
            tracing::error!(%error, "the database refuses the connection");
            return Err(invalid_url(
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

/// Whether trying again cannot help: authorization (28), no such database (3D), TLS.
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
