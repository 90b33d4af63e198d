//! Authors without a seat: they write, edit and restore documents that others have open or not.

use std::sync::Arc;

use bytes::Bytes;
use document::edit::{Operation, Position, Target};
use realtime_server::{
    config::{Limits, Timing},
    error::Error,
    id::SessionId,
    room::{Author, Edit, Rooms},
    session::{Identity, Sessions},
    store::Store,
};

use super::{
    Member,
    member::claims,
    rooms,
    text::{read, written},
};
use crate::store::{Home, key, on_both, supervisor};

on_both!(
    an_edit_of_an_author_is_durable_and_seen_by_members_and_newcomers,
    an_earlier_state_is_restored_while_a_member_edits,
    an_edit_that_cannot_be_made_changes_nothing,
    authors_that_edit_at_once_all_succeed,
);

fn author(session: u64) -> Author {
    let sessions = Sessions::new(Limits::default(), Timing::default(), supervisor());
    let claims = claims("acme", "writer");
    Author {
        identity: Identity::new(SessionId(session), &claims.team, claims.user.clone()),
        caller: sessions.caller(&claims),
    }
}

/// Inserts `text` into the text "article".
fn insert(at: Position, text: &str) -> Edit {
    Edit::Operations(vec![Operation::InsertText {
        target: Target::root("article"),
        at,
        text: text.to_owned(),
        attributes: None,
    }])
}

/// The whole state of the document, as a newcomer gets it.
async fn state(rooms: &Rooms, name: &str) -> Bytes {
    let mut newcomer = Member::new(rooms, &key(name), 99);
    newcomer.join().await.expect("joined").lacking.update
}

async fn article(rooms: &Rooms) -> String {
    read(&state(rooms, "a").await, "article")
}

async fn an_edit_of_an_author_is_durable_and_seen_by_members_and_newcomers(home: Home) {
    let store = home.open().await;
    let first = rooms(&store);
    first
        .edit(&key("a"), &author(1000), insert(Position::End, "Hello"))
        .await
        .expect("an unknown document is created");
    let mut ana = Member::new(&first, &key("a"), 1);
    let joined = ana.join().await.expect("joined");
    assert_eq!(read(&joined.lacking.update, "article"), "Hello");
    let acked = first
        .edit(&key("a"), &author(1001), insert(Position::End, ", world"))
        .await
        .expect("edited");
    assert_eq!(ana.updates().len(), 1, "the member is told of the edit");
    // Another instance reads it from the database.
    let again = rooms(&store);
    assert_eq!(article(&again).await, "Hello, world");
    assert_eq!(acked.seq.0, 2);
}

async fn an_earlier_state_is_restored_while_a_member_edits(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let mut ana = Member::new(&rooms, &key("a"), 1);
    ana.join().await.expect("joined");
    ana.send(&written(11, "article", "the first version"));
    ana.saved().await;
    let version = state(&rooms, "a").await;
    rooms
        .edit(&key("a"), &author(1000), insert(Position::At(4), "very "))
        .await
        .expect("edited");
    ana.send(&written(12, "notes", "written meanwhile"));
    assert_eq!(article(&rooms).await, "the very first version");
    rooms
        .edit(&key("a"), &author(1001), Edit::ReplaceWith(version))
        .await
        .expect("restored");
    assert_eq!(article(&rooms).await, "the first version");
    // A restored document has the roots of its version alone.
    assert_eq!(read(&state(&rooms, "a").await, "notes"), "");
    ana.send(&written(13, "article", "after it: "));
    ana.saved().await;
    assert!(article(&rooms).await.contains("after it: "));
}

async fn an_edit_that_cannot_be_made_changes_nothing(home: Home) {
    let store = home.open().await;
    let rooms = rooms(&store);
    let edit = async |edit| rooms.edit(&key("a"), &author(1000), edit).await;
    edit(insert(Position::End, "Hello")).await.expect("edited");
    let before = state(&rooms, "a").await;
    let beyond = edit(insert(Position::At(6), "x")).await;
    let invalid = matches!(beyond, Err(Error::Invalid { field: "edit", .. }));
    assert!(invalid, "{beyond:?}");
    let foreign = written(77, "article", "another document");
    let foreign = edit(Edit::ReplaceWith(foreign)).await;
    let conflict = matches!(foreign, Err(Error::Conflict { .. }));
    assert!(conflict, "{foreign:?}");
    let malformed = edit(Edit::ReplaceWith(Bytes::from_static(b"no update"))).await;
    let invalid = matches!(malformed, Err(Error::Invalid { field: "edit", .. }));
    assert!(invalid, "{malformed:?}");
    assert_eq!(state(&rooms, "a").await, before);
}

async fn authors_that_edit_at_once_all_succeed(home: Home) {
    let store: Store = home.open().await;
    let rooms = Arc::new(rooms(&store));
    let edits = (0..20).map(|number| {
        let rooms = Arc::clone(&rooms);
        tokio::spawn(async move {
            let edit = insert(Position::At(0), &format!("<{number}>"));
            rooms.edit(&key("a"), &author(1000 + number), edit).await
        })
    });
    let edits: Vec<_> = edits.collect();
    for edit in edits {
        edit.await.expect("no panic").expect("edited");
    }
    let text = article(&rooms).await;
    for number in 0..20 {
        assert_eq!(text.matches(&format!("<{number}>")).count(), 1, "{text}");
    }
}
