//! What every connection to SQLite is told when it is made. What Postgres is told is asked by
//! `tests/it/store/durable.rs`, which has a server.

use sqlx::{AssertSqlSafe, sqlite::SqliteConnection};

use super::*;

/// What a connection says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    journal_mode: String,
    /// 2 is `full`.
    synchronous: i64,
    foreign_keys: i64,
    query_only: i64,
}

/// A connection that keeps its promises and may write.
fn durable() -> Told {
    Told {
        journal_mode: "wal".into(),
        synchronous: 2,
        foreign_keys: 1,
        query_only: 0,
    }
}

async fn told(connection: &mut SqliteConnection) -> Told {
    let journal_mode = sqlx::query_scalar("pragma journal_mode")
        .fetch_one(&mut *connection)
        .await
        .expect("an answer");
    Told {
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
async fn sqlite_writes_through_to_the_disk_also_after_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = open(&folder).await;
    for time in ["at the start", "made anew"] {
        // It is not given back: as after a failure, the next one is another.
        let mut lease = sqlite.writer.lease().await.expect("a connection");
        assert_eq!(told(&mut lease.connection).await, durable(), "{time}");
    }
}

#[tokio::test]
async fn all_readers_of_sqlite_are_as_durable_and_only_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = open(&folder).await;
    let mut readers = Vec::new();
    for _ in 0..SQLITE_READERS_MAX {
        readers.push(sqlite.readers.acquire().await.expect("a connection"));
    }
    let reader = Told {
        query_only: 1,
        ..durable()
    };
    for connection in &mut readers {
        assert_eq!(told(connection).await, reader);
    }
}
