//! One connection: its place, what comes before HTTP, and HTTP until it is upgraded or ends.

use std::{
    convert::Infallible,
    future::poll_fn,
    io::{self, Write},
    net::{IpAddr, TcpStream as StdStream},
    pin::{Pin, pin},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, Interest},
    net::TcpStream,
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};
use tracing::debug;

use super::{
    Handshake, Service, Shared,
    body::{AnswerBody, TimedBody},
    proxy,
    watched::{Late, Watch, Watched},
};
use crate::{
    error::Error,
    limits::{Full, Occupant, Peer, Subnet},
};

/// How long a client may take to read the reason why its connection is closed.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that was accepted.
struct Accepted<H, S> {
    shared: Arc<Shared<H, S>>,
    watch: Arc<Watch>,
    peer: Peer,
    has_asked: AtomicBool,
}

/// How the service of a connection ended.
enum Outcome {
    /// HTTP ended, or was upgraded.
    Over,
    /// A newcomer gets the place.
    Evicted,
    Late(Late),
}

/// Takes a place for the connection `tcp` from `address`, which does not block, and serves it as a
/// task of its own, or refuses it.
pub(super) fn begin<H: Handshake, S: Service>(
    shared: &Arc<Shared<H, S>>,
    tcp: StdStream,
    address: IpAddr,
) {
    let parts = &shared.parts;
    let watch = Arc::new(Watch::new());
    let occupant: Weak<dyn Occupant> = Arc::<Watch>::downgrade(&watch);
    let is_proxied = parts.proxies.contains(address);
    let taken = match is_proxied {
        true => parts.places.take_for_proxy(occupant),
        false => parts.places.take(Subnet::from(address), Some(occupant)),
    };
    let place = match taken {
        Ok(place) => place,
        Err(full) => {
            return refuse(shared, &tcp, full);
        }
    };
    let accepted = Accepted {
        shared: Arc::clone(shared),
        watch,
        peer: Peer {
            address,
            place,
            is_proxied,
        },
        has_asked: AtomicBool::new(false),
    };
    let place = Arc::clone(&accepted.peer.place);
    shared.spawn(place, accepted.serve(tcp));
}

/// Whether the client has closed the connection and sent nothing before.
fn has_gone(tcp: &StdStream) -> bool {
    match tcp.peek(&mut [0]) {
        Ok(received) => received == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// Answers a connection for which there is no place, as far as the kernel takes the answer at
/// once.
fn refuse<H: Handshake, S>(shared: &Shared<H, S>, mut tcp: &StdStream, Full(limit): Full) {
    if let Some(suppressed) = shared.refusals.admit() {
        tracing::warn!(
            limit,
            suppressed,
            "a connection was refused; see docs/operations.md, Connections"
        );
    }
    if H::unwrap().is_some() {
        let answer = plain_answer(StatusCode::TOO_MANY_REQUESTS, &Error::TooManyConnections);
        let _ = tcp.write(answer.as_bytes());
    }
}

/// A whole HTTP response with an error, after which the connection is closed.
fn plain_answer(status: StatusCode, error: &Error) -> String {
    let error = serde_json::to_string(error).unwrap_or_default();
    let body = format!("{{\"error\":{error}}}");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

impl<H: Handshake, S: Service> Accepted<H, S> {
    async fn serve(mut self, tcp: StdStream) {
        let timing = self.shared.parts.timing;
        let limit = Duration::from_millis(timing.http_header_timeout_ms);
        let watch = Arc::clone(&self.watch);
        let stream = {
            let mut begun = pin!(timeout(limit, self.stream(tcp)));
            let unless_evicted = poll_fn(|cx| match watch.poll_evicted(cx.waker()) {
                true => Poll::Ready(None),
                false => begun.as_mut().poll(cx).map(Some),
            });
            unless_evicted.await
        };
        let stream = match stream {
            Some(Ok(Some(stream))) => stream,
            // It was evicted, or does not follow the protocol.
            None | Some(Ok(None)) => return,
            Some(Err(_)) => {
                let limit = Late::Idle.limit();
                return self.shared.parts.metrics.limit_applied(limit);
            }
        };
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&self.watch)));
        let this = Arc::new(self);
        let answering = Arc::clone(&this);
        let service = service_fn(move |request| Arc::clone(&answering).answer(request));
        let http = &this.shared.http;
        let mut serving = http.serve_connection(stream, service).with_upgrades();
        let mut timer = pin!(sleep_until(Instant::now()));
        let outcome = poll_fn(|cx| this.poll(Pin::new(&mut serving), timer.as_mut(), cx)).await;
        let Outcome::Late(late) = outcome else { return };
        debug!(?late, "a connection is closed");
        this.shared.parts.metrics.limit_applied(late.limit());
        if let (Late::Head, Some(parts)) = (late, serving.into_parts()) {
            say_goodbye(parts.io.into_inner()).await;
        }
    }

    /// What comes before HTTP. `None` if the client does not follow the protocol, or has gone.
    async fn stream(&mut self, tcp: StdStream) -> Option<H::Stream> {
        let share = &self.shared.parts.share;
        // Where the client has gone while it waited, nobody would read an answer.
        if share.is_exhausted() && has_gone(&tcp) {
            return None;
        }
        // Not before the first turn: clients that go while they wait would wake the runtime, each of them.
        let registered = TcpStream::from_std(tcp);
        let mut tcp = registered
            .inspect_err(|error| debug!(%error, "a connection cannot be awaited"))
            .ok()?;
        // HTTP and TLS allocate their buffers before they read.
        let ready = tcp.ready(Interest::READABLE).await.ok()?;
        if ready.is_read_closed() && share.is_exhausted() {
            return None;
        }
        if self.peer.is_proxied
            && let Some(address) = proxy::read_header(&mut tcp).await.ok()?
        {
            self.peer.address = address;
            self.peer.is_proxied = false;
            self.peer.place.identify(Subnet::from(address)).ok()?;
        }
        let begun = self.shared.handshake.begin(tcp).await;
        begun
            .inspect_err(|error| debug!(%error, "a connection does not begin as it has to"))
            .ok()
    }

    fn poll<F>(
        &self,
        serving: Pin<&mut F>,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome>
    where
        F: Future<Output = hyper::Result<()>>,
    {
        if self.watch.poll_evicted(cx.waker()) {
            return Poll::Ready(Outcome::Evicted);
        }
        if let Poll::Ready(served) = serving.poll(cx) {
            if let Err(error) = served {
                debug!(%error, "a connection failed");
                if error.is_parse_too_large() {
                    // hyper has answered 431.
                    self.shared
                        .parts
                        .metrics
                        .limit_applied("http_header_bytes_max");
                }
            }
            return Poll::Ready(Outcome::Over);
        }
        while let Some((deadline, late)) = self.watch.deadline(&self.shared.parts.timing) {
            if deadline <= Instant::now() {
                return Poll::Ready(Outcome::Late(late));
            }
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        Poll::Pending
    }

    /// Answers one request.
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        self.watch.began_answering();
        self.peer.place.touch();
        let parts = &self.shared.parts;
        let mut peer = self.peer.clone();
        if peer.is_proxied {
            peer.address = proxy::client(request.headers(), &parts.proxies, peer.address);
        }
        if !self.is_admitted(&peer).await {
            parts.metrics.limit_applied("stranger_requests_per_second");
            let watch = Arc::clone(&self.watch);
            return Ok(too_fast().map(|body| AnswerBody { body, watch }));
        }
        let (mut head, body) = request.into_parts();
        head.extensions.insert(peer.clone());
        if let Some(unwrap) = H::unwrap() {
            head.extensions.insert(unwrap);
        }
        let stall_timeout = Duration::from_millis(parts.timing.http_body_timeout_ms);
        let body = Body::new(TimedBody::new(body, Arc::clone(&self.watch), stall_timeout));
        let mut service = self.shared.service.clone();
        let answering = service.call(Request::from_parts(head, body));
        let mut response = peer.answering(answering).await?;
        if self.watch.take_body_is_late() {
            parts.metrics.limit_applied("http_body_timeout");
            // The API has answered with an error of its own.
            let json = HeaderValue::from_static("application/json");
            if response.headers().get(header::CONTENT_TYPE) != Some(&json) {
                response = late_body();
            }
        }
        let watch = Arc::clone(&self.watch);
        Ok(response.map(|body| AnswerBody { body, watch }))
    }
}

impl<H, S> Accepted<H, S> {
    /// Waits until a request may be answered; `false` if it is refused. That of a client with a
    /// token is answered at once, and so is the first one of a connection.
    async fn is_admitted(&self, peer: &Peer) -> bool {
        let is_first = !self.has_asked.swap(true, Ordering::Relaxed);
        if !peer.is_proxied && (is_first || peer.place.is_trusted()) {
            return true;
        }
        let admitted = self.shared.pace.admit(Subnet::from(peer.address));
        let (Ok(wait) | Err(wait)) = admitted;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        admitted.is_ok()
    }
}

/// The answer to a request of a stranger whose address sends too many.
fn too_fast() -> Response {
    let retry_after_ms = 1000;
    let mut response = error_response(
        StatusCode::TOO_MANY_REQUESTS,
        &Error::RateLimited {
            limit: "stranger_requests_per_second",
            retry_after_ms,
        },
    );
    let seconds = HeaderValue::from(1);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// The answer to a request whose body did not arrive in time.
fn late_body() -> Response {
    let error = Error::Invalid {
        field: "body",
        reason: "did not arrive in time",
    };
    error_response(StatusCode::REQUEST_TIMEOUT, &error)
}

/// An error, after which the connection is closed.
fn error_response(status: StatusCode, error: &Error) -> Response {
    let body = serde_json::json!({ "error": error }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Tells a client whose request is not complete why the connection is closed.
async fn say_goodbye<S: AsyncWrite + Unpin>(mut stream: Watched<S>) {
    let error = Error::Invalid {
        field: "headers",
        reason: "did not arrive in time",
    };
    let answer = plain_answer(StatusCode::REQUEST_TIMEOUT, &error);
    let saying = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // A client that does not read it within the time loses it.
    let _ = timeout(GOODBYE_TIMEOUT, saying).await;
}
