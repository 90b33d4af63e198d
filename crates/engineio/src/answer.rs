//! Answers to HTTP requests, and the errors that the Engine.IO specification defines.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;

/// An answer to a request.
pub type Answer = Response<Full<Bytes>>;

/// Why a request is refused. The numbers are the specification's error codes.
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
