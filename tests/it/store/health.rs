//! Health checks report damaged documents and where to find them.

use super::{Home, append, close, create, on_both};
use crate::server::{Server, get};

on_both!(damaged_documents_degrade_health_but_not_readiness);

async fn damaged_documents_degrade_health_but_not_readiness(home: Home) {
    let store = home.open().await;
    for room in ["a", "b", "c"] {
        let document = create(&store, room).await;
        append(&store, document, &[b"x", b"y"])
            .await
            .unwrap()
            .unwrap();
    }
    close(store).await;

    let server = Server::start(&home.url).await;
    let port = server.port;
    let (status, body) = server.health().await;
    assert_eq!((status, &body["status"]), (200, &"ok".into()));
    assert_eq!(body["damaged_documents"], 0);
    assert_eq!(body.get("hint"), None);
    assert_eq!(get(port, "/health/ready").await, (200, "ready".into()));

    home.run(
        "insert into damaged_row (document_id, kind, seq, payload, checksum, found_at)
         select document_id, 'update', seq, payload, checksum, created_at
         from update_log join document using (document_id) where room <> 'c'",
    )
    .await;
    let (status, body) = server.health().await;
    assert_eq!((status, &body["status"]), (200, &"degraded".into()));
    assert_eq!(body["damaged_documents"], 2);
    assert!(body["hint"].as_str().unwrap().contains("damaged_row"));
    assert_eq!(body["dependencies"]["storage"], "ok");
    let (status, ready) = get(port, "/health/ready").await;
    assert_eq!(status, 200);
    assert!(
        ready.starts_with("degraded: 2 damaged documents"),
        "{ready}"
    );

    home.run("update damaged_row set repaired_at = found_at")
        .await;
    assert_eq!(server.health().await.1["status"], "ok");
    server.ask_to_stop().await.unwrap().unwrap();
}
