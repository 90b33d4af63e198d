//! The owner of a client id is written together with the first rows that contain it.

use realtime_server::{
    id::{ClientId, DocumentId, Seq, Timestamp, UserId},
    store::{AppendError, Author, Loaded, Store},
};

use super::{Home, append, append_with_authors, close, create, on_both};

on_both!(
    authors_are_loaded_in_the_order_of_their_ids,
    the_first_author_of_a_client_id_is_kept,
    one_batch_writes_authors_of_many_documents,
    authors_of_a_refused_append_are_not_written,
    authors_are_deleted_with_their_document,
    a_hundred_thousand_authors_are_loaded,
);

const CLIENT_MAX: ClientId = (1 << 53) - 1;

fn author(client: ClientId, user: &str) -> Author {
    Author {
        client,
        user: UserId::parse(user).unwrap(),
        first_clock: 7,
        since: Timestamp(1_700_000_000_007),
    }
}

fn owners(loaded: &Loaded) -> Vec<(ClientId, &str)> {
    let owners = loaded.authors.iter();
    owners
        .map(|(client, user)| (*client, user.as_str()))
        .collect()
}

async fn authors_of(store: &Store, document: DocumentId) -> Vec<(ClientId, String)> {
    let loaded = store.load(document).await.unwrap();
    let owners = owners(&loaded).into_iter();
    owners
        .map(|(client, user)| (client, user.to_owned()))
        .collect()
}

async fn authors_are_loaded_in_the_order_of_their_ids(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    let awkward = "it's \"quoted\", {back}\\slashed, ünï → 💚";
    let mut first = author(CLIENT_MAX, "ana");
    first.first_clock = u32::MAX;
    let authors = vec![first, author(5, awkward)];
    let written = append_with_authors(&store, document, &[b"x", b"y"], authors).await;
    assert_eq!(written.unwrap(), Ok(Seq(2)));
    close(store).await;

    let store = home.open().await;
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.updates.len(), 2);
    assert_eq!(owners(&loaded), [(5, awkward), (CLIENT_MAX, "ana")]);
    let sql = "select client_id + first_clock from author where user_id = 'ana'";
    assert_eq!(
        home.number(sql).await,
        (CLIENT_MAX + u64::from(u32::MAX)) as i64
    );
    let then = home.time(Timestamp(1_700_000_000_007));
    let sql = format!("select count(*) from author where since = {then}");
    assert_eq!(
        home.number(&sql).await,
        2,
        "the time is exact to the millisecond"
    );
}

async fn the_first_author_of_a_client_id_is_kept(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    // In one append, in one batch, and in a later one.
    let appends = [
        append_with_authors(&store, document, &[b"x"], vec![author(1, "ana")]),
        append_with_authors(
            &store,
            document,
            &[b"x"],
            vec![author(1, "ben"), author(2, "ben"), author(2, "cy")],
        ),
    ];
    for append in appends {
        append.await.unwrap().unwrap();
    }
    let later = vec![author(2, "cy"), author(1, "cy"), author(3, "cy")];
    let later = append_with_authors(&store, document, &[b"x"], later);
    assert_eq!(later.await.unwrap(), Ok(Seq(3)));
    let expected = [(1, "ana"), (2, "ben"), (3, "cy")];
    let loaded = store.load(document).await.unwrap();
    assert_eq!(owners(&loaded), expected);
}

async fn one_batch_writes_authors_of_many_documents(home: Home) {
    let store = home.open().await;
    let mut appends = Vec::new();
    let mut documents = Vec::new();
    for room in 0..40 {
        documents.push(create(&store, &format!("room-{room}")).await);
    }
    for (nth, &document) in documents.iter().enumerate() {
        let user = format!("user-{nth}");
        let authors = vec![author(1, &user), author(100 + nth as u64, &user)];
        appends.push(append_with_authors(&store, document, &[b"x"], authors));
        appends.push(append(&store, document, &[b"y"]));
    }
    for append in appends {
        append.await.unwrap().unwrap();
    }
    for (nth, &document) in documents.iter().enumerate() {
        let user = format!("user-{nth}");
        let expected = [(1, user.clone()), (100 + nth as u64, user)];
        assert_eq!(authors_of(&store, document).await, expected);
    }
}

async fn authors_of_a_refused_append_are_not_written(home: Home) {
    let store = home.open().await;
    let (refused, stays) = (
        create(&store, "refused").await,
        create(&store, "stays").await,
    );
    home.forbid_seven_bytes().await;
    let appends = [
        append_with_authors(&store, stays, &[b"good"], vec![author(1, "ana")]),
        append_with_authors(&store, refused, &[b"is bad."], vec![author(1, "ana")]),
    ];
    let mut outcomes = Vec::new();
    for append in appends {
        outcomes.push(append.await.unwrap());
    }
    assert_eq!(outcomes[0], Ok(Seq(1)));
    assert!(matches!(outcomes[1], Err(AppendError::Refused { .. })));
    assert_eq!(authors_of(&store, stays).await, [(1, "ana".to_owned())]);
    assert_eq!(authors_of(&store, refused).await, []);
}

async fn authors_are_deleted_with_their_document(home: Home) {
    let store = home.open().await;
    let deleted = create(&store, "deleted").await;
    append_with_authors(&store, deleted, &[b"x"], vec![author(1, "ana")])
        .await
        .unwrap()
        .unwrap();
    home.run(&format!(
        "delete from document where document_id = '{deleted}'"
    ))
    .await;
    assert_eq!(home.number("select count(*) from author").await, 0);
    let late = append_with_authors(&store, deleted, &[b"x"], vec![author(2, "ana")]).await;
    assert_eq!(late.unwrap(), Err(AppendError::Gone));
}

async fn a_hundred_thousand_authors_are_loaded(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    let authors = (0..100_000)
        .map(|client| author(client, ["ana", "ben"][client as usize % 2]))
        .collect();
    append_with_authors(&store, document, &[b"x"], authors)
        .await
        .unwrap()
        .unwrap();
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.authors.len(), 100_000);
    let pointer = |of: usize| loaded.authors[of].1.as_str().as_ptr();
    assert_eq!(pointer(0), pointer(99_998), "one copy for each user");
}
