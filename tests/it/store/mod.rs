//! Tests of the store on both databases.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use std::time::Duration;

use bytes::Bytes;
use realtime_server::{
    activity::Activities,
    auth::User,
    bus::Announcer,
    catalog::Catalog,
    config::DocumentCreation,
    id::{DocumentId, DocumentKey, RoomName, Seq, Team, Timestamp, UserId},
    metrics::Metrics,
    store::{AppendError, Author, JournalOptions, NewRow, NewRows, Store, Unwritten},
    supervise::Supervisor,
    webhooks::Webhooks,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::postgres;

mod authors;
mod contention;
mod contract;
mod damage;
mod durable;
mod events;
mod health;
mod history;
mod log_tail;
mod outage;
mod pages;
mod refusal;
mod rollout;
mod snapshots;
mod transactions;
mod trash;
mod values;

/// A supervisor for the tasks of one store.
pub(crate) fn supervisor() -> Supervisor {
    Supervisor::new(Metrics::new())
}

const MIB: usize = 1 << 20;

/// A journal of `bytes_max` with the default commit interval.
fn journal(bytes_max: usize) -> JournalOptions {
    JournalOptions {
        bytes_max,
        commit_interval: Duration::ZERO..=Duration::from_millis(50),
        history: Duration::ZERO,
    }
}

/// The database of one test.
pub(crate) struct Home {
    url: String,
    folder: Option<TempDir>,
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/deep/realtime.db", folder.path().display());
        Self {
            url,
            folder: Some(folder),
        }
    }

    pub(crate) async fn postgres() -> Self {
        Self {
            url: postgres::new_database().await,
            folder: None,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.folder.is_some()
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url, journal(64 * MIB), Metrics::new(), &supervisor())
            .await
            .unwrap()
    }

    /// Runs `sql` directly in the database.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        if self.is_sqlite() {
            sql.execute(&mut SqliteConnection::connect(&self.url).await.unwrap())
                .await
                .unwrap();
        } else {
            sql.execute(&mut PgConnection::connect(&self.url).await.unwrap())
                .await
                .unwrap();
        }
    }

    /// The number that `sql` selects.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        }
    }

    /// An SQL literal of `time`.
    pub(crate) fn time(&self, time: Timestamp) -> String {
        if self.is_sqlite() {
            time.0.to_string()
        } else {
            format!("'{time}'::timestamptz")
        }
    }

    /// Waits until all rows of the log are in `update_log`.
    pub(crate) async fn moved(&self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.is_sqlite() && self.number("select count(*) from log_tail").await > 0 {
            assert!(
                tokio::time::Instant::now() < deadline,
                "rows stay in the tail"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes the database refuse rows of seven bytes from now on.
    pub(crate) async fn forbid_seven_bytes(&self) {
        let forbid = if self.is_sqlite() {
            "create trigger t before insert on log_tail when length(new.payload) = 7
             begin select raise(abort, 'no'); end"
        } else {
            "alter table update_log add constraint c check (length(payload) <> 7)"
        };
        self.run(forbid).await;
    }

    /// An SQL literal of three bytes that no test has written.
    pub(crate) fn garbage(&self) -> &'static str {
        if self.is_sqlite() {
            "x'626f6f'"
        } else {
            r"'\x626f6f'::bytea"
        }
    }
}

/// Makes a test on each database of each function.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(crate::store::Home::sqlite()).await; })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(crate::store::Home::postgres().await).await; })*
        }
    };
}

pub(crate) use on_both;

pub(crate) fn key(room: &str) -> DocumentKey {
    DocumentKey {
        team: Team::parse("acme").unwrap(),
        room: RoomName::parse(room).unwrap(),
    }
}

/// Webhooks that are sent nowhere.
pub(crate) fn webhooks(store: &Store) -> Webhooks {
    let metrics = Metrics::new();
    let supervisor = Supervisor::new(metrics.clone());
    Webhooks::start(store.clone(), None, &metrics, &supervisor).unwrap()
}

/// The catalog of the documents in `store`, which tells nobody of edits.
pub(crate) fn catalog(store: &Store) -> Catalog {
    let announcer = Announcer::default();
    let activities = Activities::new(store.clone());
    let webhooks = webhooks(store);
    let creation = DocumentCreation::Join;
    Catalog::new(
        store.clone(),
        announcer,
        activities,
        webhooks,
        creation,
        "draft",
    )
}

pub(crate) fn ana() -> User {
    User {
        id: UserId::parse("ana").unwrap(),
        name: "Ana".into(),
        avatar_url: None,
    }
}

pub(crate) async fn create(store: &Store, room: &str) -> DocumentId {
    let (key, now) = (key(room), Timestamp::now());
    let created = catalog(store).find_or_create(&key, &ana(), now).await;
    created.unwrap().id()
}

/// A time at which an event is not old, so that it is not deleted during the test: in the year 2100.
pub(crate) fn young(ms: i64) -> Timestamp {
    Timestamp(4_102_444_800_000 + ms)
}

/// Receives the outcome of an append.
pub(crate) type Outcome = oneshot::Receiver<Result<Seq, AppendError>>;

pub(crate) fn append(store: &Store, document: DocumentId, payloads: &[&[u8]]) -> Outcome {
    append_with_authors(store, document, payloads, Vec::new())
}

pub(crate) fn append_with_authors(
    store: &Store,
    document: DocumentId,
    payloads: &[&[u8]],
    authors: Vec<Author>,
) -> Outcome {
    let rows = payloads.iter().map(|payload| new_row(store, payload));
    append_rows(store, document, rows.collect(), authors)
}

/// A row that was accepted now.
pub(crate) fn new_row(store: &Store, payload: &[u8]) -> NewRow {
    NewRow {
        payload: Bytes::copy_from_slice(payload),
        reservation: store.log().reserve(payload.len()).unwrap(),
        user: None,
        at: Timestamp::now(),
    }
}

pub(crate) fn append_rows(
    store: &Store,
    document: DocumentId,
    rows: Vec<NewRow>,
    authors: Vec<Author>,
) -> Outcome {
    let (sender, receiver) = oneshot::channel();
    let new_rows = NewRows { rows, authors };
    let completion = move |outcome| {
        let _ = sender.send(outcome);
    };
    store.log().append(document, new_rows, Box::new(completion));
    receiver
}

pub(crate) async fn close(store: Store) -> Unwritten {
    store
        .close(tokio::time::Instant::now() + Duration::from_secs(20))
        .await
}
