//! Who owns a client id is written with the rows that bring it.

use realtime_server::{
    id::{ClientId, DocumentId, Seq, Timestamp, UserId},
    store::{AppendError, Author, Loaded, Store},
};

use super::{Home, append, append_signed, close, create, on_both};

on_both!(
    authors_come_back_in_the_order_of_their_ids,
    the_first_author_of_a_client_id_stays,
    authors_of_many_documents_travel_in_one_batch,
    authors_of_a_refused_append_are_not_kept,
    authors_go_with_their_document,
    a_hundred_thousand_authors_are_read_back,
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

async fn authors_come_back_in_the_order_of_their_ids(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    let awkward = "it's \"quoted\", {back}\\slashed, ünï → 💚";
    let mut first = author(CLIENT_MAX, "ana");
    first.first_clock = u32::MAX;
    let signed = vec![first, author(5, awkward)];
    let written = append_signed(&store, document, &[b"x", b"y"], signed).await;
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
    let then = home.moment(Timestamp(1_700_000_000_007));
    let sql = format!("select count(*) from author where since = {then}");
    assert_eq!(home.number(&sql).await, 2, "to the millisecond");
}

async fn the_first_author_of_a_client_id_stays(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    // In one append, in one batch, and in a later one.
    let answers = [
        append_signed(&store, document, &[b"x"], vec![author(1, "ana")]),
        append_signed(
            &store,
            document,
            &[b"x"],
            vec![author(1, "ben"), author(2, "ben"), author(2, "cy")],
        ),
    ];
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let later = vec![author(2, "cy"), author(1, "cy"), author(3, "cy")];
    let later = append_signed(&store, document, &[b"x"], later);
    assert_eq!(later.await.unwrap(), Ok(Seq(3)));
    let expected = [(1, "ana"), (2, "ben"), (3, "cy")];
    let loaded = store.load(document).await.unwrap();
    assert_eq!(owners(&loaded), expected);
}

async fn authors_of_many_documents_travel_in_one_batch(home: Home) {
    let store = home.open().await;
    let mut answers = Vec::new();
    let mut documents = Vec::new();
    for room in 0..40 {
        documents.push(create(&store, &format!("room-{room}")).await);
    }
    for (nth, &document) in documents.iter().enumerate() {
        let user = format!("user-{nth}");
        let signed = vec![author(1, &user), author(100 + nth as u64, &user)];
        answers.push(append_signed(&store, document, &[b"x"], signed));
        answers.push(append(&store, document, &[b"y"]));
    }
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    for (nth, &document) in documents.iter().enumerate() {
        let user = format!("user-{nth}");
        let expected = [(1, user.clone()), (100 + nth as u64, user)];
        assert_eq!(authors_of(&store, document).await, expected);
    }
}

async fn authors_of_a_refused_append_are_not_kept(home: Home) {
    let store = home.open().await;
    let (refused, stays) = (
        create(&store, "refused").await,
        create(&store, "stays").await,
    );
    home.forbid_seven_bytes().await;
    let answers = [
        append_signed(&store, stays, &[b"good"], vec![author(1, "ana")]),
        append_signed(&store, refused, &[b"is bad."], vec![author(1, "ana")]),
    ];
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap());
    }
    assert_eq!(outcomes[0], Ok(Seq(1)));
    assert!(matches!(outcomes[1], Err(AppendError::Refused { .. })));
    assert_eq!(authors_of(&store, stays).await, [(1, "ana".to_owned())]);
    assert_eq!(authors_of(&store, refused).await, []);
}

async fn authors_go_with_their_document(home: Home) {
    let store = home.open().await;
    let gone = create(&store, "gone").await;
    append_signed(&store, gone, &[b"x"], vec![author(1, "ana")])
        .await
        .unwrap()
        .unwrap();
    home.run(&format!(
        "delete from document where document_id = '{gone}'"
    ))
    .await;
    assert_eq!(home.number("select count(*) from author").await, 0);
    let late = append_signed(&store, gone, &[b"x"], vec![author(2, "ana")]).await;
    assert_eq!(late.unwrap(), Err(AppendError::Gone));
}

async fn a_hundred_thousand_authors_are_read_back(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    let signed = (0..100_000)
        .map(|client| author(client, ["ana", "ben"][client as usize % 2]))
        .collect();
    append_signed(&store, document, &[b"x"], signed)
        .await
        .unwrap()
        .unwrap();
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.authors.len(), 100_000);
    let texts = |of: usize| loaded.authors[of].1.as_str().as_ptr();
    assert_eq!(texts(0), texts(99_998), "one text for a person");
}
