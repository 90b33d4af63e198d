//! The front door: accepts TCP connections, and serves HTTP on them within limits.
//!
//! ```text
//! accept       accepts connections, in a thread of its own
//! syn_filter   has the kernel drop attempts to connect
//! descriptors  how many connections the process can have
//! proxy        the addresses of clients behind trusted proxies
//! watched      a stream whose progress is observed, and the deadlines that follow from it
//! connection   one connection: HTTP until it is upgraded or ends
//! tls          the same with TLS, and the certificate
//! body         bodies of requests that have to arrive in time
//! ```
//! A client that has shown no token costs as little as possible: its connection takes one of few
//! [places](crate::limits::Places), its headers are bounded in size and time, and so are its
//! bodies, its pauses between requests, and the time that it takes to read an answer. What a
//! connection carries after an upgrade is up to the service.
//!
//! It is our own because `axum::serve` has none of these limits, and no way to end a connection.
//! HTTP itself is hyper's.

mod accept;
mod body;
mod connection;
pub mod descriptors;
mod proxy;
#[cfg(target_os = "linux")]
mod syn_filter;
#[cfg(not(target_os = "linux"))]
#[path = "no_syn_filter.rs"]
mod syn_filter;
mod tls;
mod watched;

pub use self::{accept::listen, tls::Tls};

use std::{convert::Infallible, future::Future, io, sync::Arc};

use axum::{body::Body, response::Response};
use http::Request;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

use crate::{
    config::{Limits, Proxies, Timing},
    limits::{Pace, Place, Places, Sampler, Share},
    metrics::Metrics,
    supervise::{Supervisor, Task},
};

/// The most headers of one request.
const HEADERS_MAX: usize = 100;
/// The most memory that HTTP takes for reading, and for writing, on one connection.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// What a connection does before HTTP begins on it. With [`Plain`], nothing.
pub trait Handshake: Clone + Send + Sync + 'static {
    /// The stream that carries HTTP.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Makes the stream of a connection. It is dropped where it takes too long.
    ///
    /// # Errors
    /// The client does not follow the protocol: the connection ends.
    fn begin(&self, tcp: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// How upgraded connections are turned back into the TCP connection itself, if they can be.
    fn unwrap() -> Option<engineio::Unwrap> {
        None
    }
}

/// HTTP directly on TCP.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Handshake for Plain {
    type Stream = TcpStream;

    async fn begin(&self, tcp: TcpStream) -> io::Result<TcpStream> {
        Ok(tcp)
    }

    fn unwrap() -> Option<engineio::Unwrap> {
        Some(watched::unwrap())
    }
}

/// What answers the requests: a `tower` service that is always ready.
pub trait Service:
    tower::Service<Request<Body>, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Service for S where
    S: tower::Service<
            Request<Body>,
            Response = Response,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// The parts of the server that the front door uses.
pub struct Parts {
    /// The sizes that are allowed.
    pub limits: Limits,
    /// The times that are allowed.
    pub timing: Timing,
    /// Whose statements about the addresses of clients are believed.
    pub proxies: Proxies,
    /// The places of connections.
    pub places: Places,
    /// How much of the processor strangers get.
    pub share: Share,
    /// The metrics.
    pub metrics: Metrics,
    /// The owner of all tasks.
    pub supervisor: Supervisor,
}

/// Accepts connections and serves `service` on each. Cheap to clone.
pub struct Front<H, S> {
    shared: Arc<Shared<H, S>>,
}

impl<H, S> Clone for Front<H, S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// What all connections share.
struct Shared<H, S> {
    parts: Parts,
    handshake: H,
    service: S,
    http: http1::Builder,
    pace: Pace,
    /// Lines about refused connections, of which there may be many.
    refusals: Sampler,
}

impl<H: Handshake, S: Service> Front<H, S> {
    /// A front door to `service`.
    pub fn new(parts: Parts, handshake: H, service: S) -> Self {
        let pace = Pace::new(parts.limits.stranger_requests_per_second);
        let mut http = http1::Builder::new();
        // The deadlines of headers are those of `watched`, which has one for idle connections too.
        http.timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_headers(HEADERS_MAX)
            .max_header_size(parts.limits.http_header_bytes_max)
            .max_buf_size(BUFFER_BYTES_MAX.max(parts.limits.http_header_bytes_max));
        Self {
            shared: Arc::new(Shared {
                parts,
                handshake,
                service,
                http,
                pace,
                refusals: Sampler::new(),
            }),
        }
    }

    /// Accepts connections from `listener` until the future is dropped.
    ///
    /// # Panics
    /// Connections cannot be accepted any more.
    pub async fn accept(&self, listener: TcpListener) {
        accept::accept(&self.shared, listener).await;
    }
}

impl<H, S> Shared<H, S> {
    /// Spawns the task of a connection that holds `place`.
    fn spawn(&self, place: Arc<Place>, work: impl Future<Output = ()> + Send + 'static) {
        let limited = self.parts.share.limit(place, work);
        self.parts.supervisor.spawn(Task::HttpConnection, limited);
    }
}
