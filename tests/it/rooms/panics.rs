//! A room that panics: it continues with its members, or tells them that it is closed.

use realtime_server::room::{Answer, Message, ResyncReason};

use super::*;

impl Member {
    /// Waits for the answer to an update that made the room panic.
    async fn is_refused(&mut self) {
        let answer = self.next_answer().await;
        let is_refused = matches!(answer, Answer::Refused(Error::Internal));
        assert!(is_refused, "{answer:?}");
    }

    async fn is_told_to_synchronise(&mut self) {
        loop {
            match self.next_notice().await {
                Message::Resync(ResyncReason::Rebuilt) => return,
                Message::Storage(_) => {}
                other => panic!("not a resync: {other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_panic_a_room_continues_with_its_members() {
    let home = Home::sqlite();
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key("a"), 1);
    let mut ben = Member::new(&rooms, &key("a"), 2);
    ana.join().await.expect("joined");
    ben.join().await.expect("joined");
    ana.send(&written(11, "one", "one"));
    ana.saved().await;

    ana.seat.panics.store(1, Ordering::Relaxed);
    ana.send(&written(12, "two", "two"));
    ana.is_refused().await;
    ana.is_told_to_synchronise().await;
    ben.is_told_to_synchronise().await;
    assert_eq!(read(&ana.sync().await, "one"), "one");
    assert_eq!(read(&ben.sync().await, "one"), "one");

    let seen = ben.seat.updates.lock().len();
    ana.send(&written(12, "two", "two"));
    assert_eq!(ana.saved().await, Seq(2));
    let updates = ben.seat.updates.lock().split_off(seen);
    assert_eq!(read(&updates[0], "two"), "two");
    let mut newcomer = Member::new(&rooms, &key("a"), 3);
    let joined = newcomer.join().await.expect("the same room");
    assert_eq!(joined.members.len(), 3);
    assert_eq!(read(&joined.lacking.update, "two"), "two");
    assert_eq!(rooms.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_accepted_before_a_panic_are_acknowledged_after_it() {
    let home = Home::sqlite();
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key("a"), 1);
    ana.join().await.expect("joined");
    let doc = yrs::Doc::with_client_id(11);
    let text = doc.get_or_insert_text("text");
    for n in 0..50_u32 {
        let mut txn = doc.transact_mut();
        text.insert(&mut txn, n, "x");
        ana.send(&txn.encode_update_v1().into());
    }
    ana.sync().await;
    ana.seat.panics.store(1, Ordering::Relaxed);
    ana.send(&written(12, "two", "two"));
    ana.is_refused().await;
    for _ in 0..50 {
        ana.saved().await;
    }
    let joined = join(&store, "a").await.expect("joined");
    assert_eq!(read(&joined.lacking.update, "text"), "x".repeat(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_a_panic_kept_from_the_log_is_not_acknowledged_by_the_next_append() {
    let home = Home::sqlite();
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key("a"), 1);
    let mut ben = Member::new(&rooms, &key("a"), 2);
    ana.join().await.expect("joined");
    ben.join().await.expect("joined");
    ben.seat.panics_at_update.store(true, Ordering::Relaxed);
    ana.send(&written(11, "one", "one"));
    let answer = ana.next_answer().await;
    let is_refused = matches!(answer, Answer::Refused(Error::StorageUnavailable));
    assert!(is_refused, "{answer:?}");
    ana.is_told_to_synchronise().await;
    ana.sync().await;
    ana.send(&written(12, "two", "two"));
    assert_eq!(ana.saved().await, Seq(1));
    let joined = join(&store, "a").await.expect("joined");
    assert_eq!(
        read(&joined.lacking.update, "one"),
        "",
        "it was not written"
    );
    assert_eq!(read(&joined.lacking.update, "two"), "two");
    assert!(
        ana.acks.try_recv().is_err(),
        "only the written update is acknowledged"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_panics_too_often_is_closed_and_can_be_opened_again() {
    let home = Home::sqlite();
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key("a"), 1);
    ana.join().await.expect("joined");
    ana.send(&written(11, "one", "one"));
    ana.saved().await;
    for n in 0..4 {
        ana.seat.panics.store(1, Ordering::Relaxed);
        ana.send(&written(12, "two", "two"));
        ana.is_refused().await;
        if n < 3 {
            ana.is_told_to_synchronise().await;
            ana.sync().await;
        }
    }
    loop {
        match ana.next_notice().await {
            Message::Closed(Error::Internal) => break,
            Message::Storage(_) => {}
            other => panic!("not the closing of the room: {other:?}"),
        }
    }
    let mut again = Member::new(&rooms, &key("a"), 2);
    let joined = again.join().await.expect("a new room");
    assert_eq!(joined.members.len(), 1);
    assert_eq!(read(&joined.lacking.update, "one"), "one");
}
