//! A body that is posted to a connection that polls, received by an engine and read by the specification. The fuzz
//! target `polling` uses it as well.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use engineio::{
    Answer, Busy, Carrier, Connection, Door, Engine, Message, Options, Reason, message_text,
};
use http::{Extensions, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tower::Service;

/// The largest body that is accepted.
const PAYLOAD_BYTES_MAX: usize = 4000;
const SEPARATOR: char = '\x1e';

/// What the door received.
#[derive(Debug, PartialEq, Eq)]
enum Received {
    Text(String),
    Binary(Vec<u8>),
    Closed,
}

/// Notes what it receives, and sends it back.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Received>>>);

impl Door for Recorder {
    type Data = ();

    fn admit(&self, _: Carrier, _: &Extensions) -> Result<(), Box<Answer>> {
        Ok(())
    }

    fn opened(&self, _: &Arc<Connection<()>>) {}

    fn upgraded(&self, _: &Arc<Connection<()>>) {}

    fn text(&self, text: &str, connection: &Arc<Connection<()>>) {
        self.0.lock().push(Received::Text(text.to_owned()));
        let mut echo = message_text(text.len());
        echo.push_str(text);
        connection.send(Message::new(echo, []));
    }

    fn binary(&self, bytes: Bytes, connection: &Arc<Connection<()>>) {
        self.0.lock().push(Received::Binary(bytes.to_vec()));
        connection.send(Message::binary(bytes));
    }

    fn knows(&self, _: &Arc<Connection<()>>) -> bool {
        true
    }

    fn busy(&self, _: &Arc<Connection<()>>) -> Option<Busy> {
        None
    }

    fn spawn(
        &self,
        _: Option<&Connection<Self::Data>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        tokio::spawn(task);
    }

    fn closed(&self, _: &Arc<Connection<()>>, _: Reason) {
        self.0.lock().push(Received::Closed);
    }
}

/// How a body ends the connection.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It does not.
    Open,
    /// By a close packet.
    Closed,
    /// By something that is no packet.
    Malformed,
}

/// The packets of `body`, up to the one that ends the connection.
fn read(body: &[u8]) -> (Vec<Received>, End) {
    let mut received = Vec::new();
    let Ok(body) = str::from_utf8(body) else {
        return (received, End::Malformed);
    };
    for packet in body.split(SEPARATOR) {
        if let Some(text) = packet.strip_prefix('4') {
            received.push(Received::Text(text.to_owned()));
        } else if let Some(encoded) = packet.strip_prefix('b') {
            let Ok(bytes) = STANDARD.decode(encoded) else {
                return (received, End::Malformed);
            };
            received.push(Received::Binary(bytes));
        } else if packet.starts_with('1') {
            return (received, End::Closed);
        } else if !packet.starts_with('3') {
            return (received, End::Malformed);
        }
    }
    (received, End::Open)
}

async fn request(
    engine: &mut Engine<Recorder>,
    method: &str,
    query: &str,
    body: &[u8],
) -> (StatusCode, Bytes) {
    let uri = format!("/?EIO=4&transport=polling{query}");
    let body = Full::new(Bytes::copy_from_slice(body));
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .body(body)
        .expect("a request");
    let Ok(answer): Result<Response<_>, _> = engine.call(request).await;
    let status = answer.status();
    let Ok(body) = answer.into_body().collect().await;
    (status, body.to_bytes())
}

async fn converse(input: &[u8]) {
    let recorder = Recorder::default();
    let options = Options {
        payload_bytes_max: PAYLOAD_BYTES_MAX,
        ..Options::default()
    };
    let mut engine = Engine::new(recorder.clone(), options);
    let (_, handshake) = request(&mut engine, "GET", "", b"").await;
    let handshake = str::from_utf8(&handshake).expect("a text");
    let query = format!("&sid={}", handshake.split('"').nth(3).expect("an id"));
    let (status, _) = request(&mut engine, "POST", &query, input).await;
    let (expected, end) = read(input);
    if input.len() > PAYLOAD_BYTES_MAX {
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        return;
    }
    match end {
        End::Malformed => assert_eq!(status, StatusCode::BAD_REQUEST),
        End::Open | End::Closed => assert_eq!(status, StatusCode::OK),
    }
    let messages: Vec<Received> = recorder
        .0
        .lock()
        .drain(..)
        .filter(|it| *it != Received::Closed)
        .collect();
    assert_eq!(messages, expected);
    if end == End::Open && !messages.is_empty() {
        // The echo is what a poll brings, in order.
        let mut echoed = Vec::new();
        while echoed.len() < messages.len() {
            let (status, body) = request(&mut engine, "GET", &query, b"").await;
            assert_eq!(status, StatusCode::OK);
            let (more, end) = read(&body);
            assert_eq!(end, End::Open);
            echoed.extend(more);
        }
        assert_eq!(echoed, messages);
    }
    if end == End::Open {
        // Nothing is left, so a poll waits.
        let poll = pin!(request(&mut engine, "GET", &query, b""))
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(poll, Poll::Pending));
    }
}

/// Posts `input` to a new connection, and compares what the engine receives and sends with the specification.
pub fn compare(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(converse(input));
}
