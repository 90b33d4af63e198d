//! Operators see that documents are damaged, and where to look.

use realtime_server::{app::App, config::Config, metrics::Metrics};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::{Home, append, close, create, on_both};

on_both!(damaged_documents_degrade_health_but_not_readiness);

/// The status and the body of `path` at a server on `port`.
async fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

async fn health(port: u16) -> (u16, serde_json::Value) {
    let (status, body) = get(port, "/health").await;
    (status, serde_json::from_str(&body).unwrap())
}

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

    let config = Config::development(&home.url, "a-secret-of-the-tests-that-is-long-enough");
    let app = App::build(config, Metrics::new()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(app.serve(listener, async {
        let _ = stopped.await;
    }));
    let (status, body) = health(port).await;
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
    let (status, body) = health(port).await;
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
    assert_eq!(health(port).await.1["status"], "ok");
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
