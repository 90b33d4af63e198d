//! `GET /api/v1/presence` and `GET /api/v1/documents/{room}/presence`: who is present.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use super::{
    Parts,
    api::authenticate,
    endpoint::{Endpoint, Routes},
    refuse,
};
use crate::{
    error::{Error, ErrorCode, Result},
    id::RoomName,
    operations::about,
    presence::PresenceList,
};

/// The routes of this file.
pub(super) fn routes() -> Routes {
    let team = about("presence")
        .summary("Lists who is present in the team.")
        .answers::<PresenceList>();
    let room = about("presence")
        .summary("Lists who is in a room.")
        .field::<RoomName>("room")
        .answers::<PresenceList>()
        .needs("view")
        .fails(&[ErrorCode::Forbidden]);
    let get = |path, name, description| Endpoint::new(Method::GET, path, name, description);
    Routes::default()
        .add(get("/api/v1/presence", "presence_of_team", team), of_team)
        .add(
            get(
                "/api/v1/documents/{room}/presence",
                "presence_of_room",
                room,
            ),
            of_room,
        )
}

/// Answers with the people who are present in the caller's team.
async fn of_team(State(parts): State<Parts>, headers: HeaderMap) -> Response {
    answer(list(&parts, &headers, None).await)
}

/// Answers with the people who are in a room.
async fn of_room(
    State(parts): State<Parts>,
    room: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    answer(list(&parts, &headers, Some(room)).await)
}

async fn list(
    parts: &Parts,
    headers: &HeaderMap,
    room: Option<Result<Path<String>, PathRejection>>,
) -> Result<PresenceList> {
    let claims = authenticate(parts, headers).await?;
    let caller = parts.sessions.caller(&claims);
    caller.budget.admit_request(0)?;
    let began = Instant::now();
    let room = room.map(|room| {
        let Path(room) = room.map_err(|_| Error::Invalid {
            field: "room",
            reason: "must be UTF-8",
        })?;
        RoomName::parse(&room)
    });
    let list = parts.presence.list(&claims, room.transpose()?.as_ref());
    caller.budget.charge(began.elapsed(), 0);
    list
}

/// The list is for one user only, and changes at any moment.
fn answer(list: Result<PresenceList>) -> Response {
    let answer = match list {
        Ok(list) => Json(list).into_response(),
        Err(error) => refuse(&error),
    };
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}
