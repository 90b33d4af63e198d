//! The tail of the log in SQLite: rows are durable and read there, and they are moved.

use realtime_server::{
    id::{DocumentId, Seq, Timestamp, UserId},
    store::{Damage, Damaged, Loaded, Reason, Store},
};

use super::{Home, append, append_rows, close, create, new_row};

/// Payloads with their positions.
fn rows(loaded: &Loaded) -> Vec<(i64, String)> {
    let rows = loaded.updates.iter();
    rows.map(|(seq, row)| (seq.0, String::from_utf8_lossy(row).into_owned()))
        .collect()
}

async fn write(store: &Store, document: DocumentId, payload: &str) -> i64 {
    let written = append(store, document, &[payload.as_bytes()]).await;
    written.unwrap().unwrap().0
}

fn expected(payloads: &[&str]) -> Vec<(i64, String)> {
    let rows = (1..).zip(payloads);
    rows.map(|(seq, payload)| (seq, (*payload).to_owned()))
        .collect()
}

/// Keeps the rows in the tail: they cannot be moved to `update_log`.
async fn forbid_moves(home: &Home, document: Option<DocumentId>) {
    let when = document.map_or(String::new(), |document| {
        format!("when new.document_id = '{document}'")
    });
    home.run(&format!(
        "create trigger no_move before insert on update_log {when}
         begin select raise(abort, 'no'); end"
    ))
    .await;
}

async fn in_tail(home: &Home) -> i64 {
    home.number("select count(*) from log_tail").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_read_from_the_tail_and_moved_in_their_order() {
    let home = Home::sqlite();
    let store = home.open().await;
    let (one, other) = (create(&store, "a").await, create(&store, "b").await);
    home.moved().await;
    for (number, payload) in ["r1", "r2", "r3"].iter().enumerate() {
        assert_eq!(write(&store, one, payload).await, number as i64 + 1);
        assert_eq!(write(&store, other, payload).await, number as i64 + 1);
    }
    let loaded = store.load(one).await.unwrap();
    assert_eq!(rows(&loaded), expected(&["r1", "r2", "r3"]));
    assert_eq!(loaded.head_seq, Seq(3));
    home.moved().await;
    assert_eq!(store.load(one).await.unwrap(), loaded);
    assert_eq!(write(&store, one, "r4").await, 4);
    let head = "select sum(head_seq) from document";
    assert_eq!(home.number(head).await, 6, "the last row is in the tail");
    close(store).await;
    assert_eq!((in_tail(&home).await, home.number(head).await), (0, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_crash_left_in_the_tail_are_moved_by_the_next_process() {
    let home = Home::sqlite();
    let store = home.open().await;
    let document = create(&store, "a").await;
    write(&store, document, "r1").await;
    forbid_moves(&home, None).await;
    write(&store, document, "r2").await;
    // Aborts the store's tasks.
    drop(store);
    let left = in_tail(&home).await;
    assert!(left > 0);
    home.run("drop trigger no_move").await;
    let store = home.open().await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(rows(&loaded), expected(&["r1", "r2"]));
    assert_eq!(write(&store, document, "r3").await, 3);
    home.moved().await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(rows(&loaded), expected(&["r1", "r2", "r3"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_whose_rows_cannot_be_moved_affects_no_other() {
    let home = Home::sqlite();
    let store = home.open().await;
    let (stuck, other) = (create(&store, "a").await, create(&store, "b").await);
    forbid_moves(&home, Some(stuck)).await;
    for payload in ["r1", "r2"] {
        write(&store, stuck, payload).await;
        write(&store, other, payload).await;
    }
    let moved = format!("select count(*) from update_log where document_id = '{other}'");
    while home.number(&moved).await < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(write(&store, stuck, "r3").await, 3);
    assert_eq!(write(&store, other, "r3").await, 3);
    for document in [stuck, other] {
        let loaded = store.load(document).await.unwrap();
        assert_eq!(rows(&loaded), expected(&["r1", "r2", "r3"]));
    }
    home.run("drop trigger no_move").await;
    close(store).await;
    assert_eq!(in_tail(&home).await, 0);
    let store = home.open().await;
    assert_eq!(write(&store, stuck, "r4").await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_of_the_tail_is_set_aside() {
    let home = Home::sqlite();
    let store = home.open().await;
    let document = create(&store, "a").await;
    forbid_moves(&home, None).await;
    for payload in ["r1", "r2", "r3"] {
        write(&store, document, payload).await;
    }
    home.run("update log_tail set payload = x'626f6f' where seq = 2")
        .await;
    let damage = [Damage::at(Damaged::Update, Seq(2), Reason::Checksum)];
    assert_eq!(store.load(document).await.unwrap().damaged, damage);
    assert_eq!(in_tail(&home).await, 3, "it keeps its position");
    home.run("drop trigger no_move").await;
    assert_eq!(store.load(document).await.unwrap().damaged, damage);
    let kept = "select count(*) from damaged_row where payload = x'626f6f' and seq = 2";
    assert_eq!(home.number(kept).await, 1);
    assert_eq!(write(&store, document, "r4").await, 4);
    let loaded = store.load(document).await.unwrap();
    assert!(loaded.is_damaged() && loaded.damaged.is_empty());
    let with_hole = [(1, "r1"), (3, "r3"), (4, "r4")];
    assert_eq!(
        rows(&loaded),
        with_hole.map(|(seq, row)| (seq, row.to_owned()))
    );
}

/// A snapshot holds the rows up to its position: one that came to a lower position would not be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_keep_their_positions_although_a_damaged_one_before_them_was_set_aside() {
    let home = Home::sqlite();
    let store = home.open().await;
    let document = create(&store, "a").await;
    for payload in ["r1", "r2"] {
        write(&store, document, payload).await;
    }
    let state = bytes::Bytes::from_static(b"r1 r2");
    store.put_snapshot(document, Seq(2), state).await.unwrap();
    let damage = Damage::at(Damaged::Update, Seq(2), Reason::Refused);
    assert!(store.set_aside(document, &[damage]).await);
    write(&store, document, "r3").await;
    home.moved().await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(rows(&loaded), [(3, "r3".to_owned())]);
}

/// An earlier version that is started after a crash knows neither these rows nor their positions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_tail_follow_those_that_an_earlier_version_wrote_meanwhile() {
    let home = Home::sqlite();
    let store = home.open().await;
    let document = create(&store, "a").await;
    write(&store, document, "r1").await;
    home.moved().await;
    forbid_moves(&home, None).await;
    write(&store, document, "r2").await;
    write(&store, document, "r3").await;
    drop(store);
    home.run("drop trigger no_move").await;
    let checksum = crc32fast::hash(format!("{document}old").as_bytes());
    home.run(&format!(
        "update document set head_seq = head_seq + 1;
         insert into update_log (document_id, seq, payload, checksum)
         select document_id, head_seq, x'6f6c64', {checksum} from document"
    ))
    .await;
    let store = home.open().await;
    home.moved().await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(rows(&loaded), expected(&["r1", "old", "r2", "r3"]));
    assert!(!loaded.is_damaged());
    assert_eq!(write(&store, document, "r4").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_document_that_was_deleted_for_good_leave_the_tail() {
    let home = Home::sqlite();
    let store = home.open().await;
    let (gone, other) = (create(&store, "a").await, create(&store, "b").await);
    write(&store, gone, "r1").await;
    home.run(&format!(
        "delete from document where document_id = '{gone}'"
    ))
    .await;
    write(&store, other, "r1").await;
    home.moved().await;
    let rows = rows(&store.load(other).await.unwrap());
    assert_eq!(rows, expected(&["r1"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_keeps_its_author_and_its_time_when_it_is_moved() {
    let home = Home::sqlite();
    let store = home.open().await;
    let document = create(&store, "a").await;
    let mut row = new_row(&store, b"r1");
    row.user = UserId::parse("ana");
    row.at = Timestamp(1_700_000_000_123);
    append_rows(&store, document, vec![row], Vec::new())
        .await
        .unwrap()
        .unwrap();
    home.moved().await;
    let found = "select count(*) from update_log where user_id = 'ana' and at = 1700000000123";
    assert_eq!(home.number(found).await, 1);
}
