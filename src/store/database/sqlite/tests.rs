//! The settings of every connection to SQLite. Those of Postgres are tested by
//! `tests/it/store/durable.rs`, which has a server.

use sqlx::{AssertSqlSafe, sqlite::SqliteConnection};

use super::*;

/// The settings of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    journal_mode: String,
    /// 2 is `full`.
    synchronous: i64,
    foreign_keys: i64,
    query_only: i64,
}

/// The settings of a connection whose commits are durable and that may write.
fn durable() -> Settings {
    Settings {
        journal_mode: "wal".into(),
        synchronous: 2,
        foreign_keys: 1,
        query_only: 0,
    }
}

async fn settings(connection: &mut SqliteConnection) -> Settings {
    let journal_mode = sqlx::query_scalar("pragma journal_mode")
        .fetch_one(&mut *connection)
        .await
        .expect("an answer");
    Settings {
        journal_mode,
        synchronous: number(connection, "synchronous").await,
        foreign_keys: number(connection, "foreign_keys").await,
        query_only: number(connection, "query_only").await,
    }
}

async fn number(connection: &mut SqliteConnection, pragma: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("pragma {pragma}")))
        .fetch_one(connection)
        .await
        .expect("an answer")
}

async fn open(folder: &tempfile::TempDir) -> Sqlite {
    let url = format!("sqlite://{}/realtime.db", folder.path().display());
    Sqlite::open(&url).await.expect("it opens")
}

#[tokio::test]
async fn the_writing_connection_is_durable_also_after_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = open(&folder).await;
    for time in ["at the start", "after a failure"] {
        // It is not given back, as after a failure, so that the next lease has a new connection.
        let mut lease = sqlite.writer.lease().await.expect("a connection");
        assert_eq!(settings(&mut lease.connection).await, durable(), "{time}");
    }
}

#[tokio::test]
async fn all_reading_connections_are_durable_and_read_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = open(&folder).await;
    let mut readers = Vec::new();
    for _ in 0..READERS_MAX {
        readers.push(sqlite.readers.acquire().await.expect("a connection"));
    }
    let reader = Settings {
        query_only: 1,
        ..durable()
    };
    for connection in &mut readers {
        assert_eq!(settings(connection).await, reader);
    }
}
