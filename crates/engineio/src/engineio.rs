//! Engine.IO, protocol 4: who may open a connection, and which request is for which one.
//!
//! Source: the Engine.IO protocol specification, revision 4, and what
//! engine.io 6.6 answers where the specification is silent.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use parking_lot::Mutex;

use super::{
    connection::{Carrier, Connection, Reason, Sid},
    link,
    message::{Message, Text},
    polling,
    upgrade::Upgrade,
};

/// The packet that closes.
pub(super) const CLOSE: &str = "1";
/// The packet that asks whether the peer is there.
pub(super) static PING: LazyLock<Message> = LazyLock::new(|| Message::text("2"));
/// The packet that says nothing: it only ends a poll.
pub(super) const NOOP: &str = "6";

/// An answer to a request.
pub(super) type Answer = Response<Full<Bytes>>;

/// Whoever takes the messages of Engine.IO connections.
///
/// Everything about one connection is called in order, never twice at once.
/// Nothing may block.
pub trait Door: Send + Sync + Sized + 'static {
    /// What it notes of a connection.
    type Data: Default + Send + Sync + 'static;

    /// A connection opened.
    fn opened(&self, connection: &Arc<Connection<Self::Data>>);

    /// It moved from polling to a WebSocket.
    fn upgraded(&self, connection: &Arc<Connection<Self::Data>>);

    /// It answered a [`ping`](Connection::ping), and none is unanswered any more: it has
    /// read everything that was sent before.
    fn heard(&self, _: &Arc<Connection<Self::Data>>) {}

    /// It brought a text.
    fn text(&self, text: &str, connection: &Arc<Connection<Self::Data>>);

    /// It brought bytes.
    fn binary(&self, bytes: Bytes, connection: &Arc<Connection<Self::Data>>);

    /// Whether a WebSocket may bring more at present. While not, it is not read
    /// from, and asked about once a millisecond.
    fn wants_more(&self, connection: &Arc<Connection<Self::Data>>) -> bool;

    /// Runs the task of a connection: whoever owns the door owns its tasks, and hears of
    /// one that panics. That ends its connection.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// It is over. Called once for each that opened.
    fn closed(&self, connection: &Arc<Connection<Self::Data>>, reason: Reason);
}

/// How connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// From one ping to the next.
    pub ping_interval: Duration,
    /// How long its answer may take.
    pub ping_timeout: Duration,
    /// How long moving to a WebSocket may take.
    pub upgrade_timeout: Duration,
    /// How many messages may wait for one connection.
    pub messages_max: usize,
    /// The largest message that a WebSocket may bring.
    pub message_bytes_max: usize,
    /// The largest body of a polling request, either way.
    pub payload_bytes_max: usize,
}

impl Default for Options {
    /// As engine.io has them.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            messages_max: 16_384,
            message_bytes_max: 1_000_000,
            payload_bytes_max: 1_000_000,
        }
    }
}

/// An Engine.IO server: a service for HTTP requests. Cheap to clone.
pub struct Engine<D: Door>(Arc<Shared<D>>);

/// What the connections of an engine share.
pub(super) struct Shared<D: Door> {
    pub(super) door: D,
    pub(super) options: Options,
    /// The connections that further requests may name: those that began with polling.
    named: Mutex<HashMap<Sid, Arc<Connection<D::Data>>>>,
}

/// A packet that a peer may send at any time.
pub(super) enum Packet<'a> {
    Close,
    Pong,
    Message(&'a str),
}

impl<'a> Packet<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'4' => Some(Packet::Message(&text[1..])),
            b'3' => Some(Packet::Pong),
            b'1' => Some(Packet::Close),
            _ => None,
        }
    }
}

/// The beginning of a message to an Engine.IO peer, with room for `capacity` bytes.
pub fn message_text(capacity: usize) -> Text {
    let mut text = Text::with_capacity(1 + capacity);
    text.push_str("4");
    text
}

/// Why a request is refused, as the specification numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TransportUnknown = 0,
    SessionUnknown = 1,
    BadHandshakeMethod = 2,
    BadRequest = 3,
    UnsupportedProtocol = 5,
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        let message = match self {
            Refusal::TransportUnknown => "Transport unknown",
            Refusal::SessionUnknown => "Session ID unknown",
            Refusal::BadHandshakeMethod => "Bad handshake method",
            Refusal::BadRequest => "Bad request",
            Refusal::UnsupportedProtocol => "Unsupported protocol version",
        };
        let body = format!("{{\"code\":{},\"message\":\"{message}\"}}", self as u8);
        answer(StatusCode::BAD_REQUEST, "application/json", body)
    }
}

pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What a request's query asks for.
struct Query<'a> {
    carrier: Carrier,
    sid: Option<&'a str>,
    protocol: Option<&'a str>,
}

impl<'a> Query<'a> {
    fn parse(query: &'a str) -> Result<Self, Refusal> {
        let find = |name| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find_map(|(key, value)| (key == name).then_some(value))
        };
        let carrier = match find("transport") {
            Some("polling") => Carrier::Polling,
            Some("websocket") => Carrier::Websocket,
            _ => return Err(Refusal::TransportUnknown),
        };
        Ok(Self {
            carrier,
            sid: find("sid"),
            protocol: find("EIO"),
        })
    }
}

impl<D: Door> Engine<D> {
    /// A server whose connections belong to `door`.
    pub fn new(door: D, options: Options) -> Self {
        Self(Arc::new(Shared {
            door,
            options,
            named: Mutex::default(),
        }))
    }

    /// Answers one request.
    async fn respond<B>(self, mut request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        let shared = self.0;
        let uri = request.uri().clone();
        let query = match Query::parse(uri.query().unwrap_or_default()) {
            Ok(query) => query,
            Err(refusal) => return refusal.answer(),
        };
        let Some(sid) = query.sid else {
            return shared.open(&query, &mut request);
        };
        let named = Sid::parse(sid).and_then(|sid| shared.named.lock().get(&sid).cloned());
        let Some(connection) = named else {
            return Refusal::SessionUnknown.answer();
        };
        let get = *request.method() == Method::GET;
        match (query.carrier, connection.carrier()) {
            (Carrier::Websocket, Carrier::Polling) => {
                link::upgrade(&shared, connection, &mut request)
            }
            (Carrier::Polling, Carrier::Polling) if get => polling::poll(&shared, connection).await,
            (Carrier::Polling, Carrier::Polling) if *request.method() == Method::POST => {
                polling::post(&shared, connection, request).await
            }
            _ => Refusal::BadRequest.answer(),
        }
    }
}

impl<D: Door> Shared<D> {
    fn open<B>(self: &Arc<Self>, query: &Query<'_>, request: &mut Request<B>) -> Answer {
        if *request.method() != Method::GET {
            return Refusal::BadHandshakeMethod.answer();
        }
        if query.protocol != Some("4") {
            return Refusal::UnsupportedProtocol.answer();
        }
        let authorization = request.headers().get(header::AUTHORIZATION);
        // A copy: the request lies in a buffer that is far larger.
        let authorization = authorization.and_then(|it| it.to_str().ok()).map(Box::from);
        if query.carrier == Carrier::Polling {
            return polling::open(self, authorization);
        }
        if !request.headers().contains_key(header::UPGRADE) {
            return Refusal::BadRequest.answer();
        }
        let (answer, upgrade) = Upgrade::accept(request);
        if let Some(upgrade) = upgrade {
            link::open(Arc::clone(self), upgrade, authorization);
        }
        answer
    }

    /// A new connection, of which the door is told.
    pub(super) fn connect(
        &self,
        carrier: Carrier,
        authorization: Option<Box<str>>,
    ) -> Arc<Connection<D::Data>> {
        let messages_max = self.options.messages_max;
        let connection = Arc::new(Connection::new(carrier, authorization, messages_max));
        if carrier == Carrier::Polling {
            let named = Arc::clone(&connection);
            self.named.lock().insert(connection.id(), named);
        }
        self.door.opened(&connection);
        connection
    }

    /// The peer answered a ping.
    pub(super) fn answered(&self, connection: &Arc<Connection<D::Data>>) {
        if connection.answered() {
            self.door.heard(connection);
        }
    }

    /// The connection is over: nobody finds it any more, and the door is told.
    pub(super) fn finish(&self, connection: &Arc<Connection<D::Data>>, reason: Reason) {
        if connection.told.swap(true, Ordering::AcqRel) {
            return;
        }
        connection.outbox.refuse();
        if connection.polling.is_some() {
            self.named.lock().remove(&connection.id());
        }
        let reason = connection.reason().unwrap_or(reason);
        self.door.closed(connection, reason);
    }

    /// The first packet of a connection.
    pub(super) fn handshake(&self, sid: Sid, carrier: Carrier) -> String {
        let upgrades = match carrier {
            Carrier::Polling => r#"["websocket"]"#,
            Carrier::Websocket => "[]",
        };
        format!(
            r#"0{{"sid":"{sid}","upgrades":{upgrades},"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
            self.options.ping_interval.as_millis(),
            self.options.ping_timeout.as_millis(),
            self.options.payload_bytes_max,
        )
    }
}

impl<D: Door> Clone for Engine<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Door, B> tower::Service<Request<B>> for Engine<D>
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let engine = self.clone();
        Box::pin(async move { Ok(engine.respond(request).await) })
    }
}
