//! The state of the server, for operators, load balancers and process supervisors.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{
    Parts,
    endpoint::{Access, Endpoint, Routes, TEXT},
    refuse,
};
use crate::{
    error::{Error, ErrorCode},
    operations::about,
    store::Store,
    supervise::{Supervisor, Task},
};

/// How long a health request waits for the database.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// The hint for a damaged table of documents.
const LIST_HINT: &str = "the list of documents is damaged and no document can be created: see the \
    log of the start, and docs/operations.md, Damage";
/// The hint for a server that stops because of a panic.
const LOST_HINT: &str = "a task that the server depends on has died, and the server is stopping: \
    see the log, and docs/operations.md, When a task dies";
/// The hint for damaged documents.
const DAMAGE_HINT: &str =
    "see the rows of the table damaged_row without repaired_at, and docs/operations.md, Damage";

/// The state of the server.
#[derive(Serialize, ToSchema)]
struct Health<'a> {
    /// `ok`, `degraded`, `draining` or `unavailable`.
    status: &'static str,
    version: &'static str,
    instance: &'a str,
    uptime_seconds: u64,
    /// How many sockets are connected.
    connections: usize,
    /// How many documents are open.
    rooms: usize,
    /// How many documents have rows that cannot be read.
    damaged_documents: u64,
    /// What an operator has to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    dependencies: Dependencies,
}

/// What the server depends on.
#[derive(Serialize, ToSchema)]
struct Dependencies {
    /// `ok` or `unavailable`.
    storage: &'static str,
}

/// The state of the database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Storage {
    Sound,
    /// It responds, but some of its rows are damaged.
    Damaged,
    Unavailable,
}

/// The routes of this file.
pub(super) fn routes() -> Routes {
    const SERVES: &[StatusCode] = &[StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE];
    let get = |path, name, description| {
        Endpoint::new(Method::GET, path, name, description).access(Access::Public)
    };
    let state = about("server")
        .summary("Describes the state of the server and of its dependencies.")
        .notes("It is 503 where the server cannot serve clients.")
        .answers::<Health<'_>>();
    let alive = about("server").summary("Answers while the process responds.");
    let able = about("server")
        .summary("Answers whether the server accepts new connections.")
        .fails(&[ErrorCode::StorageUnavailable, ErrorCode::Draining]);
    Routes::default()
        .add(get("/health", "health_get", state).statuses(SERVES), health)
        .add(get("/health/live", "live_get", alive).gives(TEXT), live)
        .add(get("/health/ready", "ready_get", able).gives(TEXT), ready)
}

async fn health(State(parts): State<Parts>) -> Response {
    let storage = storage(&parts.store, &parts.supervisor).await;
    let lost = parts.supervisor.lost();
    let (code, status) = match (parts.sessions.draining(), storage) {
        _ if lost.is_some() => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, Storage::Sound) => (StatusCode::OK, "ok"),
        (false, Storage::Damaged) => (StatusCode::OK, "degraded"),
        (false, Storage::Unavailable) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        instance: &parts.instance,
        uptime_seconds: parts.started.elapsed().as_secs(),
        connections: (parts.connections)(),
        rooms: parts.rooms.len(),
        damaged_documents: parts.store.damaged_documents_known(),
        hint: lost.map(|_| LOST_HINT).or_else(|| hint(&parts.store)),
        dependencies: Dependencies {
            storage: match storage {
                Storage::Sound | Storage::Damaged => "ok",
                Storage::Unavailable => "unavailable",
            },
        },
    };
    (code, Json(health)).into_response()
}

async fn live() -> &'static str {
    "live"
}

async fn ready(State(parts): State<Parts>) -> Response {
    if parts.stopping() {
        return refuse(&Error::Draining);
    }
    match storage(&parts.store, &parts.supervisor).await {
        Storage::Sound => "ready".into_response(),
        Storage::Damaged => {
            let (damaged, hint) = (parts.store.damaged_documents_known(), hint(&parts.store));
            let hint = hint.unwrap_or_default();
            format!("degraded: {damaged} damaged documents; {hint}").into_response()
        }
        Storage::Unavailable => refuse(&Error::StorageUnavailable),
    }
}

async fn storage(store: &Store, supervisor: &Supervisor) -> Storage {
    // Without the writer no update can be written, even if the database responds.
    if supervisor.lost() == Some(Task::LogWriter) {
        return Storage::Unavailable;
    }
    let Ok(Ok(())) = timeout(PING_TIMEOUT, store.ping()).await else {
        return Storage::Unavailable;
    };
    // If only the number of damaged documents cannot be read, the database is still available.
    let _ = timeout(PING_TIMEOUT, store.damaged_documents()).await;
    match hint(store) {
        Some(_) => Storage::Damaged,
        None => Storage::Sound,
    }
}

/// The hint for the damage that is known, if there is any.
fn hint(store: &Store) -> Option<&'static str> {
    if store.list_is_damaged() {
        Some(LIST_HINT)
    } else {
        (store.damaged_documents_known() > 0).then_some(DAMAGE_HINT)
    }
}
