//! `POST /api/v1/documents/{room}/updates`: one update, at most as large as a document.
//!
//! The room handles it like the update of a socket. Its author takes no seat, so that
//! nothing has to be cleaned up if the client disconnects. As in an answer to a
//! synchronisation, the update may contain the edits of others.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, rejection::PathRejection},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Parts,
    api::authenticate,
    body::{Bodies, discard},
    documents,
    endpoint::{Endpoint, Routes},
    refuse,
};
use crate::{
    auth::Right,
    error::{Error, ErrorCode, Result},
    id::{RoomName, Seq},
    operations::about,
    room::Author,
    session::Identity,
    supervise::{Supervisor, Task},
};
use document::{self, Checked, Visibility};

const BYTES: &str = "application/octet-stream";
const NOTES: &str = "The body is the update itself, in encoding v1, at most as large as a document. \
    It may be sent twice without harm: repeat it if the response was lost.";

/// The state of the route. Cheap to clone.
#[derive(Clone)]
struct Updates(Arc<Shared>);

struct Shared {
    parts: Parts,
    bodies: Bodies,
}

/// The response once the update is durable.
#[derive(Serialize, ToSchema)]
#[schema(as = UpdateAccepted)]
struct Accepted {
    ok: bool,
    seq: Seq,
    /// True where the update waits for edits that the server does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<bool>,
}

impl Updates {
    fn new(parts: Parts) -> Self {
        let stall_timeout = Duration::from_millis(parts.timing.http_body_timeout_ms);
        Self(Arc::new(Shared {
            bodies: Bodies::new(parts.limits.http_bodies_bytes_max, stall_timeout),
            parts,
        }))
    }
}

/// The route of this file.
pub(super) fn routes(parts: &Parts) -> Routes {
    let path = "/api/v1/documents/{room}/updates";
    let description = about("documents")
        .summary("Applies a Yjs update to a document, and answers once it is durable.")
        .notes(NOTES)
        .field::<RoomName>("room")
        .answers::<Accepted>()
        .needs("edit")
        .fails(&[
            ErrorCode::Forbidden,
            ErrorCode::NotFound,
            ErrorCode::Conflict,
        ]);
    let endpoint = Endpoint::new(Method::POST, path, "document_update", description).takes(BYTES);
    let updates = Updates::new(parts.clone());
    Routes::default().add(endpoint, async move |room, request| {
        post_update(updates, room, request).await
    })
}

/// Answers the request.
async fn post_update(
    Updates(shared): Updates,
    room: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    let answer = match shared.take(room, &head.headers, &mut body).await {
        Ok(accepted) => Json(accepted).into_response(),
        Err(error) => {
            discard(body, &shared.parts.supervisor);
            refuse(&error)
        }
    };
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

impl Shared {
    /// Accepts the update. All checks that do not need the body come before it is read.
    async fn take(
        &self,
        room: Result<Path<String>, PathRejection>,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<Accepted> {
        let claims = authenticate(&self.parts, headers).await?;
        let room = documents::room_of(room)?;
        claims.rights_in(&room).require(Right::Edit)?;
        if self.parts.stopping() {
            return Err(Error::Draining);
        }
        let caller = self.parts.sessions.caller(&claims);
        caller.budget.admit_request(0)?;
        caller.budget.admit_update(0)?;
        check_kind(headers)?;
        let _permit = caller.begin_body()?;
        let limit = self.parts.limits.document_bytes_max;
        let read = self.bodies.read(headers, body, limit).await?;
        caller.budget.charge_received(read.bytes.len());
        let (bytes, checked) = validate(&self.parts.supervisor, read.bytes.clone()).await?;
        let author = Author {
            identity: Identity::new(
                self.parts.sessions.next_id(),
                &claims.team,
                claims.user.clone(),
            ),
            caller,
        };
        let key = claims.key(&room);
        let acked = self
            .parts
            .rooms
            .write(&key, &author, bytes, checked)
            .await?;
        Ok(Accepted {
            ok: true,
            seq: acked.seq,
            pending: (acked.visibility == Visibility::Pending).then_some(true),
        })
    }
}

fn check_kind(headers: &HeaderMap) -> Result<()> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind.eq_ignore_ascii_case(BYTES) {
        true => Ok(()),
        false => Err(Error::Invalid {
            field: "content-type",
            reason: "must be application/octet-stream",
        }),
    }
}

/// Validates an update on a thread where it may block.
async fn validate(supervisor: &Supervisor, bytes: Bytes) -> Result<(Bytes, Checked)> {
    let checking = supervisor.blocking(Task::Validation, move || {
        let checked = document::validate(&bytes);
        checked.map(|checked| (bytes, checked))
    });
    let checked = checking.await.ok_or(Error::Internal)?;
    checked.map_err(|_| Error::Invalid {
        field: "body",
        reason: "is not a Yjs update",
    })
}
