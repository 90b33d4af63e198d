//! Which web pages may talk to this server.
//!
//! CORS keeps a foreign page from reading answers; a WebSocket has no CORS, so
//! its upgrade is checked here. A request without `Origin` is no page's: it is
//! let through and has to bring a token like everybody.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::refuse;
use crate::{config::Origins, error::Error};

/// CORS for the allowed origins.
pub fn cors(origins: &Origins) -> CorsLayer {
    let origins = origins.clone();
    let allowed = move |origin: &HeaderValue, _: &_| {
        origin.to_str().is_ok_and(|origin| origins.allows(origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .allow_credentials(true)
}

/// Refuses a page of a foreign origin on every route that carries a session.
pub async fn check_origin(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Response {
    let foreign = request
        .headers()
        .get(header::ORIGIN)
        .is_some_and(|origin| !origin.to_str().is_ok_and(|origin| origins.allows(origin)));
    let upgrade = request.headers().contains_key(header::UPGRADE);
    if foreign && (upgrade || request.uri().path().starts_with("/socket.io")) {
        return refuse(&Error::Forbidden {
            needed: "an allowed origin",
        });
    }
    next.run(request).await
}
