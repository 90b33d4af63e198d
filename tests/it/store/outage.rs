//! Outages of the database: no acknowledged update is lost, and all accepted updates are written.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use realtime_server::{
    error::Error,
    id::{DocumentId, Seq, Timestamp},
    metrics::Metrics,
    store::{Availability, NewRow, NewRows, Store, Unwritten, args},
};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::oneshot;

use super::{Home, MIB, append, close, create, journal, key, supervisor};
use crate::postgres::Postgres;

#[tokio::test]
async fn a_locked_sqlite_file_delays_appends_and_loses_none() {
    let home = Home::sqlite();
    let store = home.open().await;
    let document = create(&store, "a").await;
    let mut availability = store.log().availability();
    let mut blocker = SqliteConnection::connect(&home.url).await.unwrap();
    let transaction = blocker.begin_with("begin exclusive").await.unwrap();
    let answers: Vec<_> = (0..100)
        .map(|_| append(&store, document, &[b"x"]))
        .collect();
    availability
        .wait_for(|&now| now == Availability::Unavailable)
        .await
        .unwrap();
    let more: Vec<_> = (0..100)
        .map(|_| append(&store, document, &[b"y"]))
        .collect();
    transaction.rollback().await.unwrap();
    for answer in answers.into_iter().chain(more) {
        answer.await.unwrap().unwrap();
    }
    availability
        .wait_for(|&now| now == Availability::Ok)
        .await
        .unwrap();
    let loaded = store.load(document).await.unwrap();
    let written: Vec<_> = loaded
        .updates
        .iter()
        .map(|(_, payload)| payload[0])
        .collect();
    assert!(written.is_sorted() && written.len() >= 200);
    assert_eq!(store.log().journal_bytes(), 0);
}

#[tokio::test]
async fn closing_without_the_database_returns_the_unwritten_updates() {
    let home = Home::sqlite();
    let store = home.open().await;
    let document = create(&store, "a").await;
    let mut blocker = SqliteConnection::connect(&home.url).await.unwrap();
    let _transaction = blocker.begin_with("begin exclusive").await.unwrap();
    let _one = append(&store, document, &[b"xxx", b"yy"]);
    let _two = append(&store, document, &[b"z"]);
    let began = Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(300);
    let unwritten = store.close(deadline).await;
    assert_eq!(
        unwritten,
        Unwritten {
            updates: 3,
            bytes: 6,
            documents: vec![document]
        }
    );
    assert!(began.elapsed() < Duration::from_secs(3));
}

/// Appends numbered updates until told to stop; returns the number of appended updates and the
/// acknowledged numbers.
async fn keep_appending(
    store: Store,
    document: DocumentId,
    mut stop: oneshot::Receiver<()>,
) -> (u32, HashSet<u32>) {
    let acknowledged = Arc::new(parking_lot::Mutex::new(HashSet::new()));
    let mut appended = 0_u32;
    let mut last = None;
    while stop.try_recv().is_err() {
        let number = appended;
        appended += 1;
        let reservation = store.log().reserve(4).unwrap();
        let (done, is_done) = oneshot::channel();
        let acknowledged = Arc::clone(&acknowledged);
        let completion = move |outcome: Result<Seq, _>| {
            outcome.unwrap();
            acknowledged.lock().insert(number);
            let _ = done.send(());
        };
        let payload = Bytes::copy_from_slice(&number.to_be_bytes());
        let new_rows = NewRows {
            rows: vec![NewRow {
                payload,
                reservation,
                user: None,
                at: Timestamp::now(),
            }],
            authors: Vec::new(),
        };
        store.log().append(document, new_rows, Box::new(completion));
        last = Some(is_done);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    last.unwrap().await.unwrap();
    let acknowledged = acknowledged.lock().clone();
    (appended, acknowledged)
}

fn numbers(updates: &[(Seq, Bytes)]) -> Vec<u32> {
    updates
        .iter()
        .map(|(_, payload)| u32::from_be_bytes(payload[..].try_into().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_postgres_delays_appends_and_loses_none() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let home = Home {
        url: server.url(),
        folder: None,
    };
    let store = home.open().await;
    let document = create(&store, "a").await;
    let mut availability = store.log().availability();
    let (stop, stopped) = oneshot::channel();
    let appending = tokio::spawn(keep_appending(store.clone(), document, stopped));

    for _ in 0..3 {
        tokio::task::block_in_place(|| server.crash());
        availability
            .wait_for(|&now| now == Availability::Unavailable)
            .await
            .unwrap();
        let began = Instant::now();
        let key = key("a");
        let select = "select 1 + $1";
        let (found, loaded, put, ping, transacted, viewed) = tokio::join!(
            store.find_document(&key),
            store.load(document),
            store.put_snapshot(document, Seq(1), Bytes::new()),
            store.ping(),
            store.transact(async |tx| tx.execute(select, args![1_i64]).await),
            store.view(async |tx| tx.execute(select, args![1_i64]).await),
        );
        for outcome in [
            found.map(drop),
            loaded.map(drop),
            put,
            ping,
            transacted.map(drop),
            viewed.map(drop),
        ] {
            assert_eq!(outcome, Err(Error::StorageUnavailable));
        }
        // After the time for a connection, which is five seconds, on a slow machine as well.
        assert!(began.elapsed() < Duration::from_secs(15));
        tokio::task::block_in_place(|| server.start_again());
        availability
            .wait_for(|&now| now == Availability::Ok)
            .await
            .unwrap();
        let again = store.transact(async |tx| tx.execute(select, args![1_i64]).await);
        assert_eq!(again.await, Ok(1));
    }
    stop.send(()).unwrap();
    let (appended, acknowledged) = appending.await.unwrap();

    let loaded = store.load(document).await.unwrap();
    let written = numbers(&loaded.updates);
    let distinct: HashSet<_> = written.iter().copied().collect();
    assert_eq!(acknowledged.len(), appended as usize);
    assert_eq!(
        distinct,
        (0..appended).collect(),
        "every update is written, acknowledged or not"
    );
    assert_eq!(loaded.head_seq.0, written.len() as i64, "no gap");
    assert_eq!(store.log().journal_bytes(), 0);
    assert!(close(store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_hangs_is_noticed_and_loses_no_append() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let home = Home {
        url: server.url(),
        folder: None,
    };
    let store = home.open().await;
    let document = create(&store, "a").await;
    store.ping().await.unwrap();
    let mut availability = store.log().availability();
    server.freeze();
    let began = Instant::now();
    let answers = [
        append(&store, document, &[b"x"]),
        append(&store, document, &[b"y"]),
    ];
    let key = key("a");
    let (found, loaded, transacted) = tokio::join!(
        store.find_document(&key),
        store.load(document),
        store.transact(async |tx| tx.execute("select 1 + $1", args![1_i64]).await)
    );
    assert_eq!(transacted, Err(Error::StorageUnavailable));
    assert_eq!(found, Err(Error::StorageUnavailable));
    assert_eq!(loaded, Err(Error::StorageUnavailable));
    availability
        .wait_for(|&now| now == Availability::Unavailable)
        .await
        .unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    server.thaw();
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let loaded = store.load(document).await.unwrap();
    let distinct: HashSet<_> = loaded
        .updates
        .iter()
        .map(|(_, payload)| payload.clone())
        .collect();
    assert_eq!(distinct.len(), 2);
    assert_eq!(loaded.head_seq.0, loaded.updates.len() as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_starts_later_is_awaited() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    tokio::task::block_in_place(|| server.crash());
    let url = server.url();
    let opening = tokio::spawn(async move {
        Store::open(&url, journal(MIB), Metrics::new(), &supervisor()).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::task::block_in_place(|| server.start_again());
    opening.await.unwrap().unwrap().ping().await.unwrap();
}
