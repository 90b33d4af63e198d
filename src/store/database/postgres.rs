//! Postgres: a pool, and a separate connection for the log.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
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
/// After this time Postgres itself cancels a statement, so that it does not run much longer than
/// its caller waits for it.
const STATEMENT_TIMEOUT: &str = "30s";
/// The same for the group commit, which is tried again.
const COMMIT_TIMEOUT: &str = "5s";
const CONNECTIONS_MAX: u32 = 8;
/// How Postgres plans. Statements are short and find their rows by an index: neither compiling one nor
/// starting processes for it is worth the time. Rows are not read in the order of a part of their sort
/// key and then sorted (Postgres 13 or newer can do so), because without statistics Postgres believes
/// that such a part separates them well. It decides on all three by estimates that may be far too high.
const PLANNER: [(&str, &str); 3] = [
    ("jit", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("enable_incremental_sort", "off"),
];

/// The connections to Postgres.
pub(in crate::store) struct Postgres {
    /// The connections for everything but the group commit.
    pub(in crate::store) pool: PgPool,
    /// The connection for the group commit: a pool would ping the server after each use.
    pub(in crate::store) log: ExclusiveConnection<PgConnection>,
}

impl Postgres {
    /// Connects and migrates.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| invalid_url("is not a valid postgres:// address"))?
            .application_name("realtime-server")
            // An acknowledgement promises that the commit is on disk, so the server's default does
            // not count.
            .options([("synchronous_commit", "on")])
            .disable_statement_logging();
        let mut connection = reach(&options).await?;
        migrations::postgres()
            .run_direct(None, &mut connection, false)
            .await
            .map_err(not_migrated)?;
        let _ = connection.close().await;

        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(
                options
                    .clone()
                    .options([("statement_timeout", STATEMENT_TIMEOUT)])
                    .options(PLANNER),
            );
        let log =
            ExclusiveConnection::new(options.options([("statement_timeout", COMMIT_TIMEOUT)]));
        Ok(Self { pool, log })
    }

    /// Disconnects.
    pub(super) async fn close(&self) {
        self.log.close().await;
        self.pool.close().await;
    }
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
