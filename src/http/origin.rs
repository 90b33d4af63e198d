//! Checks the origins of web pages.
//!
//! CORS prevents pages of other origins from reading responses. CORS does not apply to a
//! WebSocket, so its upgrade is checked here. A request without `Origin` does not come
//! from a page: it is not checked here, and needs a token like all others.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::refuse;
use crate::{config::Origins, error::Error};

/// The CORS layer for the allowed origins.
pub fn cors(origins: &Origins) -> CorsLayer {
    let origins = origins.clone();
    let allowed = move |origin: &HeaderValue, _: &_| {
        origin.to_str().is_ok_and(|origin| origins.allows(origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .allow_credentials(true)
}

/// Refuses requests from other origins on the routes of sessions: upgrades and `/socket.io`.
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
