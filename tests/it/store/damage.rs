//! Damage is never ignored: rows that cannot be used are set aside, recorded, counted, and reported
//! to every client that opens the document.

use bytes::Bytes;
use realtime_server::{
    error::Error,
    id::{DocumentId, Seq},
    metrics::Metrics,
    store::{Damage, Damaged, Reason, Store},
};

use super::{Home, MIB, append, close, create, journal, on_both, supervisor};

on_both!(
    missing_rows_are_noticed_and_recorded_once,
    missing_rows_at_the_begin_of_the_log_are_noticed,
    a_document_that_lost_all_rows_is_damaged,
    rows_that_a_snapshot_contains_are_not_missing,
    a_refused_update_is_moved_although_its_checksum_matches,
    a_refused_snapshot_is_replaced_by_the_older_one,
    a_row_whose_checksum_matches_is_not_moved_as_damaged,
    damage_that_cannot_be_set_aside_is_never_trimmed,
    damaged_documents_are_counted_also_after_a_restart,
    damage_recorded_by_the_first_schema_explains_missing_rows,
    a_row_that_was_put_back_is_served_again,
    damage_that_was_given_up_is_no_longer_reported,
);

/// A document called `room` with rows `u1` to `u6`.
async fn with_six_rows(home: &Home, store: &Store, room: &str) -> DocumentId {
    let document = create(store, room).await;
    for seq in 1..=6 {
        let row = format!("u{seq}");
        let written = append(store, document, &[row.as_bytes()]).await;
        written.unwrap().unwrap();
    }
    home.moved().await;
    document
}

fn missing(first: i64, last: i64) -> Damage {
    Damage {
        last: Seq(last),
        ..Damage::at(Damaged::Update, Seq(first), Reason::Missing)
    }
}

fn text(updates: &[(Seq, Bytes)]) -> String {
    let rows = updates
        .iter()
        .map(|(_, row)| String::from_utf8_lossy(row).into_owned());
    rows.collect::<Vec<_>>().join(" ")
}

fn shows(metrics: &Metrics, line: &str) -> bool {
    metrics.render().lines().any(|shown| shown == line)
}

async fn missing_rows_are_noticed_and_recorded_once(home: Home) {
    let metrics = Metrics::new();
    let store = Store::open(&home.url, journal(MIB), metrics.clone(), &supervisor()).await;
    let store = store.unwrap();
    let document = with_six_rows(&home, &store, "a").await;
    home.run("delete from update_log where seq in (2, 3, 6)")
        .await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(text(&loaded.updates), "u1 u4 u5");
    assert_eq!(loaded.damaged, [missing(2, 3), missing(6, 6)]);
    assert!(loaded.is_damaged());
    let recorded = "select count(*) from damaged_row
                 where reason = 'missing' and kind = 'update' and length(payload) = 0";
    assert_eq!(home.number(recorded).await, 2);

    for _ in 0..3 {
        let again = store.load(document).await.unwrap();
        assert_eq!(again.damaged, []);
        assert!(again.is_damaged(), "later loads report it too");
    }
    assert_eq!(home.number(recorded).await, 2);
    let counted = "realtime_rows_damaged_total{kind=\"update\",reason=\"missing\"} 3";
    assert!(shows(&metrics, counted), "{}", metrics.render());

    // A row that is lost later is noticed besides the known ones.
    home.run("delete from update_log where seq = 4").await;
    let later = store.load(document).await.unwrap();
    assert_eq!(later.damaged, [missing(4, 4)]);
    assert_eq!(later.head_seq, Seq(6));
}

async fn missing_rows_at_the_begin_of_the_log_are_noticed(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    for seq in [2, 4] {
        let state = Bytes::from_static(b"state");
        store.put_snapshot(document, Seq(seq), state).await.unwrap();
    }
    home.run("delete from snapshot").await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.snapshot, None);
    assert_eq!(loaded.damaged, [missing(1, 2)]);
}

async fn a_document_that_lost_all_rows_is_damaged(home: Home) {
    let store = home.open().await;
    let fresh = create(&store, "fresh").await;
    let document = with_six_rows(&home, &store, "a").await;
    home.run("delete from update_log").await;
    assert_eq!(store.load(document).await.unwrap().damaged, [missing(1, 6)]);
    assert!(!store.load(fresh).await.unwrap().is_damaged());
}

async fn rows_that_a_snapshot_contains_are_not_missing(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    let state = Bytes::from_static(b"state");
    store.put_snapshot(document, Seq(6), state).await.unwrap();
    home.run("delete from update_log where seq < 5").await;
    let loaded = store.load(document).await.unwrap();
    assert!(!loaded.is_damaged() && loaded.damaged.is_empty());
}

async fn a_refused_update_is_moved_although_its_checksum_matches(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    let refused = Damage::at(Damaged::Update, Seq(3), Reason::Refused);
    assert!(store.set_aside(document, &[refused]).await);
    let loaded = store.load(document).await.unwrap();
    assert_eq!(text(&loaded.updates), "u1 u2 u4 u5 u6");
    assert_eq!(
        loaded.damaged,
        [],
        "the recorded damage explains the missing row"
    );
    assert!(loaded.is_damaged());
    let kept = "select count(*) from damaged_row where reason = 'refused' and seq = 3";
    assert_eq!(home.number(kept).await, 1);

    assert!(
        store.set_aside(document, &[refused]).await,
        "setting it aside again succeeds"
    );
    assert_eq!(home.number(kept).await, 1);
    let unknown = DocumentId::generate();
    assert!(store.set_aside(unknown, &[missing(1, 2)]).await);
}

async fn a_refused_snapshot_is_replaced_by_the_older_one(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    for (seq, state) in [(2, "s2"), (4, "s4")] {
        let state = Bytes::from_static(state.as_bytes());
        store.put_snapshot(document, Seq(seq), state).await.unwrap();
    }
    let refused = Damage::at(Damaged::Snapshot, Seq(4), Reason::Refused);
    assert!(store.set_aside(document, &[refused]).await);
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.snapshot, Some((Seq(2), Bytes::from_static(b"s2"))));
    assert_eq!(text(&loaded.updates), "u3 u4 u5 u6");
    assert!(!loaded.is_damaged(), "nothing is missing");
    assert_eq!(store.damaged_documents().await, Ok(1));
}

async fn a_row_whose_checksum_matches_is_not_moved_as_damaged(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    let suspected = Damage::at(Damaged::Update, Seq(3), Reason::Checksum);
    assert!(store.set_aside(document, &[suspected]).await);
    let loaded = store.load(document).await.unwrap();
    assert_eq!(text(&loaded.updates), "u1 u2 u3 u4 u5 u6");
    assert!(!loaded.is_damaged());
}

async fn damage_that_cannot_be_set_aside_is_never_trimmed(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    let damaged = format!(
        "update update_log set payload = {} where seq = 1",
        home.garbage()
    );
    home.run(&damaged).await;
    let block = if home.is_sqlite() {
        "create trigger block before insert on damaged_row begin select raise(abort, 'no'); end"
    } else {
        "alter table damaged_row add constraint block check (seq < 0)"
    };
    home.run(block).await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(text(&loaded.updates), "u2 u3 u4 u5 u6");
    assert!(loaded.is_damaged());
    let state = || Bytes::from_static(b"without u1");
    for seq in [5, 6] {
        let put = store.put_snapshot(document, Seq(seq), state()).await;
        assert_eq!(put, Err(Error::StorageUnavailable));
    }
    assert_eq!(home.number("select count(*) from update_log").await, 6);
    assert!(store.load(document).await.unwrap().is_damaged());

    let unblock = if home.is_sqlite() {
        "drop trigger block"
    } else {
        "alter table damaged_row drop constraint block"
    };
    home.run(unblock).await;
    for seq in [5, 6] {
        let put = store.put_snapshot(document, Seq(seq), state()).await;
        assert_eq!(put, Ok(()));
    }
    let kept = "select count(*) from damaged_row where seq = 1 and length(payload) = 3";
    assert_eq!(home.number(kept).await, 1);
    assert!(store.load(document).await.unwrap().is_damaged());
}

async fn damaged_documents_are_counted_also_after_a_restart(home: Home) {
    let metrics = Metrics::new();
    let store = Store::open(&home.url, journal(MIB), metrics.clone(), &supervisor()).await;
    let store = store.unwrap();
    let (one, other) = (
        with_six_rows(&home, &store, "a").await,
        with_six_rows(&home, &store, "b").await,
    );
    assert_eq!(store.damaged_documents().await, Ok(0));
    home.run("delete from update_log where seq in (2, 4)").await;
    assert!(shows(&metrics, "realtime_documents_damaged 0"));
    store.load(one).await.unwrap();
    assert!(shows(&metrics, "realtime_documents_damaged 1"));
    store.load(other).await.unwrap();
    assert_eq!(store.damaged_documents_known(), 2);
    assert!(shows(&metrics, "realtime_documents_damaged 2"));
    close(store).await;

    let metrics = Metrics::new();
    let store = Store::open(&home.url, journal(MIB), metrics.clone(), &supervisor()).await;
    let store = store.unwrap();
    assert!(shows(&metrics, "realtime_documents_damaged 2"));
    home.run("delete from document where room = 'a'").await;
    assert_eq!(store.damaged_documents().await, Ok(1));
    assert!(shows(&metrics, "realtime_documents_damaged 1"));
}

/// Before there were reasons, the missing row that a moved row leaves was not noticed.
async fn damage_recorded_by_the_first_schema_explains_missing_rows(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    let time = home.time(realtime_server::id::Timestamp(1_700_000_000_000));
    home.run(&format!(
        "insert into damaged_row (document_id, kind, seq, payload, checksum, found_at)
         values ('{document}', 'update', 3, {}, 7, {time})",
        home.garbage()
    ))
    .await;
    home.run("delete from update_log where seq = 3").await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.damaged, []);
    assert!(loaded.is_damaged());
}

/// The statements under `heading` in docs/operations.md, about `document` and `seq`.
fn documented(home: &Home, heading: &str, document: DocumentId, seq: i64) -> String {
    let pages = include_str!("../../../docs/operations.md");
    let (_, section) = pages.split_once(heading).expect("the heading is there");
    let (_, block) = section.split_once("```sql\n").expect("a block of SQL");
    let (sql, _) = block.split_once("```").expect("its end");
    let now = if home.is_sqlite() {
        "unixepoch() * 1000"
    } else {
        "now()"
    };
    sql.replace(":document", &format!("'{document}'"))
        .replace(":seq", &seq.to_string())
        .replace(":now", now)
}

async fn a_row_that_was_put_back_is_served_again(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    let refused = Damage::at(Damaged::Update, Seq(3), Reason::Refused);
    assert!(store.set_aside(document, &[refused]).await);
    assert!(store.load(document).await.unwrap().is_damaged());
    home.run(&documented(&home, "#### Put a row back", document, 3))
        .await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(text(&loaded.updates), "u1 u2 u4 u5 u6 u3");
    assert_eq!(loaded.head_seq, Seq(7));
    assert!(!loaded.is_damaged() && loaded.damaged.is_empty());
    assert_eq!(store.damaged_documents().await, Ok(0));
    assert_eq!(
        append(&store, document, &[b"u8"]).await.unwrap(),
        Ok(Seq(8))
    );
}

async fn damage_that_was_given_up_is_no_longer_reported(home: Home) {
    let store = home.open().await;
    let document = with_six_rows(&home, &store, "a").await;
    home.run("delete from update_log where seq in (3, 4)").await;
    assert!(store.load(document).await.unwrap().is_damaged());
    home.run(&documented(&home, "#### Give a row up", document, 3))
        .await;
    let loaded = store.load(document).await.unwrap();
    assert!(!loaded.is_damaged() && loaded.damaged.is_empty());
    assert_eq!(store.damaged_documents().await, Ok(0));
}
