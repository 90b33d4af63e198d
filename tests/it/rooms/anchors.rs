//! Questions about anchors: rooms answer which texts are gone, whether the document is open or not.

use bytes::Bytes;
use realtime_server::{
    id::RoomName,
    room::{Anchor, RelativePosition, Rooms},
};
use tokio::time::Instant;
use yrs::{Text, Transact, WriteTxn};

use super::{Member, claims, rooms};
use crate::store::{Home, key, on_both};

on_both!(
    a_document_is_opened_to_find_its_texts,
    what_cannot_be_answered_is_not_gone,
    many_anchors_in_a_long_text_are_all_answered,
);

/// The client that writes in these tests.
const CLIENT: u8 = 11;

/// The anchor of the text between two elements of the client.
fn anchor(from: usize, to: usize) -> Anchor {
    let position = |clock: usize| {
        let clock = [
            clock as u8 | 0x80,
            (clock >> 7) as u8 | 0x80,
            (clock >> 14) as u8,
        ];
        let bytes = [[0, CLIENT].as_slice(), &clock, &[0]].concat();
        RelativePosition::decode(&bytes).expect("a position")
    };
    Anchor {
        start: position(from),
        end: position(to),
    }
}

async fn are_gone(rooms: &Rooms, room: &str, anchors: &[Anchor]) -> Vec<bool> {
    let room = RoomName::parse(room).expect("a name");
    let claims = claims("acme", "ana");
    rooms.are_gone(&claims, &room, anchors.to_vec()).await
}

/// The updates that write `len` characters, each before the last one, and that delete the `deleted`
/// that were written last. Each is small enough not to be refused as too costly.
fn written_backwards(len: usize, deleted: u32) -> Vec<Bytes> {
    const PART: usize = 50;
    let doc = yrs::Doc::with_client_id(u64::from(CLIENT));
    let edit = |edit: &dyn Fn(&mut yrs::TransactionMut<'_>)| -> Bytes {
        let mut txn = doc.transact_mut();
        edit(&mut txn);
        txn.encode_update_v1().into()
    };
    let mut updates = Vec::new();
    for from in (0..len).step_by(PART) {
        updates.push(edit(&|txn| {
            let text = txn.get_or_insert_text("text");
            for _ in from..len.min(from + PART) {
                text.insert(txn, 0, "x");
            }
        }));
    }
    for from in (0..deleted).step_by(PART) {
        let len = (deleted - from).min(PART as u32);
        updates.push(edit(&|txn| {
            txn.get_or_insert_text("text").remove_range(txn, 0, len);
        }));
    }
    updates
}

/// Writes the updates into the document "a".
async fn write(rooms: &Rooms, updates: Vec<Bytes>) {
    let mut ana = Member::new(rooms, &key("a"), 1);
    ana.join().await.expect("joined");
    for update in &updates {
        ana.send(update);
    }
    for _ in updates {
        ana.saved().await;
    }
}

async fn a_document_is_opened_to_find_its_texts(home: Home) {
    let store = home.open().await;
    let first = rooms(&store);
    write(&first, written_backwards(8, 4)).await;
    // The last four characters, which stand first, are gone: those from 7 to 4.
    let anchors = [anchor(7, 4), anchor(6, 2), anchor(3, 1)];
    let expected = [true, false, false];
    assert_eq!(are_gone(&first, "a", &anchors).await, expected);
    let again = rooms(&store);
    assert!(again.is_empty());
    assert_eq!(are_gone(&again, "a", &anchors).await, expected);
}

async fn what_cannot_be_answered_is_not_gone(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    write(&rooms, written_backwards(2, 2)).await;
    let gone = anchor(1, 0);
    assert_eq!(
        are_gone(&rooms, "a", std::slice::from_ref(&gone)).await,
        [true]
    );
    assert_eq!(
        are_gone(&rooms, "b", std::slice::from_ref(&gone)).await,
        [false]
    );
    let documents = home.number("select count(*) from document").await;
    assert_eq!(documents, 1, "no document is created by a question");
    assert_eq!(are_gone(&rooms, "a", &[]).await, [false; 0]);
    rooms.drain(Instant::now()).await;
    assert_eq!(are_gone(&rooms, "a", &[gone]).await, [false]);
}

async fn many_anchors_in_a_long_text_are_all_answered(home: Home) {
    const LEN: usize = 10_000;
    const ANCHORS: usize = 500;
    let store = home.open().await;
    let rooms = rooms(&store);
    write(&rooms, written_backwards(LEN, LEN as u32 / 2)).await;
    let part = LEN / ANCHORS;
    let anchors: Vec<Anchor> = (0..ANCHORS)
        .map(|nth| anchor(nth * part + part - 1, nth * part))
        .collect();
    let gone = are_gone(&rooms, "a", &anchors).await;
    let expected: Vec<bool> = (0..ANCHORS).map(|nth| nth >= ANCHORS / 2).collect();
    assert_eq!(gone, expected);
}
