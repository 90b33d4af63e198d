//! The operations of features by HTTP: each route is a method, a path, an operation and the status
//! of its success.
//!
//! The fields of a request are those of its query, its JSON body and its path. The header
//! `Idempotency-Key` of a POST is the key of a request that may be repeated.

use std::collections::HashMap;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::PathRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    Parts,
    api::{authenticate, json_fields},
    endpoint::{Endpoint, Routes},
    refuse,
};
use crate::{
    error::{Error, Result},
    id::Timestamp,
    operations::{KEY, Operation},
    payload::Payload,
};

/// The largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// The header with the key of a request that may be repeated.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A route of an operation.
pub(super) struct Route {
    /// The method.
    pub(super) method: Method,
    /// The path, with its parameters in braces, each of which is a field of the request.
    pub(super) path: &'static str,
    /// What it asks for.
    pub(super) operation: Operation,
    /// The status of a success.
    pub(super) status: StatusCode,
}

const fn route(
    method: Method,
    path: &'static str,
    operation: Operation,
    status: StatusCode,
) -> Route {
    Route {
        method,
        path,
        operation,
        status,
    }
}

/// Every route of an operation.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = {
    use Method as On;
    const OK: StatusCode = StatusCode::OK;
    const CREATED: StatusCode = StatusCode::CREATED;
    &[
        route(On::GET, "/api/v1/activity", Operation::ActivityList, OK),
        route(On::POST, "/api/v1/activity", Operation::ActivityPublish, CREATED),
        route(On::GET, "/api/v1/notifications", Operation::NotificationList, OK),
        route(On::POST, "/api/v1/notifications", Operation::NotificationPublish, CREATED),
        route(On::POST, "/api/v1/notifications/read", Operation::NotificationRead, OK),
        route(On::POST, "/api/v1/notifications/delete", Operation::NotificationDelete, OK),
        route(On::GET, "/api/v1/notifications/preferences", Operation::NotificationPreferences, OK),
        route(On::PUT, "/api/v1/notifications/preferences", Operation::NotificationPreferences, OK),
        route(On::POST, "/api/v1/sessions/revoke", Operation::SessionRevoke, OK),
        route(On::GET, "/api/v1/webhooks/messages", Operation::WebhookList, OK),
        route(On::POST, "/api/v1/webhooks/messages/{message_id}/retry", Operation::WebhookRetry, OK),
        route(On::GET, "/api/v1/documents/{room}/threads", Operation::ThreadList, OK),
        route(On::POST, "/api/v1/documents/{room}/threads", Operation::ThreadCreate, CREATED),
        route(On::GET, "/api/v1/threads/{thread_id}", Operation::ThreadGet, OK),
        route(On::DELETE, "/api/v1/threads/{thread_id}", Operation::ThreadDelete, OK),
        route(On::POST, "/api/v1/threads/{thread_id}/comments", Operation::CommentCreate, CREATED),
        route(On::POST, "/api/v1/threads/{thread_id}/resolve", Operation::ThreadResolve, OK),
        route(On::POST, "/api/v1/threads/{thread_id}/reopen", Operation::ThreadReopen, OK),
        route(On::PATCH, "/api/v1/comments/{comment_id}", Operation::CommentEdit, OK),
        route(On::DELETE, "/api/v1/comments/{comment_id}", Operation::CommentDelete, OK),
        route(On::PUT, "/api/v1/comments/{comment_id}/reactions/{emoji}", Operation::ReactionAdd, OK),
        route(On::DELETE, "/api/v1/comments/{comment_id}/reactions/{emoji}", Operation::ReactionRemove, OK),
        route(On::GET, "/api/v1/documents/{room}/workflow", Operation::WorkflowGet, OK),
        route(On::POST, "/api/v1/documents/{room}/workflow", Operation::WorkflowTransition, OK),
        route(On::GET, "/api/v1/documents/{room}/workflow/history", Operation::WorkflowHistory, OK),
    ]
};

/// The routes of all operations.
pub(super) fn routes() -> Routes {
    ROUTES.iter().fold(Routes::default(), |routes, route| {
        let answer = move |State(parts): State<Parts>,
                           path: Result<Path<HashMap<String, String>>, PathRejection>,
                           Query(query): Query<HashMap<String, String>>,
                           headers: HeaderMap,
                           body: Body| async move {
            let called = call(&parts, route, path, query, &headers, body).await;
            let answer = match called {
                Ok(fields) => (route.status, Json(fields)).into_response(),
                Err(error) => refuse(&error),
            };
            no_store(answer)
        };
        routes.add(endpoint(route), answer)
    })
}

/// The route with the description of its operation, whose name it has. Of several routes of one
/// operation, each has its method at the end of the name.
fn endpoint(route: &Route) -> Endpoint {
    let (operation, method) = (route.operation, &route.method);
    let mut of_operation = ROUTES.iter().filter(|it| it.operation == operation);
    let name = match (of_operation.next(), of_operation.next()) {
        (Some(_), Some(_)) => format!("{}_{method}", operation.name()).to_lowercase(),
        _ => operation.name().to_owned(),
    };
    let description = operation.description();
    let endpoint = Endpoint::new(method.clone(), route.path, &name, description);
    endpoint.statuses(&[route.status])
}

/// The answer is for one user only, and may change at any moment.
fn no_store(answer: Response) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

async fn call(
    parts: &Parts,
    route: &Route,
    path: Result<Path<HashMap<String, String>>, PathRejection>,
    query: HashMap<String, String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Value> {
    let claims = authenticate(parts, headers).await?;
    if parts.stopping() {
        return Err(Error::Draining);
    }
    let caller = parts.sessions.caller(&claims);
    caller.budget.admit_request(0)?;
    let Path(path) = path.map_err(|_| Error::Invalid {
        field: "path",
        reason: "must be UTF-8",
    })?;
    let reads_body = route.method != Method::GET;
    let mut payload = Payload::default();
    for (name, value) in query {
        payload.set(&name, value);
    }
    if reads_body {
        for (name, value) in json_fields(body, BODY_BYTES_MAX, &caller).await? {
            payload.set(&name, value);
        }
    }
    for (name, value) in path {
        payload.set(&name, value);
    }
    let key = headers.get(IDEMPOTENCY_KEY).filter(|_| reads_body);
    if let Some(key) = key {
        let key = key.to_str().map_err(|_| Error::Invalid {
            field: IDEMPOTENCY_KEY,
            reason: "must be text",
        })?;
        payload.set(KEY, key);
    }
    let operations = &parts.operations;
    let called = operations.call(route.operation, &claims, &payload, Timestamp::now());
    called.await.map_err(|error| match error {
        // The field as the client named it.
        Error::Invalid { field: KEY, reason } if key.is_some() => Error::Invalid {
            field: IDEMPOTENCY_KEY,
            reason,
        },
        error => error,
    })
}
