//! Deleted documents are kept for 30 days, and then leave nothing behind.

use std::time::Duration;

use bytes::Bytes;
use realtime_server::id::{Seq, Timestamp};
use tokio::time::Instant;

use super::{Home, append, close, create, on_both};

on_both!(a_document_is_deleted_for_good_after_thirty_days_and_not_before);

async fn a_document_is_deleted_for_good_after_thirty_days_and_not_before(home: Home) {
    let store = home.open().await;
    let mut ids = Vec::new();
    for room in ["old", "young", "live"] {
        let document = create(&store, room).await;
        // More rows than one statement deletes.
        let rows: Vec<&[u8]> = vec![b"row"; 500];
        append(&store, document, &rows).await.unwrap().unwrap();
        let state = Bytes::from_static(b"state");
        store.put_snapshot(document, Seq(400), state).await.unwrap();
        ids.push(document);
    }
    close(store).await;
    for (document, days) in [(ids[0], 31), (ids[1], 29)] {
        let deleted_at = Timestamp(Timestamp::now().0 - days * 24 * 3_600_000);
        let deleted_at = home.time(deleted_at);
        home.run(&format!(
            "update document set deleted_at = {deleted_at}, trash_team = team, trash_room = room,
             team = '', room = document_id where document_id = '{document}'"
        ))
        .await;
    }

    let store = home.open().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while home.number("select count(*) from document").await > 2 {
        assert!(Instant::now() < deadline, "the old one stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let old = ids[0];
    for table in ["document", "update_log", "snapshot"] {
        let left = format!("select count(*) from {table} where document_id = '{old}'");
        assert_eq!(home.number(&left).await, 0, "{table}");
        for kept in &ids[1..] {
            let kept = format!("select count(*) from {table} where document_id = '{kept}'");
            assert!(home.number(&kept).await > 0, "{table}");
        }
    }
    assert!(close(store).await.is_empty());
}
