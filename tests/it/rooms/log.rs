//! A room and the log of its document: snapshots, and rows that other instances wrote.

use std::time::Duration;

use bytes::Bytes;

use super::*;

on_both!(
    an_update_written_right_after_a_snapshot_is_kept,
    rows_of_another_instance_are_relayed_to_the_members,
);

const WAIT: Duration = Duration::from_secs(10);

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

async fn an_update_written_right_after_a_snapshot_is_kept(home: Home) {
    let store = home.open().await;
    let limits = Limits {
        snapshot_rows: 2,
        ..Limits::default()
    };
    let rooms = rooms_within(&store, limits);
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
    let texts = ["one", "two", "three"].map(|name| read(&joined.update, name));
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
