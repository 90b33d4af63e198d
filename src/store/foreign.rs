//! A table of another program, which has documents by their names: it is only read.
//!
//! The table may be in any SQLite file or any Postgres, whose schema is not ours. Names are given by the
//! operator and are quoted; every column is cast to the type that is read.

use std::{path::Path, str::FromStr, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, ConnectOptions, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

/// How long a statement waits for a SQLite file that its owner has locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What is called how in the other database.
#[derive(Clone, Debug)]
pub struct TableNames {
    /// The table; in Postgres with its schema before a dot, if that is not in the search path.
    pub table: String,
    /// The column of the documents' names.
    pub name: String,
    /// The column of their content.
    pub content: String,
}

/// Why the other database was not read, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ForeignError(String);

/// A table with documents, opened for reading.
#[derive(Debug)]
pub struct ForeignTable {
    pool: Pool,
    names: String,
    content: String,
}

#[derive(Debug)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl ForeignTable {
    /// Opens the table in the SQLite file at `path`, which has to exist. Nothing is written to it.
    ///
    /// # Errors
    /// The file is no database, or has no such table.
    pub async fn open_sqlite(path: &Path, names: &TableNames) -> Result<Self, ForeignError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options)
            .await?;
        let [table, name, content] = names.quoted();
        let table = Self {
            pool: Pool::Sqlite(pool),
            names: format!("select cast({name} as text) from {table} order by 1"),
            content: format!(
                "select cast({content} as blob) from {table} where {name} = $1 limit 2"
            ),
        };
        table.check().await.map(|()| table)
    }

    /// Opens the table in the Postgres at `url` (`postgres://…`).
    ///
    /// # Errors
    /// It is not reached, refuses the role, or has no such table.
    pub async fn open_postgres(url: &str, names: &TableNames) -> Result<Self, ForeignError> {
        let options = PgConnectOptions::from_str(url)?
            .options([("default_transaction_read_only", "on")])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options)
            .await?;
        let [table, name, content] = names.quoted();
        // The name is compared in the column's own type, so that an index of the column is used.
        let kind: String = sqlx::query_scalar(
            "select format_type(atttypid, null) from pg_attribute
             where attrelid = $1::text::regclass and attname = $2",
        )
        .bind(&table)
        .bind(&names.name)
        .fetch_optional(&pool)
        .await?
        .ok_or_else(|| ForeignError(format!("{table} has no column {name}")))?;
        let table = Self {
            pool: Pool::Postgres(pool),
            names: format!("select {name}::text from {table} order by 1"),
            content: format!(
                "select {content}::bytea from {table} where {name} = $1::text::{kind} limit 2"
            ),
        };
        table.check().await.map(|()| table)
    }

    /// The names of all rows, in order. A name that several rows have comes as often.
    ///
    /// # Errors
    /// The database failed.
    pub async fn names(&self) -> Result<Vec<Option<String>>, ForeignError> {
        let sql = || AssertSqlSafe(self.names.clone());
        let names = match &self.pool {
            Pool::Sqlite(pool) => sqlx::query_scalar(sql()).fetch(pool).try_collect().await,
            Pool::Postgres(pool) => sqlx::query_scalar(sql()).fetch(pool).try_collect().await,
        };
        Ok(names?)
    }

    /// The content in the rows of this name, of which two at most are read; `None` where it is null.
    ///
    /// # Errors
    /// The database failed.
    pub async fn content(&self, name: &str) -> Result<Vec<Option<Bytes>>, ForeignError> {
        self.select(Some(name)).await
    }

    async fn select(&self, name: Option<&str>) -> Result<Vec<Option<Bytes>>, ForeignError> {
        let sql = AssertSqlSafe(self.content.clone());
        let rows: Vec<Option<Vec<u8>>> = match &self.pool {
            Pool::Sqlite(pool) => sqlx::query_scalar(sql).bind(name).fetch_all(pool).await,
            Pool::Postgres(pool) => sqlx::query_scalar(sql).bind(name).fetch_all(pool).await,
        }?;
        Ok(rows.into_iter().map(|row| row.map(Bytes::from)).collect())
    }

    /// Finds out whether the statements fit the table: null is a name in any type, and no row's.
    async fn check(&self) -> Result<(), ForeignError> {
        self.select(None).await.map(drop)
    }
}

impl TableNames {
    /// The table and its columns, quoted. The columns have the table's name before them, because SQLite takes the mere
    /// quoted name of an unknown column for a text.
    fn quoted(&self) -> [String; 3] {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let table = self.table.split('.').map(quote).collect::<Vec<_>>();
        let table = table.join(".");
        let column = |name| format!("{table}.{}", quote(name));
        let (name, content) = (column(&self.name), column(&self.content));
        [table, name, content]
    }
}

impl From<sqlx::Error> for ForeignError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}
