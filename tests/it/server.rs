//! The whole server on a free port, and a Socket.IO client over polling that is written by hand.

#![expect(
    clippy::unwrap_used,
    reason = "the location of a failed unwrap explains the failure"
)]

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use realtime_server::{
    app::{App, Stopped},
    auth::{MintRequest, mint},
    config::Config,
    id::Timestamp,
    metrics::Metrics,
    store::Store,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// A running server.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) metrics: Metrics,
    pub(crate) store: Store,
    config: Config,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<realtime_server::error::Result<Stopped>>,
}

impl Server {
    /// Starts one on the database at `url`.
    pub(crate) async fn start(url: &str) -> Self {
        Self::start_as(Config::development(url, SECRET)).await
    }

    /// Starts one that commits once a second.
    pub(crate) async fn start_slow(url: &str) -> Self {
        let mut config = Config::development(url, SECRET);
        config.timing.commit_interval_ms = 1000;
        config.timing.commit_interval_min_ms = 1000;
        Self::start_as(config).await
    }

    /// Starts one whose rooms gather updates for a second.
    pub(crate) async fn start_gathering(url: &str) -> Self {
        let mut config = Config::development(url, SECRET);
        config.timing.relay_tick_ms = 1000;
        Self::start_as(config).await
    }

    async fn start_as(config: Config) -> Self {
        let metrics = Metrics::new();
        let app = App::build(config.clone(), metrics.clone()).await.unwrap();
        let store = app.store().clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(app.serve(listener, async {
            // Dropping the `Server` also stops it.
            let _ = stopped.await;
        }));
        Self {
            port,
            metrics,
            store,
            config,
            stop,
            serving,
        }
    }

    /// A token for an editor of the team "acme".
    pub(crate) fn token(&self, user: &str) -> String {
        self.token_of(user, "acme", &[])
    }

    /// A token for an editor of `team`, with grants for `documents`.
    pub(crate) fn token_of(&self, user: &str, team: &str, documents: &[(&str, &str)]) -> String {
        let documents = documents.iter();
        let documents = documents.map(|(name, grant)| (name.to_string(), grant.to_string()));
        let request = MintRequest {
            user: user.into(),
            name: None,
            team: Some(team.into()),
            roles: vec!["editor".into()],
            documents: documents.collect(),
            ttl_seconds: 60,
        };
        mint(&self.config.auth, &request, Timestamp::now().seconds()).unwrap()
    }

    /// The JSON of `/health`, and its status.
    pub(crate) async fn health(&self) -> (u16, serde_json::Value) {
        let (status, body) = get(self.port, "/health").await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Sends an update by HTTP. Returns the status of the answer.
    pub(crate) fn post(&self, room: &str, update: &[u8]) -> JoinHandle<u16> {
        let token = self.token("poster");
        let path = format!("/api/v1/documents/{room}/updates");
        let headers =
            format!("authorization: Bearer {token}\r\ncontent-type: application/octet-stream\r\n");
        let (port, update) = (self.port, update.to_owned());
        tokio::spawn(async move { request(port, "POST", &path, &headers, &update).await.0 })
    }

    /// Whether this number of panics of `task` is counted.
    pub(crate) fn has_counted(&self, task: &str, panics: u32) -> bool {
        self.has_measured(&format!(
            "realtime_task_panics_total{{task=\"{task}\"}} {panics}"
        ))
    }

    /// Whether its metrics contain `line`.
    pub(crate) fn has_measured(&self, line: &str) -> bool {
        self.metrics
            .render()
            .lines()
            .any(|measured| measured == line)
    }

    /// Asks it to stop, without waiting.
    pub(crate) fn ask_to_stop(self) -> JoinHandle<realtime_server::error::Result<Stopped>> {
        self.stop.send(()).unwrap();
        self.serving
    }

    /// Waits until the server has stopped by itself.
    pub(crate) async fn ended(self) -> Stopped {
        let Self { stop, serving, .. } = self;
        let stopped = serving.await.unwrap().unwrap();
        drop(stop);
        stopped
    }
}

/// A Socket.IO client over polling, with a session.
pub(crate) struct Client {
    port: u16,
    path: String,
}

impl Client {
    /// Opens a connection; there is no session yet.
    pub(crate) async fn open(server: &Server) -> Self {
        let (_, opened) = get(server.port, POLLING).await;
        let opened: serde_json::Value = serde_json::from_str(&opened[1..]).unwrap();
        Self {
            port: server.port,
            path: format!("{POLLING}&sid={}", opened["sid"].as_str().unwrap()),
        }
    }

    /// Opens a connection and begins a session.
    pub(crate) async fn connect(server: &Server, user: &str) -> Self {
        Self::connect_with(server, &server.token(user)).await
    }

    /// Opens a connection and begins a session with `token`.
    pub(crate) async fn connect_with(server: &Server, token: &str) -> Self {
        let client = Self::open(server).await;
        client.begin(token).await;
        client.reads("42[\"connection\"").await;
        client
    }

    /// Asks for a session.
    pub(crate) async fn begin(&self, token: &str) {
        self.send(&format!("40{{\"token\":\"{token}\"}}")).await;
    }

    /// Joins `room`, which is created if it does not exist.
    pub(crate) async fn join(&self, room: &str) {
        self.send(&format!("421[\"join_room\",\"{room}\"]")).await;
        // The answer has the state as an attachment.
        self.reads("-1[{\"ok\":true").await;
    }

    /// Sends `update` and asks for an ack with the number `ack`.
    pub(crate) async fn edit(&self, room: &str, update: &[u8], ack: u32) {
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        let event = format!(r#"["document_update",{{"room":"{room}","update":{placeholder}}}]"#);
        let bytes = STANDARD.encode(update);
        self.send(&format!("451-{ack}{event}\x1eb{bytes}")).await;
    }

    /// Closes the connection.
    pub(crate) async fn close(&self) {
        self.send("1").await;
    }

    /// The packets that are queued for this client, or the next ones; empty if the connection is
    /// closed.
    pub(crate) async fn poll(&self) -> String {
        match get(self.port, &self.path).await {
            (200, packets) => packets,
            _ => String::new(),
        }
    }

    /// All packets until the connection is closed, each answer followed by a space.
    pub(crate) async fn read_to_end(&self) -> String {
        let (mut heard, mut packets) = (String::new(), self.poll().await);
        while !packets.is_empty() {
            heard.push_str(&packets);
            heard.push(' ');
            packets = self.poll().await;
        }
        heard
    }

    /// Reads until `words` come; returns all that was read.
    pub(crate) async fn reads(&self, words: &str) -> String {
        let mut read = String::new();
        while !read.contains(words) {
            let packets = self.poll().await;
            assert_ne!(packets, "", "the connection is gone");
            read.push_str(&packets);
        }
        read
    }

    /// Reads everything that the server has sent before it answers a request that is made now.
    pub(crate) async fn reads_to_now(&self) -> String {
        self.send(r#"42999["nothing",{}]"#).await;
        self.reads("43999[").await
    }

    /// Sends packets as they are.
    pub(crate) async fn send(&self, packets: &str) {
        let headers = "content-type: text/plain;charset=UTF-8\r\n";
        request(self.port, "POST", &self.path, headers, packets.as_bytes()).await;
    }
}

/// The status and the body of `path` at a server on `port`.
pub(crate) async fn get(port: u16, path: &str) -> (u16, String) {
    request(port, "GET", path, "", b"").await
}

async fn request(port: u16, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = String::new();
    // An answer that breaks off is parsed as far as it came.
    let _ = stream.read_to_string(&mut answer).await;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return (0, String::new());
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Waits until `condition` holds, for thirty seconds at most: enough for a slow machine.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
