//! The headers of every answer that restrict what a browser does with it.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// An answer that is no page loads nothing and is shown in no frame.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// A year, as browsers' lists of such sites require.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Whether browsers are told to use this host over TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// They are: the server itself serves TLS, in production.
    TlsOnly,
    /// They are not.
    Any,
}

/// Adds the headers to an answer, unless it has others of the same name.
pub async fn secure(State(transport): State<Transport>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, NO_PAGE),
        (header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF),
        (header::REFERRER_POLICY, NO_REFERRER),
    ] {
        headers.entry(name).or_insert(value);
    }
    if transport == Transport::TlsOnly {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, TLS_ONLY);
    }
    response
}
