//! Rows that snapshots have made superfluous are kept for a time, with their authors and times.

use std::time::Duration;

use bytes::Bytes;
use realtime_server::{
    id::{DocumentId, Seq, Timestamp, UserId},
    metrics::Metrics,
    store::{JournalOptions, Store},
};

use super::{Home, MIB, append_rows, close, create, journal, new_row, on_both, supervisor};

on_both!(
    superfluous_rows_are_kept_with_their_authors_and_times,
    rows_older_than_the_history_are_deleted_after_a_snapshot,
    rows_older_than_the_history_are_deleted_although_nobody_edits,
);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn open(home: &Home) -> Store {
    let options = JournalOptions {
        history: Duration::from_secs(30 * 24 * 60 * 60),
        ..journal(MIB)
    };
    let store = Store::open(home.url(), options, Metrics::new(), &supervisor()).await;
    store.unwrap()
}

/// Writes rows of these ages in days, and snapshots of all but the newest two.
async fn write(home: &Home, store: &Store, ages: &[i64]) -> DocumentId {
    let document = create(store, "a").await;
    let now = Timestamp::now();
    for age in ages {
        let mut row = new_row(store, b"row");
        row.user = UserId::parse("ana");
        row.at = Timestamp(now.0 - age * DAY_MS);
        let written = append_rows(store, document, vec![row], Vec::new()).await;
        written.unwrap().unwrap();
    }
    home.moved().await;
    put_snapshots(store, document, ages.len() as i64 - 2).await;
    document
}

async fn put_snapshots(store: &Store, document: DocumentId, last: i64) {
    for seq in [last - 1, last] {
        let state = Bytes::from_static(b"state");
        store.put_snapshot(document, Seq(seq), state).await.unwrap();
    }
}

async fn superfluous_rows_are_kept_with_their_authors_and_times(home: Home) {
    let store = open(&home).await;
    let document = write(&home, &store, &[29, 20, 10, 5, 1, 0]).await;
    let with_author = "select count(*) from update_log where user_id = 'ana' and at is not null";
    assert_eq!(home.number(with_author).await, 6);
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.updates.len(), 2, "loading does not read the history");
    assert!(!loaded.is_damaged());
}

async fn rows_older_than_the_history_are_deleted_after_a_snapshot(home: Home) {
    let store = open(&home).await;
    let document = write(&home, &store, &[40, 35, 31, 29, 1, 40, 0, 0]).await;
    // Rows 1 to 5 are superfluous, and the first three of them are old. Row 6, with the time of another clock, is not.
    assert_eq!(home.number("select min(seq) from update_log").await, 4);
    assert_eq!(home.number("select count(*) from update_log").await, 5);
    assert!(!store.load(document).await.unwrap().is_damaged());
}

async fn rows_older_than_the_history_are_deleted_although_nobody_edits(home: Home) {
    let store = open(&home).await;
    write(&home, &store, &[3, 2, 1, 0, 0, 0]).await;
    assert_eq!(home.number("select count(*) from update_log").await, 6);
    close(store).await;
    let long_ago = home.time(Timestamp(Timestamp::now().0 - 31 * DAY_MS));
    home.run(&format!(
        "update update_log set at = {long_ago} where seq < 3"
    ))
    .await;
    let store = open(&home).await;
    while home.number("select count(*) from update_log").await > 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    close(store).await;
    assert_eq!(home.number("select min(seq) from update_log").await, 3);
}
