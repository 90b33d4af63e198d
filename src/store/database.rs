//! The two databases: opened, connected to and brought to this version's schema.
//!
//! Postgres has a pool, and a separate connection for the log. SQLite has one connection that
//! writes and a few that read, and is used by one process: a lock file next to it excludes a second
//! server, because two servers with the same document in memory would not see each other's updates.
//!
//! Migrations are additive. While a new version is rolled out, instances of the previous one
//! go on serving from the same database, and one of them may be started again, so that every
//! statement of the previous versions must still work after a migration:
//! - a new column has a default or may be null, also in Postgres, also where the new version
//!   always gives a value;
//! - no table, column, index or constraint that an older statement names is renamed, retyped or
//!   dropped;
//! - no new constraint, trigger or unique index refuses rows that an older statement writes.
//!
//! `tests/it/store/rollout.rs` runs the statements of all versions on the newest schema. A change
//! that is not additive takes two releases: the first stops using the old part, the second removes
//! it.
//!
//! Statements are written once for both and run through [`reading!`] and
//! [`writing!`], which differ only in the type of the transaction.

mod postgres;
mod session;
mod setup;
mod sqlite;

use self::setup::invalid_url;
pub(super) use self::{
    postgres::{BEGIN, BEGIN_READ, BEGIN_SHORT, BEGIN_SHORT_READ, Postgres, Sessions},
    session::PgTransaction,
    sqlite::{DocumentList, Sqlite},
};
use crate::error::Result;

/// One of the two databases, connected and migrated.
pub(super) enum Database {
    Postgres(Postgres),
    Sqlite(Sqlite),
}

/// Runs statements on one consistent view of the database, as `$transaction`; the time to begin
/// and to end it is bounded.
///
/// For use in an `async fn` that returns `sqlx::Result`.
macro_rules! reading {
    ($database:expr, $transaction:ident => $body:expr) => {
        match $database {
            $crate::store::database::Database::Postgres(postgres) => {
                let begin = postgres.pool.begin_with($crate::store::database::BEGIN_READ);
                // Boxed, because it has 15 KiB: without Postgres, each future that reads would have these too.
                let begun = $crate::store::timeouts::bounded(
                    $crate::store::timeouts::REPLY_TIMEOUT,
                    Box::pin(begin),
                )
                .await?;
                let mut begun =
                    $crate::store::database::PgTransaction::new(begun, postgres.sessions);
                let $transaction = &mut begun;
                let read = $body;
                $crate::store::timeouts::bounded(
                    $crate::store::timeouts::REPLY_TIMEOUT,
                    begun.commit(),
                )
                .await?;
                read
            }
            $crate::store::database::Database::Sqlite(sqlite) => {
                let mut $transaction = $crate::store::timeouts::bounded(
                    $crate::store::timeouts::REPLY_TIMEOUT,
                    sqlite.readers.begin(),
                )
                .await?;
                let read = $body;
                $crate::store::timeouts::bounded(
                    $crate::store::timeouts::REPLY_TIMEOUT,
                    $transaction.commit(),
                )
                .await?;
                read
            }
        }
    };
}

/// Runs statements that write as one `$transaction`, which is rolled back where `$body` returns
/// early.
///
/// For use in an `async fn` that returns `sqlx::Result`.
macro_rules! writing {
    ($database:expr, $transaction:ident => $body:expr) => {
        match $database {
            $crate::store::database::Database::Postgres(postgres) => {
                let begin = postgres.pool.begin_with($crate::store::database::BEGIN);
                let begun = Box::pin(begin).await?;
                let mut begun =
                    $crate::store::database::PgTransaction::new(begun, postgres.sessions);
                let $transaction = &mut begun;
                let written = $body;
                begun.commit().await?;
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
            _ => Err(invalid_url("must begin with sqlite:// or postgres://")),
        }
    }

    /// Whether the list of documents is intact, so that a document that is not found does not
    /// exist.
    ///
    /// Postgres reports damaged pages where its checksums are switched on; SQLite has no
    /// checksums, and a page of an index that was replaced by another valid page hides its entries.
    pub(super) fn list(&self) -> DocumentList {
        match self {
            Self::Postgres(_) => DocumentList::Intact,
            Self::Sqlite(sqlite) => sqlite.list,
        }
    }

    /// Disconnects; later statements fail.
    pub(super) async fn close(&self) {
        match self {
            Self::Postgres(postgres) => postgres.close().await,
            Self::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that `work` returns.
    fn bytes_of<'a, F: Future>(_: impl FnOnce(&'a Database) -> F) -> usize {
        size_of::<F>()
    }

    async fn read(database: &Database) -> sqlx::Result<u64> {
        Ok(reading!(database, transaction => {
            let done = sqlx::query("select 1").execute(&mut *transaction).await?;
            done.rows_affected()
        }))
    }

    async fn write(database: &Database) -> sqlx::Result<u64> {
        Ok(writing!(database, transaction => {
            let done = sqlx::query("select 1").execute(&mut *transaction).await?;
            done.rows_affected()
        }))
    }

    /// Each connection and each join reads: after a restart, thousands of them at once.
    #[test]
    fn the_futures_of_reads_and_writes_are_small() {
        assert!(bytes_of(read) < 4 * 1024, "{}", bytes_of(read));
        assert!(bytes_of(write) < 4 * 1024, "{}", bytes_of(write));
    }
}
