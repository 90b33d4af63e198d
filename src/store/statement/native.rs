//! A transaction on a connection of either database, and the statements that it runs.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr, Sqlite, error::BoxDynError};
use tokio::time::Instant;

use super::{
    bind::{Bind, arguments},
    row::Row,
};
use crate::store::{
    database::PgTransaction,
    timeouts::{REPLY_TIMEOUT, bounded},
};

/// SQLite checks the deadline after so many instructions of its virtual machine.
const SQLITE_INSTRUCTIONS: i32 = 10_000;
/// SQLite's function that lists the elements of a JSON array, in the column `value`.
const JSON_EACH: &str = "json_each(";

/// A statement with the values of its parameters.
pub(in crate::store) struct Statement {
    pub(in crate::store) sql: &'static str,
    pub(in crate::store) binds: Vec<Bind>,
    pub(in crate::store) lock: RowLock,
}

/// Whether the rows that a statement finds are locked until the end of the transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum RowLock {
    /// They are only read.
    None,
    /// They are locked against changes by other transactions.
    Update,
}

/// A transaction that has begun, in either database.
pub(in crate::store) enum NativeTransaction<'a> {
    Postgres(PgTransaction<'a>),
    Sqlite(sqlx::Transaction<'a, Sqlite>),
}

/// Whether a connection can be used again after a transaction.
#[derive(PartialEq, Eq)]
pub(in crate::store) enum ConnectionState {
    /// The transaction has ended.
    Reusable,
    /// It is not known whether the transaction has ended: the connection must be closed.
    Unknown,
}

impl NativeTransaction<'_> {
    /// Makes SQLite interrupt its statements at `deadline`: dropping the future of a statement does
    /// not stop it.
    pub(in crate::store) async fn interrupt_at(&mut self, deadline: Instant) -> sqlx::Result<()> {
        if let Self::Sqlite(transaction) = self {
            let mut handle = transaction.lock_handle().await?;
            handle.set_progress_handler(SQLITE_INSTRUCTIONS, move || Instant::now() < deadline);
        }
        Ok(())
    }

    /// Runs a statement; returns the number of rows that it wrote.
    pub(in crate::store) async fn execute(&mut self, statement: Statement) -> sqlx::Result<u64> {
        let (sql, binds) = (statement.sql, statement.binds);
        match self {
            Self::Postgres(transaction) => {
                let arguments = arguments::<sqlx::Postgres>(sql, binds).map_err(encode_error)?;
                let done = sqlx::query_with(postgres_text(sql, RowLock::None), arguments)
                    .execute(transaction)
                    .await?;
                Ok(done.rows_affected())
            }
            Self::Sqlite(transaction) => {
                let arguments = arguments::<Sqlite>(sql, binds).map_err(encode_error)?;
                let done = sqlx::query_with(sql, arguments)
                    .execute(&mut **transaction)
                    .await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs a statement; returns its rows.
    pub(in crate::store) async fn fetch(&mut self, statement: Statement) -> sqlx::Result<Vec<Row>> {
        let Statement { sql, binds, lock } = statement;
        match self {
            Self::Postgres(transaction) => {
                let arguments = arguments::<sqlx::Postgres>(sql, binds).map_err(encode_error)?;
                let found = sqlx::query_with(postgres_text(sql, lock), arguments)
                    .fetch_all(transaction)
                    .await?;
                let found = found.into_iter();
                Ok(found.map(Row::from).collect())
            }
            // A transaction that writes is the only one in SQLite, so that every row is locked.
            Self::Sqlite(transaction) => {
                let arguments = arguments::<Sqlite>(sql, binds).map_err(encode_error)?;
                let found = sqlx::query_with(sql, arguments)
                    .fetch_all(&mut **transaction)
                    .await?;
                let found = found.into_iter();
                Ok(found.map(Row::from).collect())
            }
        }
    }

    pub(in crate::store) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Postgres(transaction) => transaction.commit().await,
            Self::Sqlite(transaction) => transaction.commit().await,
        }
    }

    pub(in crate::store) async fn roll_back(self) -> ConnectionState {
        let rolled_back = async {
            match self {
                Self::Postgres(transaction) => transaction.roll_back().await,
                Self::Sqlite(transaction) => transaction.rollback().await,
            }
        };
        match bounded(REPLY_TIMEOUT, rolled_back).await {
            Ok(()) => ConnectionState::Reusable,
            Err(_) => ConnectionState::Unknown,
        }
    }
}

impl Statement {
    /// A statement that locks no rows that it finds.
    pub(in crate::store) fn new(sql: &'static str, binds: Vec<Bind>) -> Self {
        let lock = RowLock::None;
        Self { sql, binds, lock }
    }
}

/// The text of a statement for Postgres: its name of the function that lists the elements of a JSON
/// array, and the lock.
fn postgres_text(sql: &'static str, lock: RowLock) -> SqlStr {
    let is_same = lock == RowLock::None && !sql.contains(JSON_EACH);
    if is_same {
        return sql.into_sql_str();
    }
    let sql = sql.replace(JSON_EACH, "jsonb_array_elements(");
    let lock = match lock {
        RowLock::None => "",
        RowLock::Update => " for update",
    };
    // All parts are constants.
    AssertSqlSafe(sql + lock).into_sql_str()
}

fn encode_error(reason: BoxDynError) -> sqlx::Error {
    sqlx::Error::Encode(reason)
}
