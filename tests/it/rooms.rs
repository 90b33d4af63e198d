//! Rooms on a real store: what they recover after damage, the order of acks, and awareness.

use std::sync::atomic::Ordering;

use document::{Document, PendingLimits};
use realtime_server::{
    config::{Limits, Timing},
    error::Error,
    id::Seq,
    limits::Memory,
    metrics::Metrics,
    room::{Joined, Rooms},
    store::Store,
    supervise::Supervisor,
};
use yrs::{Text, Transact};

use crate::store::{Home, catalog, key, on_both};

mod anchors;
mod authors;
mod inbox;
mod log;
mod member;
mod panics;
mod text;

use self::text::read;
pub(crate) use self::{
    member::{Member, claims, identity},
    text::written,
};

on_both!(
    a_damaged_update_loses_only_its_own_content,
    lost_content_of_an_absent_author_is_taken_from_a_client_that_declared_it,
    a_damaged_snapshot_loses_nothing,
    a_document_that_cannot_be_read_leaves_others_unaffected,
    acks_of_one_client_arrive_in_order_with_rising_positions,
    members_that_open_a_document_at_once_share_one_room,
    a_client_that_joins_or_resyncs_gets_only_what_it_lacks,
    a_seat_that_reads_slowly_gets_only_the_newest_awareness_states,
    the_awareness_state_of_a_member_that_leaves_is_removed,
);

pub(crate) fn rooms(store: &Store) -> Rooms {
    rooms_within(store, Limits::default())
}

fn rooms_within(store: &Store, limits: Limits) -> Rooms {
    let timing = Timing {
        room_idle_ms: 0,
        ..Timing::default()
    };
    let memory = Memory::new(0, Metrics::new());
    let (metrics, supervisor) = (Metrics::new(), Supervisor::new(Metrics::new()));
    let catalog = catalog(store);
    let store = store.clone();
    Rooms::new(store, catalog, limits, timing, memory, metrics, supervisor)
}

/// Writes three texts as three rows of the document `name`.
async fn with_three_texts(home: &Home, name: &str) -> Store {
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key(name), 1);
    ana.join().await.expect("joined");
    for (id, text) in [(11, "one"), (12, "two"), (13, "three")] {
        ana.send(&written(id, text, text));
        ana.saved().await;
    }
    home.moved().await;
    store
}

async fn join(store: &Store, name: &str) -> Result<Joined, Error> {
    Member::new(&rooms(store), &key(name), 9).join().await
}

async fn a_damaged_update_loses_only_its_own_content(home: Home) {
    let store = with_three_texts(&home, "a").await;
    let garbage = home.garbage();
    home.run(&format!(
        "update update_log set payload = {garbage} where seq = 2"
    ))
    .await;
    let joined = join(&store, "a")
        .await
        .expect("it opens in spite of the damage");
    let texts = ["one", "two", "three"].map(|name| read(&joined.lacking.update, name));
    assert_eq!(texts, ["one", "", "three"]);
    assert_eq!(joined.seq, Seq(3));

    // A client that still has it sends it again, because the server's state vector lacks it.
    let rooms = rooms(&store);
    let mut ben = Member::new(&rooms, &key("a"), 2);
    ben.join().await.expect("joined");
    ben.send(&written(12, "two", "two"));
    assert_eq!(ben.saved().await, Seq(4));
    let joined = join(&store, "a").await.expect("joined");
    assert_eq!(read(&joined.lacking.update, "two"), "two");
}

async fn lost_content_of_an_absent_author_is_taken_from_a_client_that_declared_it(home: Home) {
    let store = with_three_texts(&home, "a").await;
    let garbage = home.garbage();
    home.run(&format!(
        "update update_log set payload = {garbage} where seq = 1"
    ))
    .await;
    let rooms = rooms(&store);
    let mut ben = Member::new(&rooms, &key("a"), 2);
    let has = [(11, 3)].into_iter().collect();
    ben.join_from(Some(has)).await.expect("joined");
    ben.send(&written(11, "one", "one"));
    ben.saved().await;
    assert_eq!(read(&ben.sync().await, "one"), "one");
}

async fn a_damaged_snapshot_loses_nothing(home: Home) {
    let store = with_three_texts(&home, "a").await;
    let joined = join(&store, "a").await.expect("joined");
    for seq in [1, 3] {
        store
            .put_snapshot(
                joined.document.document_id,
                Seq(seq),
                joined.lacking.update.clone(),
            )
            .await
            .expect("kept");
    }
    let garbage = home.garbage();
    home.run(&format!(
        "update snapshot set state = {garbage} where seq = 3"
    ))
    .await;
    let again = join(&store, "a")
        .await
        .expect("it opens in spite of the damage");
    for name in ["one", "two", "three"] {
        assert_eq!(read(&again.lacking.update, name), name);
    }
}

async fn a_document_that_cannot_be_read_leaves_others_unaffected(home: Home) {
    let store = with_three_texts(&home, "bad").await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key("good"), 1);
    ana.join().await.expect("joined");
    let garbage = home.garbage();
    let bad = join(&store, "bad")
        .await
        .expect("joined")
        .document
        .document_id;
    home.run(&format!(
        "update update_log set payload = {garbage} where document_id = '{bad}'"
    ))
    .await;
    let joined = join(&store, "bad").await.expect("it opens, empty");
    assert_eq!(read(&joined.lacking.update, "one"), "");
    ana.send(&written(21, "text", "goes on"));
    ana.saved().await;
}

async fn acks_of_one_client_arrive_in_order_with_rising_positions(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let (mut ana, mut ben) = (
        Member::new(&rooms, &key("a"), 1),
        Member::new(&rooms, &key("a"), 2),
    );
    ana.join().await.expect("joined");
    ben.join().await.expect("joined");
    let doc = yrs::Doc::with_client_id(11);
    let text = doc.get_or_insert_text("text");
    for n in 0..500_u32 {
        let mut txn = doc.transact_mut();
        text.insert(&mut txn, n, "x");
        ana.send(&txn.encode_update_v1().into());
    }
    let mut last = Seq(0);
    for _ in 0..500 {
        let seq = ana.saved().await;
        assert!(seq >= last, "{seq:?} after {last:?}");
        last = seq;
    }
    let mut replica = Document::new(PendingLimits {
        updates_max: 0,
        bytes_max: 0,
    });
    for update in ben.seat.updates.lock().iter() {
        let checked = document::validate(update).expect("an update");
        replica.restore(update, &checked).expect("in order");
    }
    assert_eq!(replica.clock(11), 500);
    assert!(
        ben.seat.updates.lock().len() < 500,
        "a burst is relayed as merged updates"
    );
}

async fn members_that_open_a_document_at_once_share_one_room(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut members: Vec<_> = (1..=50)
        .map(|session| Member::new(&rooms, &key("a"), session))
        .collect();
    let mut documents = Vec::new();
    for member in &mut members {
        documents.push(member.join().await.expect("joined").document.document_id);
    }
    documents.dedup();
    assert_eq!((documents.len(), rooms.len()), (1, 1));
}

async fn a_client_that_joins_or_resyncs_gets_only_what_it_lacks(home: Home) {
    let store = with_three_texts(&home, "a").await;
    let rooms = rooms(&store);
    // Every character is one element.
    let has = || [(11, 3), (13, 5)].into_iter().collect();
    let mut ben = Member::new(&rooms, &key("a"), 2);
    let joined = ben.join_from(Some(has())).await.expect("joined");
    let synced = ben.sync_from(has()).await;
    for update in [joined.lacking.update, synced] {
        let texts = ["one", "two", "three"].map(|name| read(&update, name));
        assert_eq!(texts, ["", "two", ""]);
    }
}

async fn a_seat_that_reads_slowly_gets_only_the_newest_awareness_states(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut members: Vec<Member> = (1..=4)
        .map(|session| Member::new(&rooms, &key("a"), session))
        .collect();
    for member in &mut members {
        member.join().await.expect("joined");
    }
    let [ana, ben, quick, slow] = &mut members[..] else {
        panic!("four")
    };
    slow.seat.queued_bytes.store(1 << 20, Ordering::Relaxed);
    for clock in 1..=3 {
        ana.point(clock, clock * 10).await;
        let at = format!("{{\"at\":{}", clock * 10);
        assert_eq!(quick.next_awareness().await, [(1, at.clone())]);
    }
    ben.point(1, 7).await;
    assert_eq!(quick.next_awareness().await, [(2, "{\"at\":7".to_owned())]);
    assert!(
        slow.awareness.try_recv().is_err(),
        "nothing is queued for it"
    );

    slow.seat.queued_bytes.store(0, Ordering::Relaxed);
    let both = [(1, "{\"at\":30".to_owned()), (2, "{\"at\":7".to_owned())];
    assert_eq!(
        slow.next_awareness().await,
        both,
        "one message with the newest states only"
    );
    ana.point(4, 40).await;
    assert_eq!(slow.next_awareness().await, [(1, "{\"at\":40".to_owned())]);
}

async fn the_awareness_state_of_a_member_that_leaves_is_removed(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let (mut ana, mut ben) = (
        Member::new(&rooms, &key("a"), 1),
        Member::new(&rooms, &key("a"), 2),
    );
    ana.join().await.expect("joined");
    ben.join().await.expect("joined");
    ana.point(1, 10).await;
    assert_eq!(ben.next_awareness().await, [(1, "{\"at\":10".to_owned())]);

    ana.leave().await;
    let removed = [(1, String::new())];
    assert_eq!(ben.next_awareness().await, removed, "the members are told");
    let joined = Member::new(&rooms, &key("a"), 3).join().await;
    let states = joined.expect("joined").awareness;
    assert!(states.is_none(), "a new member is not shown the state");
}
