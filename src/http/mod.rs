//! The HTTP door: health, metrics, what applications ask for, and the doors of development.
//!
//! ```text
//! GET /health            the state of the server and of what it depends on: 200, or 503 where it cannot serve
//! GET /health/live       200 while the process turns
//! GET /health/ready      200 where new connections are welcome
//! GET /metrics           Prometheus text; behind METRICS_TOKEN where that is set
//! GET /api/v1/documents  the documents of the caller's team
//! POST /api/v1/documents/{room}/updates  an update, as large as a document may be
//! GET /dev/token         in development: a token for whoever asks
//! GET /                  in development: the demo page, with its files beside it
//! ```

mod api;
mod body;
mod health;
mod origin;
mod page;
mod updates;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{MatchedPath, Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tower_http::{
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};

pub use self::origin::{check_origin, cors};
use self::updates::Updates;
use crate::{
    auth::{MintRequest, Verifier, mint},
    catalog::Catalog,
    config::{Auth, DevDoors, Limits, Timing},
    error::Error,
    id::Timestamp,
    metrics::Metrics,
    room::Rooms,
    session::Sessions,
    store::Store,
    supervise::Supervisor,
};

/// What the routes need.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The open documents.
    pub rooms: Rooms,
    /// The list of all documents.
    pub catalog: Catalog,
    /// Whom `/api` lets in.
    pub verifier: Verifier,
    /// How much one request may bring.
    pub limits: Limits,
    /// How long it may take.
    pub timing: Timing,
    /// Who is connected, and whether the server is stopping.
    pub sessions: Sessions,
    /// How many sockets are connected, with a session or without.
    pub connections: Arc<dyn Fn() -> usize + Send + Sync>,
    /// The owner of what outlives a request.
    pub supervisor: Supervisor,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// The bearer token of `/metrics`, if it is closed.
    pub metrics_token: Option<String>,
    /// With what `/dev/token` signs.
    pub auth: Auth,
    /// Whether `/dev/token` and the demo page are there.
    pub dev_doors: DevDoors,
    /// Names this instance.
    pub instance: String,
    /// When it started.
    pub started: Instant,
}

impl Parts {
    /// Whether the server is stopping, for whatever reason.
    fn stopping(&self) -> bool {
        self.supervisor.lost().is_some() || self.sessions.draining()
    }
}

/// All routes of this door.
pub fn routes(parts: Parts) -> Router {
    let mut router = Router::new()
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/documents", get(api::list_documents))
        .route(
            "/api/v1/documents/{room}/updates",
            post(updates::post_update).with_state(Updates::new(parts.clone())),
        );
    if parts.dev_doors == DevDoors::Open {
        router = router
            .route("/dev/token", get(dev_token))
            .merge(page::routes());
    }
    router
        .layer(middleware::from_fn_with_state(parts.metrics.clone(), count))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http().make_span_with(request_span))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .fallback(not_found)
        .with_state(parts)
}

/// The span of a request: its path without the query, which may hold a token.
fn request_span(request: &Request) -> tracing::Span {
    let id = request.headers().get("x-request-id");
    let request_id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    tracing::info_span!(
        "http request",
        request_id,
        method = request.method().as_str(),
        path = request.uri().path()
    )
}

async fn count(
    State(metrics): State<Metrics>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    metrics.http_request(route.as_str(), response.status().as_u16());
    response
}

async fn metrics(State(parts): State<Parts>, headers: HeaderMap) -> Response {
    if parts
        .metrics_token
        .as_deref()
        .is_some_and(|token| bearer(&headers) != Some(token))
    {
        return refuse(&Error::Unauthorized {
            reason: "the metrics token is required",
        });
    }
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        parts.metrics.render(),
    )
        .into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whom the development token names.
#[derive(Deserialize)]
struct Persona {
    user: String,
    name: Option<String>,
    role: Option<String>,
    team: Option<String>,
    ttl_seconds: Option<u64>,
}

#[derive(Serialize)]
struct Minted {
    token: String,
}

async fn dev_token(
    State(parts): State<Parts>,
    persona: Result<Query<Persona>, QueryRejection>,
) -> Response {
    let Ok(Query(persona)) = persona else {
        return refuse(&Error::Invalid {
            field: "query",
            reason: "must be user, and optionally name, role, team and ttl_seconds, once each",
        });
    };
    let roles = persona.role.as_deref().unwrap_or("editor");
    let request = MintRequest {
        user: persona.user,
        name: persona.name,
        team: persona.team,
        roles: roles.split(',').map(str::to_owned).collect(),
        documents: Vec::new(),
        ttl_seconds: persona.ttl_seconds.unwrap_or(3600),
    };
    match mint(&parts.auth, &request, Timestamp::now().seconds()) {
        Ok(token) => Json(Minted { token }).into_response(),
        Err(error) => refuse(&error),
    }
}

async fn not_found() -> Response {
    refuse(&Error::NotFound { what: "route" })
}

/// An error as HTTP clients get it.
pub fn refuse(error: &Error) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        error: &'a Error,
    }
    let status = status(error);
    let mut response = (status, Json(Body { error })).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
    }
    if let Some(ms) = error.retry_after_ms() {
        let seconds = HeaderValue::from(ms.div_ceil(1000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Invalid { .. } => StatusCode::BAD_REQUEST,
        Error::Unauthorized { .. } | Error::TokenExpired | Error::SessionRevoked => {
            StatusCode::UNAUTHORIZED
        }
        Error::Forbidden { .. } => StatusCode::FORBIDDEN,
        Error::NotFound { .. } => StatusCode::NOT_FOUND,
        Error::Conflict { .. } => StatusCode::CONFLICT,
        Error::TooLarge { .. } | Error::TooCostly => StatusCode::PAYLOAD_TOO_LARGE,
        Error::RateLimited { .. } | Error::TooManyRooms { .. } | Error::TooManyConnections => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Error::StorageUnavailable | Error::Overloaded | Error::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Error::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
