//! The effect of a task's panic on the rest of the server.

#![expect(
    clippy::unwrap_used,
    reason = "the location of a failed unwrap explains the failure"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode, jwk::Jwk};
use realtime_server::{
    auth::Verifier,
    config::{Auth, ClaimNames, SigningKey},
    exit::Exit,
    id::Timestamp,
    metrics::Metrics,
    supervise::{Supervisor, Task},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    rooms::written,
    server::{Client, Server, get, until},
    store::Home,
    tripwire::Tripwire,
};

#[test]
fn the_server_stops_in_order_when_the_log_writer_panics() {
    let (home, tripwire) = (Home::sqlite(), Tripwire::at("commit"));
    let wire = tripwire.clone();
    tripwire.run(async move {
        let server = Server::start(home.url()).await;
        assert_eq!(
            server.post("doc", &written(1, "a", "kept")).await.unwrap(),
            200
        );
        let client = Client::connect(&server, "ana").await;
        client.join("doc").await;
        wire.arm();
        let began = Instant::now();
        client.edit("doc", &written(2, "b", "lost"), 7).await;
        until("the writer panics", || server.has_counted("log_writer", 1)).await;

        // At once, because the server has ended in half a second.
        let ((status, health), ready, live, late) = tokio::join!(
            server.health(),
            get(server.port, "/health/ready"),
            get(server.port, "/health/live"),
            server.post("doc", &written(3, "c", "late")),
        );
        assert_eq!((status, &health["status"]), (503, &"unavailable".into()));
        assert_eq!(health["dependencies"]["storage"], "unavailable");
        assert!(
            health["hint"].as_str().unwrap().contains("task"),
            "{health}"
        );
        let (status, ready) = ready;
        assert!(status == 503 && ready.contains("draining"), "{ready}");
        assert_eq!(live.0, 200);
        assert_eq!(late.unwrap(), 503, "no update is accepted any more");

        let heard = client.read_to_end().await;
        assert!(!heard.contains("437["), "it was acknowledged: {heard}");
        assert!(heard.ends_with("1 "), "the transport was closed: {heard}");
        let stopped = server.ended().await;
        assert_eq!(stopped.lost, Some(Task::LogWriter));
        assert_eq!(stopped.exit(), Exit::TaskDied);
        assert_eq!(stopped.unwritten.updates, 1);
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(home.number("select count(*) from document_log").await, 1);
    });
}

#[test]
fn a_log_writer_that_panics_during_a_stop_does_not_delay_it() {
    let (home, tripwire) = (Home::sqlite(), Tripwire::at("commit"));
    let wire = tripwire.clone();
    tripwire.run(async move {
        let server = Server::start_slow(home.url()).await;
        assert_eq!(
            server.post("doc", &written(1, "a", "kept")).await.unwrap(),
            200
        );
        wire.arm();
        let posted = server.post("doc", &written(2, "b", "lost"));
        let accepted = || server.has_measured("realtime_updates_accepted_total 2");
        until("it is accepted", accepted).await;
        let began = Instant::now();
        assert!(wire.is_armed(), "it is not written yet");
        let stopped = server.ask_to_stop().await.unwrap().unwrap();
        assert!(!wire.is_armed(), "the writer has panicked");
        assert_eq!(stopped.exit(), Exit::TaskDied);
        assert_eq!(posted.await.unwrap(), 503);
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
    });
}

#[test]
fn a_request_whose_update_cannot_become_durable_is_refused() {
    let (home, tripwire) = (Home::sqlite(), Tripwire::at("commit"));
    let wire = tripwire.clone();
    tripwire.run(async move {
        let server = Server::start(home.url()).await;
        wire.arm();
        let posted = server.post("doc", &written(1, "a", "lost")).await.unwrap();
        assert_eq!(posted, 503);
        assert_eq!(server.ended().await.exit(), Exit::TaskDied);
    });
}

#[test]
fn a_panic_at_the_end_of_a_connection_is_counted_and_other_connections_continue() {
    let (home, tripwire) = (Home::sqlite(), Tripwire::at("connection closed"));
    let wire = tripwire.clone();
    tripwire.run(async move {
        let server = Server::start(home.url()).await;
        let (ana, ben) = (
            Client::open(&server).await,
            Client::connect(&server, "ben").await,
        );
        wire.arm();
        ana.close().await;
        // The request that closes it ends it.
        until("its end panics", || server.has_counted("http_request", 1)).await;
        ben.join("doc").await;
        ben.edit("doc", &written(2, "b", "kept"), 7).await;
        ben.reads("437[{\"ok\":true").await;
        assert_eq!(server.health().await.1["status"], "ok");
        let stopped = server.ask_to_stop().await.unwrap().unwrap();
        assert_eq!(stopped.exit(), Exit::Done);
    });
}

#[test]
fn a_request_that_panics_closes_only_its_own_connection() {
    let (home, tripwire) = (Home::sqlite(), Tripwire::at("session refused"));
    let wire = tripwire.clone();
    tripwire.run(async move {
        let server = Server::start(home.url()).await;
        let (ana, ben) = (
            Client::open(&server).await,
            Client::connect(&server, "ben").await,
        );
        wire.arm();
        ana.begin("no token").await;
        while !ana.poll().await.is_empty() {}
        assert!(server.has_counted("connection", 1));
        ben.join("doc").await;
        assert_eq!(server.health().await.1["connections"], 1);
        let stopped = server.ask_to_stop().await.unwrap().unwrap();
        assert_eq!(stopped.exit(), Exit::Done);
    });
}

#[test]
fn a_session_that_panics_while_it_begins_is_forgotten_and_closes_only_its_own_connection() {
    let (home, tripwire) = (Home::sqlite(), Tripwire::at("session began"));
    let wire = tripwire.clone();
    tripwire.run(async move {
        let server = Server::start(home.url()).await;
        let (ana, ben) = (
            Client::open(&server).await,
            Client::connect(&server, "ben").await,
        );
        wire.arm();
        ana.begin(&server.token("ana")).await;
        while !ana.poll().await.is_empty() {}
        until("the panic is counted", || {
            server.has_counted("handshake", 1)
        })
        .await;
        ben.join("doc").await;
        assert_eq!(server.health().await.1["connections"], 1);
        let stopped = server.ask_to_stop().await.unwrap().unwrap();
        assert_eq!(stopped.exit(), Exit::Done);
    });
}

#[test]
fn an_http_request_that_panics_is_answered_and_counted() {
    let (home, tripwire) = (Home::sqlite(), Tripwire::at("http request"));
    let wire = tripwire.clone();
    tripwire.run(async move {
        let server = Server::start(home.url()).await;
        wire.arm();
        let (status, body) = get(server.port, "/health/live").await;
        assert!(status == 500 && body.contains("internal"), "{body}");
        assert!(server.has_counted("http_request", 1));
        assert_eq!(get(server.port, "/health/live").await.0, 200);
        let stopped = server.ask_to_stop().await.unwrap().unwrap();
        assert_eq!(stopped.exit(), Exit::Done);
    });
}

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../../src/auth/test_keys/ed25519.", $name, ".pem"))
    };
}

/// The URL of a server that publishes one key with the id `a`, and the number of its requests.
async fn publisher() -> (String, Arc<AtomicUsize>) {
    // Another test may have installed the provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let key = DecodingKey::from_ed_pem(pem!("public")).unwrap();
    let mut key = json!(Jwk::from_decoding_key(&key, None).unwrap());
    key["kid"] = json!("a");
    let body = json!({ "keys": [key] }).to_string();
    let length = body.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let fetches = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&fetches);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, fetches)
}

#[test]
fn keys_are_fetched_again_after_a_fetch_that_panicked() {
    let tripwire = Tripwire::at("fetched the JWKS");
    let wire = tripwire.clone();
    tripwire.run(async move {
        let (url, fetches) = publisher().await;
        let auth = Auth {
            key: SigningKey::Jwks { url },
            algorithm: None,
            issuer: None,
            audience: None,
            leeway_ms: 0,
            lifetime_max_ms: 86_400_000,
            validation: None,
            private_http: realtime_server::config::PrivateAddresses::Refused,
            claims: ClaimNames::default(),
        };
        let metrics = Metrics::new();
        wire.arm();
        let verifier = Verifier::new(&auth, &Supervisor::new(metrics.clone())).await;
        let verifier = verifier.unwrap();
        let counted = "realtime_task_panics_total{task=\"key_fetch\"} 1";
        assert!(metrics.render().lines().any(|line| line == counted));

        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("a".into());
        let payload = json!({ "sub": "ana", "exp": Timestamp::now().seconds() + 60 });
        let key = EncodingKey::from_ed_pem(pem!("private")).unwrap();
        let token = encode(&header, &payload, &key).unwrap();
        let early = verifier.verify(&token).await.unwrap_err();
        assert_eq!(early.code(), "overloaded", "the fetch brought no keys");
        // While there are no keys, they are fetched every five seconds.
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(
            verifier.verify(&token).await.unwrap().user.id.as_str(),
            "ana"
        );
        assert_eq!(fetches.load(Ordering::SeqCst), 2);
    });
}
