//! The Engine.IO server, protocol 4: opens connections and routes each request to its connection.
//!
//! Source: the Engine.IO protocol specification, revision 4. Where it leaves an answer open,
//! the answers are those of engine.io 6.6.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body::Body;

use super::{
    answer::{Answer, Refusal},
    door::Door,
    link,
    options::Options,
    polling,
    shared::Shared,
    stage::Carrier,
    upgrade::Upgrade,
};

/// An Engine.IO server: a service for HTTP requests. Cheap to clone.
pub struct Engine<D: Door>(Arc<Shared<D>>);

/// The parameters of a request's query.
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
    /// A server that reports its connections to `door`.
    pub fn new(door: D, options: Options) -> Self {
        Self(Arc::new(Shared::new(door, options)))
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
            return open(&shared, &query, &mut request);
        };
        let Some(connection) = shared.find(sid) else {
            return Refusal::SessionUnknown.answer();
        };
        shared.door.requested(request.extensions(), &connection);
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

/// Opens a connection, over the transport that `query` asks for.
fn open<D: Door, B>(
    shared: &Arc<Shared<D>>,
    query: &Query<'_>,
    request: &mut Request<B>,
) -> Answer {
    if *request.method() != Method::GET {
        return Refusal::BadHandshakeMethod.answer();
    }
    if query.protocol != Some("4") {
        return Refusal::UnsupportedProtocol.answer();
    }
    let authorization = request.headers().get(header::AUTHORIZATION);
    // Copied, because the header is a slice of the request's buffer, which is far larger.
    let authorization = authorization.and_then(|it| it.to_str().ok()).map(Box::from);
    let polls = query.carrier == Carrier::Polling;
    if !polls && !request.headers().contains_key(header::UPGRADE) {
        return Refusal::BadRequest.answer();
    }
    let data = match shared.door.admit(query.carrier, request.extensions()) {
        Ok(data) => data,
        Err(answer) => return *answer,
    };
    if polls {
        return polling::open(shared, data, authorization);
    }
    let (answer, upgrade) = Upgrade::accept(request);
    if let Some(upgrade) = upgrade {
        link::open(Arc::clone(shared), upgrade, data, authorization);
    }
    answer
}
