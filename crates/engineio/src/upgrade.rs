//! The opening handshake of a WebSocket (RFC 6455, section 4.2): from an HTTP request to a stream of bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;

use super::{
    answer::Answer,
    receiver::{Limits, Receiver},
    tcp::{self, Tcp},
    websocket::serve,
};

/// The constant that is hashed together with a client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The version of the WebSocket protocol.
const VERSION: &str = "13";

/// Turns the stream of an upgraded connection back into the TCP connection that it is, with the
/// bytes that were read from it already; another stream is returned as it is.
///
/// An HTTP server that wraps its TCP connections inserts it into the extensions of each request.
/// Without it only the connections of [`hyper_util::server::conn::auto`] are recognised.
#[derive(Clone, Copy)]
pub struct Unwrap(pub fn(Upgraded) -> Result<(TcpStream, Bytes), Upgraded>);

impl Default for Unwrap {
    fn default() -> Self {
        Self(|upgraded| {
            let parts = downcast::<TokioIo<TcpStream>>(upgraded)?;
            Ok((parts.io.into_inner(), parts.read_buf))
        })
    }
}

/// A request that becomes a WebSocket once its response is sent.
pub struct Upgrade {
    pending: OnUpgrade,
    unwrap: Unwrap,
}

/// A WebSocket whose response was sent, and that is to be [served](Self::serve).
pub struct Opened {
    stream: Stream,
    first: Vec<u8>,
}

/// The stream that carries a WebSocket.
pub(super) enum Stream {
    /// The TCP connection itself.
    Tcp(Tcp),
    /// Any other stream on which HTTP was served.
    Other(Box<TokioIo<Upgraded>>),
}

impl tcp::Stream for Box<TokioIo<Upgraded>> {}

impl Upgrade {
    /// The response to `request` and, if it is a valid upgrade, the upgrade that
    /// takes place once the response is sent.
    pub fn accept<B>(request: &mut Request<B>) -> (Answer, Option<Self>) {
        let accept = match accept(request) {
            Ok(accept) => accept,
            Err(status) => return (refusal(status), None),
        };
        let Some(pending) = request.extensions_mut().remove::<OnUpgrade>() else {
            return (refusal(StatusCode::BAD_REQUEST), None);
        };
        let unwrap = request.extensions_mut().remove().unwrap_or_default();
        let mut response = refusal(StatusCode::SWITCHING_PROTOCOLS);
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        (response, Some(Self { pending, unwrap }))
    }

    /// Waits until the response is sent. `None` if the connection failed.
    pub async fn opened(self) -> Option<Opened> {
        let (stream, first) = self.stream().await?;
        Some(Opened { stream, first })
    }

    /// Waits until the response is sent and returns the stream, with the bytes that
    /// were read from it already. `None` if the connection failed.
    pub(super) async fn stream(self) -> Option<(Stream, Vec<u8>)> {
        let upgraded = self.pending.await.ok()?;
        // Copied, because `read_buf` is a slice of the buffer into which HTTP was read.
        let Unwrap(unwrap) = self.unwrap;
        Some(match unwrap(upgraded) {
            Ok((tcp, first)) => (Stream::Tcp(Tcp::new(tcp)), first.to_vec()),
            Err(upgraded) => (Stream::Other(Box::new(TokioIo::new(upgraded))), Vec::new()),
        })
    }
}

impl Opened {
    /// Serves the WebSocket until it ends: hands its messages to `receiver`, and writes those in the
    /// receiver's outbox.
    pub async fn serve<R: Receiver>(self, limits: Limits, receiver: R) {
        let first = self.first;
        match self.stream {
            Stream::Tcp(stream) => {
                let write_half = tcp::Stream::write_half(&stream);
                receiver.outbox().set_write_half(write_half);
                serve(stream, &first, limits, receiver).await;
            }
            Stream::Other(stream) => Box::pin(serve(stream, &first, limits, receiver)).await,
        }
    }
}

fn refusal(status: StatusCode) -> Answer {
    let mut response = Answer::default();
    *response.status_mut() = status;
    if status == StatusCode::UPGRADE_REQUIRED {
        let version = HeaderValue::from_static(VERSION);
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_VERSION, version);
    }
    response
}

/// The value of `Sec-WebSocket-Accept` for `request`, or the status that refuses it.
fn accept<B>(request: &Request<B>) -> Result<HeaderValue, StatusCode> {
    let headers = request.headers();
    let is_upgrade = *request.method() == Method::GET
        && has_value(headers, header::UPGRADE, "websocket")
        && has_value(headers, header::CONNECTION, "upgrade");
    if !is_upgrade {
        return Err(StatusCode::BAD_REQUEST);
    }
    if !has_value(headers, header::SEC_WEBSOCKET_VERSION, VERSION) {
        return Err(StatusCode::UPGRADE_REQUIRED);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    key.and_then(|key| accept_key(key.as_bytes()))
        .ok_or(StatusCode::BAD_REQUEST)
}

/// Whether one of the header's comma-separated values is `value`.
fn has_value(headers: &HeaderMap, name: header::HeaderName, value: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|values| values.to_str().ok())
        .flat_map(|values| values.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(value))
}

/// The proof that the server has read the client's key, which is base64 of 16 bytes.
fn accept_key(key: &[u8]) -> Option<HeaderValue> {
    let decoded = STANDARD.decode(key).ok()?;
    if decoded.len() != 16 {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    HeaderValue::from_str(&STANDARD.encode(digest)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut HeaderMap)) -> Request<()> {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        for (name, value) in [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        change(headers);
        request
    }

    fn status(request: Request<()>) -> StatusCode {
        accept(&request)
            .err()
            .unwrap_or(StatusCode::SWITCHING_PROTOCOLS)
    }

    #[test]
    fn the_key_is_hashed_as_in_the_specification() {
        let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==").expect("a key");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accept_key(b"c2hvcnQ="), None);
        assert_eq!(accept_key(b"\xff"), None);
    }

    #[test]
    fn a_request_that_is_no_complete_upgrade_is_refused() {
        for name in ["upgrade", "connection", "sec-websocket-key"] {
            let without = request(|headers| drop(headers.remove(name)));
            assert_eq!(status(without), StatusCode::BAD_REQUEST, "{name}");
        }
        assert_eq!(status(request(|_| {})), StatusCode::SWITCHING_PROTOCOLS);
        let mut post = request(|_| {});
        *post.method_mut() = Method::POST;
        assert_eq!(status(post), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_answer_to_another_version_names_the_one_supported() {
        let mut other = request(|headers| {
            headers.insert("sec-websocket-version", HeaderValue::from_static("8"));
        });
        let (answer, upgrade) = Upgrade::accept(&mut other);
        assert!(upgrade.is_none());
        assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(answer.headers()["sec-websocket-version"], "13");
    }
}
