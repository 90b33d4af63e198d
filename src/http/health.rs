//! How the server is, for people, load balancers and whatever restarts it.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokio::time::timeout;

use super::{Parts, refuse};
use crate::{error::Error, store::Store};

/// How long health waits for the database.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Where to look when documents are damaged.
const DAMAGE_HINT: &str =
    "see the rows of the table damaged_row without repaired_at, and docs/operations.md, Damage";

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    version: &'static str,
    instance: &'a str,
    uptime_seconds: u64,
    connections: usize,
    rooms: usize,
    damaged_documents: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    dependencies: Dependencies,
}

#[derive(Serialize)]
struct Dependencies {
    storage: &'static str,
}

/// The state of the database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Storage {
    /// It answers; so many documents of it are damaged.
    Answers {
        damaged: u64,
    },
    Away,
}

pub(super) async fn health(State(parts): State<Parts>) -> Response {
    let storage = storage(&parts.store).await;
    let vitals = (parts.vitals)();
    let damaged = match storage {
        Storage::Answers { damaged } => damaged,
        Storage::Away => parts.store.damaged_documents_known(),
    };
    let (code, status) = match (vitals.draining, storage) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, Storage::Answers { damaged: 0 }) => (StatusCode::OK, "ok"),
        (false, Storage::Answers { .. }) => (StatusCode::OK, "degraded"),
        (false, Storage::Away) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        instance: &parts.instance,
        uptime_seconds: parts.started.elapsed().as_secs(),
        connections: vitals.connections,
        rooms: parts.rooms.len(),
        damaged_documents: damaged,
        hint: (damaged > 0).then_some(DAMAGE_HINT),
        dependencies: Dependencies {
            storage: match storage {
                Storage::Answers { .. } => "ok",
                Storage::Away => "unavailable",
            },
        },
    };
    (code, Json(health)).into_response()
}

pub(super) async fn live() -> &'static str {
    "live"
}

pub(super) async fn ready(State(parts): State<Parts>) -> Response {
    if (parts.vitals)().draining {
        return refuse(&Error::Draining);
    }
    match storage(&parts.store).await {
        Storage::Answers { damaged: 0 } => "ready".into_response(),
        Storage::Answers { damaged } => {
            format!("degraded: {damaged} documents are damaged; {DAMAGE_HINT}").into_response()
        }
        Storage::Away => refuse(&Error::StorageUnavailable),
    }
}

async fn storage(store: &Store) -> Storage {
    let Ok(Ok(())) = timeout(PING_TIMEOUT, store.ping()).await else {
        return Storage::Away;
    };
    // A database that serves, but cannot count, has not gone away.
    let counted = timeout(PING_TIMEOUT, store.damaged_documents()).await;
    let damaged = match counted {
        Ok(Ok(damaged)) => damaged,
        Ok(Err(_)) | Err(_) => store.damaged_documents_known(),
    };
    Storage::Answers { damaged }
}
