//! The list of a team's documents: its order, its pages, and the documents that it omits.

use std::time::{Duration, Instant};

use realtime_server::{
    auth::{Claims, MintRequest, Verifier, mint},
    catalog::{Page, PageParameters, PageRequest},
    config::Config,
    id::{DocumentId, DocumentKey, Team, Timestamp},
    metrics::Metrics,
    store::Store,
    supervise::Supervisor,
};

use crate::store::{Home, ana, append, catalog, close, key, on_both};

on_both!(
    the_last_written_document_is_first,
    pages_contain_every_document_once,
    a_page_examines_a_thousand_documents_at_most,
    documents_of_other_teams_are_not_listed,
    documents_of_the_first_schema_count_as_written_when_created,
);

/// When the documents of these tests were created: 2023-11-14.
const THEN: Timestamp = Timestamp(1_700_000_000_000);

/// A viewer of `acme` with `grants`.
async fn viewer(grants: &[(&str, &str)]) -> Claims {
    let auth =
        Config::development("sqlite:unused", "a-secret-of-the-tests-that-is-long-enough").auth;
    let own = |(room, word): &(&str, &str)| ((*room).to_owned(), (*word).to_owned());
    let request = MintRequest {
        user: "ana".into(),
        name: None,
        team: Some("acme".into()),
        roles: vec!["viewer".into()],
        documents: grants.iter().map(own).collect(),
        ttl_seconds: 60,
    };
    let token = mint(&auth, &request, Timestamp::now().seconds()).expect("a token");
    let verifier = Verifier::new(&auth, &Supervisor::new(Metrics::new()))
        .await
        .expect("a verifier");
    verifier.verify(&token).await.expect("valid")
}

async fn create(store: &Store, key: &DocumentKey, after_ms: i64) -> DocumentId {
    let now = Timestamp(THEN.0 + after_ms);
    let created = catalog(store).find_or_create(key, &ana(), now).await;
    created.expect("the database is there").id()
}

/// Inserts documents of `acme` directly into the database, all created and written at `at`.
async fn insert(home: &Home, rooms: impl Iterator<Item = String>, at: Timestamp) {
    let time = home.time(at);
    let row = |room| {
        let id = DocumentId::generate();
        format!("('{id}', 'acme', '{room}', 'ana', {time}, {time})")
    };
    let rows: Vec<_> = rooms.map(row).collect();
    home.run(&format!(
        "insert into document (document_id, team, room, created_by, created_at, updated_at)
         values {}",
        rows.join(", ")
    ))
    .await;
}

async fn page(store: &Store, claims: &Claims, limit: usize, after: Option<&Page>) -> Page {
    page_of(store, claims, PageParameters::default(), limit, after).await
}

/// A page of the list that `parameters` describe.
async fn page_of(
    store: &Store,
    claims: &Claims,
    parameters: PageParameters<'_>,
    limit: usize,
    after: Option<&Page>,
) -> Page {
    let cursor = after
        .and_then(|page| page.next_cursor.as_ref())
        .map(|cursor| cursor.to_string());
    let request = PageRequest::parse(PageParameters {
        limit: Some(&limit.to_string()),
        cursor: cursor.as_deref(),
        ..parameters
    });
    let page = catalog(store).list(claims, request.expect("valid")).await;
    page.expect("the database is there")
}

fn rooms(page: &Page) -> Vec<&str> {
    page.documents
        .iter()
        .map(|listed| listed.document.metadata.room.as_str())
        .collect()
}

async fn the_last_written_document_is_first(home: Home) {
    let (store, ana) = (home.open().await, viewer(&[("b", "edit")]).await);
    let mut ids = Vec::new();
    for (nth, room) in ["a", "b", "c"].into_iter().enumerate() {
        ids.push(create(&store, &key(room), nth as i64).await);
    }
    assert_eq!(rooms(&page(&store, &ana, 9, None).await), ["c", "b", "a"]);

    let before = Timestamp::now();
    append(&store, ids[0], &[b"x", b"y"])
        .await
        .expect("answered")
        .expect("written");
    let listed = page(&store, &ana, 9, None).await;
    assert_eq!(rooms(&listed), ["a", "c", "b"]);
    assert_eq!(listed.next_cursor, None);
    let [a, _, b] = &listed.documents[..] else {
        panic!("three documents")
    };
    assert_eq!((a.permission.name(), b.permission.name()), ("view", "edit"));
    let (a, b) = (&a.document.metadata, &b.document.metadata);
    assert_eq!((a.document_id, b.document_id), (ids[0], ids[1]));
    assert_eq!(a.created_at, THEN);
    assert!(
        (before..=Timestamp::now()).contains(&a.updated_at),
        "{}",
        a.updated_at
    );
    assert_eq!(b.updated_at, b.created_at, "no update was written to it");
}

async fn pages_contain_every_document_once(home: Home) {
    let (store, ana) = (home.open().await, viewer(&[("hidden-*", "none")]).await);
    let name = |n| {
        if n % 3 == 0 {
            format!("hidden-{n}")
        } else {
            format!("room-{n}")
        }
    };
    for step in 0..4 {
        let at = Timestamp(THEN.0 + step);
        insert(&home, (step * 25..step * 25 + 25).map(name), at).await;
    }
    let whole = page(&store, &ana, 100, None).await;
    let whole = rooms(&whole);
    let viewable = (0..100)
        .map(name)
        .filter(|room| !room.starts_with("hidden-"));
    let expected: Vec<_> = viewable.collect();
    assert_eq!(
        whole,
        expected.iter().rev().collect::<Vec<_>>(),
        "also documents of one time"
    );
    for limit in [1, 7, 66, 67] {
        let (mut listed, mut last) = (Vec::new(), None);
        loop {
            let next = page(&store, &ana, limit, last.as_ref()).await;
            assert!(next.documents.len() <= limit);
            listed.extend(rooms(&next).into_iter().map(str::to_owned));
            let is_last = next.next_cursor.is_none();
            last = Some(next);
            if is_last {
                break;
            }
        }
        assert_eq!(listed, whole, "{limit} a page");
    }
}

async fn a_page_examines_a_thousand_documents_at_most(home: Home) {
    let (store, ana) = (home.open().await, viewer(&[("hidden-*", "none")]).await);
    insert(&home, (0..3).map(|n| format!("room-{n}")), THEN).await;
    let later = Timestamp(THEN.0 + 1);
    insert(&home, (0..1999).map(|n| format!("hidden-{n}")), later).await;
    let first = page(&store, &ana, 2, None).await;
    assert!(first.documents.is_empty() && first.next_cursor.is_some());
    let second = page(&store, &ana, 2, Some(&first)).await;
    assert_eq!(rooms(&second), ["room-2"]);
    let third = page(&store, &ana, 2, Some(&second)).await;
    assert_eq!(rooms(&third), ["room-1", "room-0"]);
    assert_eq!(third.next_cursor, None);
}

async fn documents_of_other_teams_are_not_listed(home: Home) {
    let (store, ana) = (home.open().await, viewer(&[]).await);
    let theirs = DocumentKey {
        team: Team::parse("rival").expect("a team"),
        ..key("theirs")
    };
    create(&store, &theirs, 1).await;
    assert_eq!(page(&store, &ana, 9, None).await.documents, []);
    create(&store, &key("ours"), 0).await;
    assert_eq!(rooms(&page(&store, &ana, 9, None).await), ["ours"]);
}

async fn documents_of_the_first_schema_count_as_written_when_created(home: Home) {
    let store = home.open().await;
    create(&store, &key("old"), 7).await;
    close(store).await;
    home.run("alter table document drop column updated_at")
        .await;
    home.run("delete from _sqlx_migrations where version = 2")
        .await;
    let listed = page(&home.open().await, &viewer(&[]).await, 9, None).await;
    assert_eq!(
        listed.documents[0].document.metadata.updated_at,
        Timestamp(THEN.0 + 7)
    );
}

/// An index that contains `updated_at` would have to be changed by every batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_updates_the_time_of_the_last_change_in_place() {
    let home = Home::postgres().await;
    let store = home.open().await;
    let document = create(&store, &key("a"), 0).await;
    for _ in 0..200 {
        let written = append(&store, document, &[b"x"]).await;
        written.expect("answered").expect("written");
    }
    close(store).await;
    let counted = async |what: &str| {
        let sql = format!("select {what} from pg_stat_user_tables where relname = 'document'");
        home.number(&sql).await
    };
    // A connection reports its statistics when it ends, which may be a moment later.
    let deadline = Instant::now() + Duration::from_secs(20);
    while counted("n_tup_upd").await < 200 {
        assert!(Instant::now() < deadline, "the statistics do not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let in_place = counted("n_tup_hot_upd").await;
    assert!(in_place >= 190, "{in_place} of 200");
}
