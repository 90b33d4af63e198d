//! The HTTP door: health, metrics, the API for applications, and the development routes.
//!
//! ```text
//! GET /health            the state of the server and its dependencies: 200, or 503 if it cannot serve clients
//! GET /health/live       200 while the process responds
//! GET /health/ready      200 if the server accepts new connections
//! GET /metrics           Prometheus text; requires METRICS_TOKEN if that is set
//! GET /api/v1/documents  the documents of the caller's team
//! GET|PUT|PATCH|DELETE /api/v1/documents/{room}  a document without its content
//! POST /api/v1/documents/{room}/restore  restores it from the trash
//! GET /api/v1/presence   who is present in the caller's team
//! GET /api/v1/documents/{room}/presence  who is in a room
//! GET|POST /api/v1/activity, /api/v1/notifications, …  the operations of features (operations.rs)
//! GET|POST /api/v1/documents/{room}/threads, …/threads/{thread_id}, …/comments/{comment_id}  the same
//! POST /api/v1/documents/{room}/updates  an update, at most as large as a document
//! GET /api/v1/openapi.json, /api/v1/docs  the description of these routes, for programs and for people
//! GET /api/v1/asyncapi.json  the description of sockets
//! GET /dev/token         in development: a token for any caller
//! GET /                  in development: the demo page and its files, among them its service worker, /sw.js
//! GET /docs, /docs/…     in development: the documentation
//! GET /client.tgz        in development: the packed client, for `npm install`
//! ```
//!
//! Another path is `not_found`: an error as JSON, or in development a page for clients that accept HTML.

mod api;
mod body;
mod documents;
mod endpoint;
mod health;
mod openapi;
mod operations;
mod origin;
mod page;
mod presence;
mod secure;
mod updates;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{MatchedPath, Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tower_http::{
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};
use utoipa::ToSchema;

use self::endpoint::{Access, Endpoint, TEXT};
pub use self::{
    origin::{check_origin, cors},
    secure::{Transport, secure},
};
use crate::{
    auth::{MintRequest, Verifier, mint},
    catalog::Catalog,
    config::{Auth, DevDoors, Limits, Timing},
    error::{Error, ErrorCode, ErrorObject},
    id::Timestamp,
    limits::Verifications,
    metrics::Metrics,
    operations::{Description, Operations, about},
    presence::Presence,
    room::Rooms,
    session::Sessions,
    store::Store,
    supervise::Supervisor,
};

/// The parts of the server that the routes use.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The open documents.
    pub rooms: Rooms,
    /// The list of all documents.
    pub catalog: Catalog,
    /// Who is present.
    pub presence: Presence,
    /// What clients may ask of the features.
    pub operations: Operations,
    /// Verifies the tokens of requests to `/api`.
    pub verifier: Verifier,
    /// The permits for the verification of tokens.
    pub verifications: Verifications,
    /// The limits of requests.
    pub limits: Limits,
    /// The timeouts of requests.
    pub timing: Timing,
    /// Who is connected, and whether the server is stopping.
    pub sessions: Sessions,
    /// How many sockets are connected, with a session or without.
    pub connections: Arc<dyn Fn() -> usize + Send + Sync>,
    /// The owner of tasks that outlive a request.
    pub supervisor: Supervisor,
    /// The metrics that `/metrics` renders.
    pub metrics: Metrics,
    /// The bearer token of `/metrics`; without one, `/metrics` is public.
    pub metrics_token: Option<String>,
    /// The key with which `/dev/token` signs.
    pub auth: Auth,
    /// Whether `/dev/token` and the demo page are served.
    pub dev_doors: DevDoors,
    /// The name of this instance.
    pub instance: String,
    /// When the server started.
    pub started: Instant,
    /// The description of sockets, as an AsyncAPI document; shared, because each request clones the
    /// parts.
    pub asyncapi: Arc<Value>,
}

impl Parts {
    /// Whether the server is stopping, for any reason.
    fn stopping(&self) -> bool {
        self.supervisor.lost().is_some() || self.sessions.draining()
    }
}

/// All routes of the HTTP door.
pub fn routes(parts: Parts) -> Router {
    let mut described = health::routes()
        .merge(documents::routes())
        .merge(updates::routes(&parts))
        .merge(operations::routes())
        .merge(presence::routes())
        .add(
            Endpoint::new(
                Method::GET,
                "/metrics",
                "metrics_get",
                metrics_description(),
            )
            .access(Access::Metrics)
            .gives(TEXT),
            metrics,
        );
    if parts.dev_doors == DevDoors::Open {
        let token = Endpoint::new(Method::GET, "/dev/token", "dev_token", token_description());
        described = described.add(token.access(Access::Public), dev_token);
    }
    let mut router = openapi::describe(described, &parts.asyncapi).router;
    if parts.dev_doors == DevDoors::Open {
        router = router.merge(page::routes());
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

fn metrics_description() -> Description {
    about("server")
        .summary("Renders the metrics, as Prometheus reads them.")
        .fails(&[ErrorCode::Unauthorized])
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

/// The parameters of `/dev/token`: the user of the token, and its duration.
#[derive(Deserialize, ToSchema)]
struct TokenParameters {
    /// The id of the person.
    #[schema(examples("ana"))]
    user: String,
    /// The name of the person; without it, the id.
    name: Option<String>,
    /// Roles, separated by commas; without it, editor.
    role: Option<String>,
    /// The team; without it, default.
    team: Option<String>,
    /// How long the token is valid, in seconds; without it, an hour.
    ttl_seconds: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct Minted {
    token: String,
}

fn token_description() -> Description {
    about("development")
        .summary("Makes a token for any caller. Only in development.")
        .takes::<TokenParameters>()
        .answers::<Minted>()
        .fails(&[ErrorCode::Invalid, ErrorCode::Internal])
}

async fn dev_token(
    State(parts): State<Parts>,
    parameters: Result<Query<TokenParameters>, QueryRejection>,
) -> Response {
    let Ok(Query(parameters)) = parameters else {
        return refuse(&Error::Invalid {
            field: "query",
            reason: "must be user, and optionally name, role, team and ttl_seconds, each once",
        });
    };
    let roles = parameters.role.as_deref().unwrap_or("editor");
    let request = MintRequest {
        user: parameters.user,
        name: parameters.name,
        team: parameters.team,
        roles: roles.split(',').map(str::to_owned).collect(),
        documents: Vec::new(),
        ttl_seconds: parameters.ttl_seconds.unwrap_or(3600),
    };
    match mint(&parts.auth, &request, Timestamp::now().seconds()) {
        Ok(token) => Json(Minted { token }).into_response(),
        Err(error) => refuse(&error),
    }
}

async fn not_found(State(parts): State<Parts>, method: Method, headers: HeaderMap) -> Response {
    let page = match parts.dev_doors {
        DevDoors::Open => page::not_found(&method, &headers),
        DevDoors::Closed => None,
    };
    let answer = page.unwrap_or_else(|| refuse(&Error::NotFound { what: "route" }));
    ([(header::VARY, "accept")], answer).into_response()
}

/// The body of every error.
#[derive(Serialize, ToSchema)]
struct ErrorBody<'a> {
    #[schema(value_type = ErrorObject<'static>)]
    error: &'a Error,
}

/// The HTTP response for an error.
pub fn refuse(error: &Error) -> Response {
    let status = status(error.kind());
    let mut response = (status, Json(ErrorBody { error })).into_response();
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

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Invalid => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized | ErrorCode::TokenExpired | ErrorCode::SessionRevoked => {
            StatusCode::UNAUTHORIZED
        }
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited | ErrorCode::TooManyRooms | ErrorCode::TooManyConnections => {
            StatusCode::TOO_MANY_REQUESTS
        }
        ErrorCode::StorageUnavailable | ErrorCode::Overloaded | ErrorCode::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
