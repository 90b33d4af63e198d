//! The contract of documents and their log.

use std::collections::HashSet;

use bytes::Bytes;
use realtime_server::{
    error::Error,
    id::{DocumentId, DocumentKey, Seq, Team, Timestamp},
    metrics::Metrics,
    store::{AppendError, Availability, NewRows, Store, Unwritten, migrate},
};
use tokio::task::JoinSet;

use super::{Home, MIB, append, close, create, journal, key, on_both, supervisor};

on_both!(
    concurrent_calls_create_a_document_once,
    appends_get_positions_in_the_order_of_the_calls,
    one_batch_writes_many_documents,
    concurrent_appends_leave_no_gaps,
    appended_rows_are_loaded_unchanged,
    appends_to_a_deleted_document_affect_no_other,
    a_refused_append_affects_no_other_document,
    a_full_journal_refuses_reservations,
    a_completion_that_panics_affects_no_other,
    a_second_migration_changes_nothing,
    acknowledged_rows_exist_after_a_restart,
    closing_writes_all_queued_appends,
);

async fn concurrent_calls_create_a_document_once(home: Home) {
    let store = home.open().await;
    assert_eq!(store.find_document(&key("a")).await.unwrap(), None);
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        tasks.spawn(async move { create(&store, "a").await });
    }
    let ids: HashSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    let found = store.find_document(&key("a")).await.unwrap().unwrap();
    assert!(ids.contains(&found.id()));
    assert_eq!(found.head_seq, Seq(0));
    let age_ms = Timestamp::now().0 - found.metadata.created_at.0;
    assert!((0..60_000).contains(&age_ms), "{age_ms}");

    let of_other_team = DocumentKey {
        team: Team::parse("other").unwrap(),
        ..key("a")
    };
    assert_eq!(store.find_document(&of_other_team).await.unwrap(), None);
    store.ping().await.unwrap();
    assert!(close(store).await.is_empty());
}

async fn appends_get_positions_in_the_order_of_the_calls(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    let answers = [
        append(&store, document, &[b"one"]),
        append(&store, document, &[b"two", b"three"]),
        append(&store, document, &[]),
        append(&store, document, &[b"four"]),
    ];
    let mut seqs = Vec::new();
    for answer in answers {
        seqs.push(answer.await.unwrap().unwrap().0);
    }
    assert_eq!(seqs, [1, 3, 3, 4]);
    assert_eq!(append(&store, document, &[]).await.unwrap(), Ok(Seq(4)));
    let loaded = store.load(document).await.unwrap();
    let payloads: Vec<_> = loaded
        .updates
        .iter()
        .map(|(seq, bytes)| (seq.0, &bytes[..]))
        .collect();
    assert_eq!(
        payloads,
        [(1, &b"one"[..]), (2, b"two"), (3, b"three"), (4, b"four")]
    );
    assert_eq!(loaded.head_seq, Seq(4));
    home.moved().await;
    assert_eq!(
        store
            .find_document(&key("a"))
            .await
            .unwrap()
            .unwrap()
            .head_seq,
        Seq(4)
    );
    assert_eq!(store.log().journal_bytes(), 0);
}

async fn one_batch_writes_many_documents(home: Home) {
    let store = home.open().await;
    let mut documents = Vec::new();
    for room in 0..300 {
        documents.push(create(&store, &format!("room-{room}")).await);
    }
    let mut answers = Vec::new();
    for round in 1..=20 {
        for &document in &documents {
            let payload = format!("{round} of {document}");
            answers.push((round, append(&store, document, &[payload.as_bytes()])));
        }
    }
    for (round, answer) in answers {
        assert_eq!(answer.await.unwrap(), Ok(Seq(round)));
    }
    for document in documents {
        let loaded = store.load(document).await.unwrap();
        assert_eq!(loaded.updates.len(), 20);
        for (seq, payload) in loaded.updates {
            assert_eq!(payload, format!("{} of {document}", seq.0));
        }
    }
}

async fn concurrent_appends_leave_no_gaps(home: Home) {
    let first = home.open().await;
    // Several servers may share a Postgres; a SQLite file has one.
    let second = if home.is_sqlite() {
        first.clone()
    } else {
        home.open().await
    };
    let mut documents = Vec::new();
    for room in 0..8 {
        documents.push(create(&first, &format!("room-{room}")).await);
    }
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = if writer % 2 == 0 {
            first.clone()
        } else {
            second.clone()
        };
        let mut documents = documents.clone();
        documents.rotate_left(writer % 8);
        writers.spawn(async move {
            for round in 0..30 {
                let answers: Vec<_> = documents
                    .iter()
                    .map(|&document| append(&store, document, &[&[writer as u8, round]]))
                    .collect();
                for answer in answers {
                    answer.await.unwrap().unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    for document in documents {
        let loaded = first.load(document).await.unwrap();
        let seqs: Vec<_> = loaded.updates.iter().map(|(seq, _)| seq.0).collect();
        assert_eq!(seqs, (1..=480).collect::<Vec<_>>());
        for writer in 0..16 {
            let rounds = loaded
                .updates
                .iter()
                .filter(|(_, payload)| payload[0] == writer);
            let rounds: Vec<_> = rounds.map(|(_, payload)| payload[1]).collect();
            assert_eq!(rounds, (0..30).collect::<Vec<_>>(), "in order");
        }
    }
}

async fn appended_rows_are_loaded_unchanged(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    let large: Vec<u8> = (0..2 * MIB).map(|byte| (byte * 31 % 251) as u8).collect();
    let many: Vec<Vec<u8>> = (0..10_000_u32)
        .map(|number| number.to_be_bytes().to_vec())
        .collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    assert_eq!(
        append(&store, document, &[&large]).await.unwrap(),
        Ok(Seq(1))
    );
    assert_eq!(
        append(&store, document, &many).await.unwrap(),
        Ok(Seq(10_001))
    );
    let eight: Vec<_> = (0..8)
        .map(|_| append(&store, document, &[&large]))
        .collect();
    for answer in eight {
        answer.await.unwrap().unwrap();
    }
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.updates.len(), 10_009);
    assert_eq!(loaded.updates[0].1, large);
    assert_eq!(loaded.updates[10_008].1, large);
    assert_eq!(loaded.updates[5_000].1[..], 4_999_u32.to_be_bytes());
    let unknown = store.load(DocumentId::generate()).await;
    assert_eq!(unknown, Err(Error::NotFound { what: "document" }));
}

async fn appends_to_a_deleted_document_affect_no_other(home: Home) {
    let store = home.open().await;
    let (deleted, other) = (
        create(&store, "deleted").await,
        create(&store, "other").await,
    );
    append(&store, deleted, &[b"x"]).await.unwrap().unwrap();
    store
        .put_snapshot(deleted, Seq(1), Bytes::from_static(b"state"))
        .await
        .unwrap();
    home.run(&format!(
        "delete from document where document_id = '{deleted}'"
    ))
    .await;
    let answers = [
        append(&store, deleted, &[b"y"]),
        append(&store, other, &[b"z"]),
        append(&store, DocumentId::generate(), &[b"z"]),
        append(&store, deleted, &[]),
        append(&store, other, &[b"z"]),
    ];
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap());
    }
    let gone = Err(AppendError::Gone);
    assert_eq!(outcomes, [gone, Ok(Seq(1)), gone, gone, Ok(Seq(2))]);
    let not_found = Error::NotFound { what: "document" };
    assert_eq!(store.load(deleted).await, Err(not_found.clone()));
    let late = store
        .put_snapshot(deleted, Seq(2), Bytes::from_static(b"state"))
        .await;
    assert_eq!(late, Err(not_found));
    assert_ne!(create(&store, "deleted").await, deleted);
    assert_eq!(*store.log().availability().borrow(), Availability::Ok);
}

async fn a_refused_append_affects_no_other_document(home: Home) {
    let store = home.open().await;
    let (refused, other) = (
        create(&store, "refused").await,
        create(&store, "other").await,
    );
    home.forbid_seven_bytes().await;
    let answers = [
        append(&store, other, &[b"one"]),
        append(&store, refused, &[b"is bad."]),
        append(&store, other, &[b"two"]),
    ];
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap());
    }
    assert!(matches!(outcomes[1], Err(AppendError::Refused { .. })));
    assert_eq!((outcomes[0], outcomes[2]), (Ok(Seq(1)), Ok(Seq(2))));
    assert_eq!(
        append(&store, refused, &[b"good"]).await.unwrap(),
        Ok(Seq(1))
    );
    assert_eq!(store.log().journal_bytes(), 0);
    assert_eq!(*store.log().availability().borrow(), Availability::Ok);
}

async fn a_full_journal_refuses_reservations(home: Home) {
    let store = Store::open(&home.url, journal(10_000), Metrics::new(), &supervisor())
        .await
        .unwrap();
    let document = create(&store, "a").await;
    let held: Vec<_> = (0..4)
        .map(|_| store.log().reserve(2_000).unwrap())
        .collect();
    assert!(store.log().reserve(2_000).is_none());
    drop(held);
    for _ in 0..20 {
        append(&store, document, &[&[7; 9_000]])
            .await
            .unwrap()
            .unwrap();
    }
}

async fn a_completion_that_panics_affects_no_other(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    store.log().append(
        document,
        NewRows::default(),
        Box::new(|_| panic!("injected")),
    );
    assert_eq!(append(&store, document, &[b"x"]).await.unwrap(), Ok(Seq(1)));
}

async fn a_second_migration_changes_nothing(home: Home) {
    migrate(&home.url).await.unwrap();
    if !home.is_sqlite() {
        let (one, other) = tokio::join!(migrate(&home.url), migrate(&home.url));
        one.and(other).unwrap();
    }
    let store = home.open().await;
    let document = create(&store, "a").await;
    close(store).await;
    migrate(&home.url).await.unwrap();
    assert_eq!(create(&home.open().await, "a").await, document);
}

async fn acknowledged_rows_exist_after_a_restart(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    append(&store, document, &[b"kept"]).await.unwrap().unwrap();
    drop(store); // As in a crash, nothing is closed.
    let store = loop {
        match Store::open(&home.url, journal(MIB), Metrics::new(), &supervisor()).await {
            Ok(store) => break store,
            // The last task of the dropped store unlocks the file.
            Err(Error::Conflict { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(store.load(document).await.unwrap().updates[0].1, "kept");
}

async fn closing_writes_all_queued_appends(home: Home) {
    let store = home.open().await;
    let document = create(&store, "a").await;
    let answers: Vec<_> = (0..500)
        .map(|_| append(&store, document, &[&[1; 100]]))
        .collect();
    assert_eq!(close(store.clone()).await, Unwritten::default());
    for mut answer in answers {
        assert!(answer.try_recv().unwrap().is_ok());
    }
    assert_eq!(store.ping().await, Err(Error::StorageUnavailable));
    assert_eq!(
        home.open().await.load(document).await.unwrap().head_seq,
        Seq(500)
    );
}

#[tokio::test]
async fn a_second_server_on_a_sqlite_file_is_refused() {
    let home = Home::sqlite();
    let store = home.open().await;
    let second = Store::open(&home.url, journal(MIB), Metrics::new(), &supervisor()).await;
    assert_eq!(second.unwrap_err().code(), "conflict");
    assert_eq!(migrate(&home.url).await.unwrap_err().code(), "conflict");
    close(store).await;
    home.open().await.ping().await.unwrap();
}

#[tokio::test]
async fn addresses_that_cannot_work_are_refused() {
    let file = "mysql://localhost/x";
    for url in [
        "",
        file,
        "sqlite::memory:",
        "sqlite://x?mode=memory",
        "postgres://[::1",
        "data.db",
    ] {
        let error = Store::open(url, journal(MIB), Metrics::new(), &supervisor())
            .await
            .unwrap_err();
        assert_eq!(error.field(), Some("DATABASE_URL"), "{url}");
    }
    let unknown = crate::postgres::new_database()
        .await
        .replace("/test_", "/no_such_");
    let error = Store::open(&unknown, journal(MIB), Metrics::new(), &supervisor())
        .await
        .unwrap_err();
    assert_eq!(error.field(), Some("DATABASE_URL"));
}
