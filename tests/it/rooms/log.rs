//! A room and the log of its document: snapshots, and rows that other instances wrote.

use std::time::Duration;

use bytes::Bytes;

use super::{member::WAIT, *};

on_both!(
    a_snapshot_holds_pending_content,
    an_update_written_right_after_a_snapshot_is_kept,
    rows_of_another_instance_are_relayed_to_the_members,
);

/// Waits for the first snapshot; the position up to which it claims to hold the log.
async fn first_snapshot(home: &Home) -> i64 {
    let written = async {
        while home.number("select count(*) from snapshot").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        home.number("select max(seq) from snapshot").await
    };
    let waited = tokio::time::timeout(WAIT, written).await;
    waited.expect("a snapshot is written")
}

/// Rooms that write a snapshot after two rows.
fn with_early_snapshots(store: &Store) -> Rooms {
    let limits = Limits {
        snapshot_rows: 2,
        ..Limits::default()
    };
    rooms_within(store, limits)
}

async fn a_snapshot_holds_pending_content(home: Home) {
    let store = home.open().await;
    let first_rooms = with_early_snapshots(&store);
    let mut ana = Member::new(&first_rooms, &key("a"), 1);
    ana.join().await.expect("joined");
    let doc = yrs::Doc::with_client_id(11);
    let text = doc.get_or_insert_text("text");
    let [missing, pending]: [Bytes; 2] = [(0, "a"), (1, "b")].map(|(at, letter)| {
        let mut txn = doc.transact_mut();
        text.insert(&mut txn, at, letter);
        txn.encode_update_v1().into()
    });
    ana.send(&pending);
    ana.saved().await;
    ana.send(&written(12, "other", "other"));
    ana.saved().await;
    assert_eq!(first_snapshot(&home).await, 2);

    let mut ben = Member::new(&rooms(&store), &key("a"), 2);
    let joined = ben.join().await.expect("joined");
    assert_eq!(
        read(&joined.lacking.update, "text"),
        "",
        "it is not visible yet"
    );
    ben.send(&missing);
    ben.saved().await;
    assert_eq!(read(&ben.sync().await, "text"), "ab");
}

async fn an_update_written_right_after_a_snapshot_is_kept(home: Home) {
    let store = home.open().await;
    let rooms = with_early_snapshots(&store);
    let mut ana = Member::new(&rooms, &key("a"), 1);
    ana.join().await.expect("joined");
    for (id, text) in [(11, "one"), (12, "two")] {
        ana.send(&written(id, text, text));
        ana.saved().await;
    }
    let covered = first_snapshot(&home).await;
    ana.send(&written(13, "three", "three"));
    assert_eq!(ana.saved().await, Seq(3));
    let joined = join(&store, "a").await.expect("joined");
    let texts = ["one", "two", "three"].map(|name| read(&joined.lacking.update, name));
    assert_eq!(
        texts,
        ["one", "two", "three"],
        "the snapshot claims {covered}"
    );
    assert_eq!(covered, 2);
}

async fn rows_of_another_instance_are_relayed_to_the_members(home: Home) {
    let store = home.open().await;
    let (here, there) = (rooms(&store), rooms(&store));
    let mut ana = Member::new(&here, &key("a"), 1);
    let mut ben = Member::new(&here, &key("a"), 2);
    let mut cleo = Member::new(&there, &key("a"), 3);
    for member in [&mut ana, &mut ben, &mut cleo] {
        member.join().await.expect("joined");
    }
    cleo.send(&written(13, "text of cleo", "from elsewhere"));
    cleo.saved().await;
    ana.send(&written(11, "text of ana", "from here"));
    assert_eq!(ana.saved().await, Seq(2), "behind what Cleo wrote");

    // The room answers after it has relayed everything that followed from the ack.
    let state = ana.sync().await;
    assert_eq!(read(&state, "text of cleo"), "from elsewhere");
    for member in [&ana, &ben] {
        let updates = member.seat.updates.lock();
        let told = |update: &Bytes| read(update, "text of cleo") == "from elsewhere";
        assert_eq!(updates.iter().filter(|update| told(update)).count(), 1);
    }
}
