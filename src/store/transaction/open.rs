//! A transaction on a connection of either database, and the statements that it runs.

use sqlx::{AssertSqlSafe, Sqlite, error::BoxDynError};
use tokio::time::Instant;

use super::{
    bind::{Bind, arguments},
    row::{Native, Row},
};
use crate::store::{REPLY_TIMEOUT, failure::bounded};

/// SQLite looks at the clock after so many of its instructions.
const SQLITE_INSTRUCTIONS: i32 = 10_000;

/// A statement with its values.
pub(in crate::store) struct Statement {
    pub(in crate::store) sql: &'static str,
    pub(in crate::store) binds: Vec<Bind>,
    pub(in crate::store) rows: Rows,
}

/// What becomes of the rows that a statement finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Rows {
    Read,
    Locked,
}

/// A transaction that has begun.
pub(in crate::store) enum Open<'a> {
    Postgres(sqlx::Transaction<'a, sqlx::Postgres>),
    Sqlite(sqlx::Transaction<'a, Sqlite>),
}

/// Whether the connection can be used again.
#[derive(PartialEq, Eq)]
pub(super) enum Connected {
    Clean,
    Unclear,
}

impl Open<'_> {
    /// Has SQLite give a statement up at `deadline`: who drops its future does not stop it.
    pub(super) async fn interrupt_at(&mut self, deadline: Instant) -> sqlx::Result<()> {
        if let Self::Sqlite(open) = self {
            let mut handle = open.lock_handle().await?;
            handle.set_progress_handler(SQLITE_INSTRUCTIONS, move || Instant::now() < deadline);
        }
        Ok(())
    }

    /// How many rows the statement touched.
    pub(in crate::store) async fn execute(&mut self, statement: Statement) -> sqlx::Result<u64> {
        let (sql, binds) = (statement.sql, statement.binds);
        match self {
            Self::Postgres(open) => {
                let arguments = arguments::<sqlx::Postgres>(sql, binds).map_err(unfit)?;
                let done = sqlx::query_with(sql, arguments)
                    .execute(&mut **open)
                    .await?;
                Ok(done.rows_affected())
            }
            Self::Sqlite(open) => {
                let arguments = arguments::<Sqlite>(sql, binds).map_err(unfit)?;
                let done = sqlx::query_with(sql, arguments)
                    .execute(&mut **open)
                    .await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// What the statement returns.
    pub(in crate::store) async fn fetch(&mut self, statement: Statement) -> sqlx::Result<Vec<Row>> {
        let Statement { sql, binds, rows } = statement;
        match self {
            Self::Postgres(open) => {
                let arguments = arguments::<sqlx::Postgres>(sql, binds).map_err(unfit)?;
                let found = match rows {
                    Rows::Read => sqlx::query_with(sql, arguments),
                    // A constant behind a constant.
                    Rows::Locked => {
                        sqlx::query_with(AssertSqlSafe(format!("{sql} for update")), arguments)
                    }
                };
                let found = found.fetch_all(&mut **open).await?.into_iter();
                Ok(found.map(|row| Row(Native::Postgres(row))).collect())
            }
            // Who may write is alone in SQLite: each row is locked.
            Self::Sqlite(open) => {
                let arguments = arguments::<Sqlite>(sql, binds).map_err(unfit)?;
                let found = sqlx::query_with(sql, arguments)
                    .fetch_all(&mut **open)
                    .await?;
                let found = found.into_iter();
                Ok(found.map(|row| Row(Native::Sqlite(row))).collect())
            }
        }
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Postgres(open) => open.commit().await,
            Self::Sqlite(open) => open.commit().await,
        }
    }

    pub(super) async fn roll_back(self) -> Connected {
        let undone = async {
            match self {
                Self::Postgres(open) => open.rollback().await,
                Self::Sqlite(open) => open.rollback().await,
            }
        };
        match bounded(REPLY_TIMEOUT, undone).await {
            Ok(()) => Connected::Clean,
            Err(_) => Connected::Unclear,
        }
    }
}

fn unfit(reason: BoxDynError) -> sqlx::Error {
    sqlx::Error::Encode(reason)
}
