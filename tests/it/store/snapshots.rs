//! Snapshots, the trimming of the log, and damaged rows.

use bytes::Bytes;
use realtime_server::{
    error::Error,
    id::{DocumentId, Seq},
    store::{Damage, Damaged, Reason, Store},
};

use super::{Home, MIB, append, create, on_both};

on_both!(
    two_snapshots_are_kept_and_the_log_after_the_older,
    a_long_log_is_trimmed,
    a_damaged_update_is_set_aside,
    a_damaged_snapshot_is_replaced_by_the_older_one,
    the_log_is_loaded_when_both_snapshots_are_damaged,
);

/// A document with rows 1 to 6 and snapshots at 2 and 4, called `s2` and `s4`.
async fn with_two_snapshots(home: &Home, store: &Store) -> DocumentId {
    let document = create(store, "a").await;
    for seq in 1..=6 {
        append(store, document, &[format!("u{seq}").as_bytes()])
            .await
            .unwrap()
            .unwrap();
    }
    home.moved().await;
    store
        .put_snapshot(document, Seq(2), Bytes::from_static(b"s2"))
        .await
        .unwrap();
    assert_eq!(
        home.number("select count(*) from update_log").await,
        6,
        "one snapshot trims nothing"
    );
    store
        .put_snapshot(document, Seq(4), Bytes::from_static(b"s4"))
        .await
        .unwrap();
    document
}

fn seqs(updates: &[(Seq, Bytes)]) -> Vec<i64> {
    updates.iter().map(|(seq, _)| seq.0).collect()
}

async fn two_snapshots_are_kept_and_the_log_after_the_older(home: Home) {
    let store = home.open().await;
    let document = with_two_snapshots(&home, &store).await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.snapshot, Some((Seq(4), Bytes::from_static(b"s4"))));
    assert_eq!(seqs(&loaded.updates), [5, 6]);
    assert_eq!(home.number("select min(seq) from update_log").await, 3);

    // A second snapshot at the same position changes nothing.
    store
        .put_snapshot(document, Seq(4), Bytes::from_static(b"other"))
        .await
        .unwrap();
    assert_eq!(store.load(document).await.unwrap(), loaded);

    store
        .put_snapshot(document, Seq(6), Bytes::from_static(b"s6"))
        .await
        .unwrap();
    assert_eq!(home.number("select count(*) from snapshot").await, 2);
    assert_eq!(home.number("select min(seq) from snapshot").await, 4);
    assert_eq!(home.number("select min(seq) from update_log").await, 5);
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.snapshot, Some((Seq(6), Bytes::from_static(b"s6"))));
    assert!(loaded.updates.is_empty() && loaded.damaged.is_empty());
    assert_eq!(
        append(&store, document, &[b"u7"]).await.unwrap(),
        Ok(Seq(7))
    );

    // An older snapshot that is written later changes nothing.
    store
        .put_snapshot(document, Seq(3), Bytes::from_static(b"s3"))
        .await
        .unwrap();
    assert_eq!(home.number("select min(seq) from snapshot").await, 4);
    assert_eq!(seqs(&store.load(document).await.unwrap().updates), [7]);
}

async fn a_long_log_is_trimmed(home: Home) {
    let store = home.open().await;
    let (long, other) = (create(&store, "long").await, create(&store, "other").await);
    let rows = vec![&b"update"[..]; 25_000];
    append(&store, long, &rows).await.unwrap().unwrap();
    append(&store, other, &[b"x"]).await.unwrap().unwrap();
    home.moved().await;
    let state = Bytes::from(vec![5; 5 * MIB]);
    store
        .put_snapshot(long, Seq(24_990), state.clone())
        .await
        .unwrap();
    store.put_snapshot(long, Seq(25_000), state).await.unwrap();
    assert_eq!(home.number("select count(*) from update_log").await, 11);
    let loaded = store.load(long).await.unwrap();
    assert_eq!(loaded.snapshot.unwrap().1.len(), 5 * MIB);
    assert_eq!(store.load(other).await.unwrap().updates.len(), 1);
}

async fn a_damaged_update_is_set_aside(home: Home) {
    let store = home.open().await;
    let document = with_two_snapshots(&home, &store).await;
    home.run(&format!(
        "update update_log set payload = {} where seq = 5",
        home.garbage()
    ))
    .await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(seqs(&loaded.updates), [6]);
    assert_eq!(
        loaded.damaged,
        [Damage::at(Damaged::Update, Seq(5), Reason::Checksum)]
    );
    assert_eq!(
        home.number("select seq from damaged_row where kind = 'update'")
            .await,
        5
    );
    let kept = format!(
        "select count(*) from damaged_row where payload = {}",
        home.garbage()
    );
    assert_eq!(home.number(&kept).await, 1);

    let again = store.load(document).await.unwrap();
    assert_eq!(seqs(&again.updates), [6]);
    assert!(again.damaged.is_empty());
    assert!(again.is_damaged(), "later loads report it too");
}

async fn a_damaged_snapshot_is_replaced_by_the_older_one(home: Home) {
    let store = home.open().await;
    let document = with_two_snapshots(&home, &store).await;
    home.run(&format!(
        "update snapshot set state = {} where seq = 4",
        home.garbage()
    ))
    .await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.snapshot, Some((Seq(2), Bytes::from_static(b"s2"))));
    assert_eq!(seqs(&loaded.updates), [3, 4, 5, 6]);
    assert_eq!(
        loaded.damaged,
        [Damage::at(Damaged::Snapshot, Seq(4), Reason::Checksum)]
    );
    assert_eq!(home.number("select count(*) from damaged_row").await, 1);
    assert!(!loaded.is_damaged(), "nothing is missing");

    store
        .put_snapshot(document, Seq(4), Bytes::from_static(b"again"))
        .await
        .unwrap();
    let repaired = store.load(document).await.unwrap();
    assert_eq!(
        repaired.snapshot,
        Some((Seq(4), Bytes::from_static(b"again")))
    );
    assert!(repaired.damaged.is_empty());
}

async fn the_log_is_loaded_when_both_snapshots_are_damaged(home: Home) {
    let store = home.open().await;
    let document = with_two_snapshots(&home, &store).await;
    home.run("update snapshot set checksum = checksum + 1")
        .await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.snapshot, None);
    assert_eq!(seqs(&loaded.updates), [3, 4, 5, 6]);
    let damage = |seq| Damage::at(Damaged::Snapshot, Seq(seq), Reason::Checksum);
    // The rows that were trimmed after the older one are lost with both.
    let lost = Damage {
        last: Seq(2),
        ..Damage::at(Damaged::Update, Seq(1), Reason::Missing)
    };
    assert_eq!(loaded.damaged, [damage(4), damage(2), lost]);
    assert!(loaded.is_damaged());
    assert_eq!(home.number("select count(*) from damaged_row").await, 3);
    assert_eq!(home.number("select count(*) from snapshot").await, 0);
}

/// Another Postgres may have taken over, in which other rows have these positions. SQLite has no such thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_an_earlier_lineage_is_not_written() {
    let home = Home::postgres().await;
    let store = home.open().await;
    let document = create(&store, "doc").await;
    append(&store, document, &[b"1"]).await.unwrap().unwrap();
    let before = store.look_at_lineage().await.unwrap();
    assert_eq!(store.look_at_lineage().await.unwrap(), before);
    let state = || Bytes::from_static(b"state");
    let after = store.end_lineage(before);
    let put = store
        .put_snapshot_of(before, document, Seq(1), state())
        .await;
    assert_eq!(put, Err(Error::StorageUnavailable));
    assert_eq!(store.load(document).await.unwrap().snapshot, None);
    let put = store
        .put_snapshot_of(after, document, Seq(1), state())
        .await;
    assert_eq!(put, Ok(()));
    assert!(store.load(document).await.unwrap().snapshot.is_some());
}
