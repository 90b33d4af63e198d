//! `/api/v1/documents`: the documents of the caller's team, without their content.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::PathRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    Parts,
    api::{authenticate, json_fields},
    endpoint::{Endpoint, Routes},
    refuse,
};
use crate::{
    auth::{Claims, Permission},
    catalog::{Document, Page, PageParameters, PageRequest, Put, Summary, Title},
    error::{
        Error,
        ErrorCode::{Conflict, Forbidden, NotFound},
        Result,
    },
    id::{DocumentId, RoomName, Timestamp},
    operations::{Description, about},
    session::Caller,
};

/// The largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The parameters of a query. Of several with the same name, the last one counts.
type Parameters = HashMap<String, String>;
type RoomPath = Result<Path<String>, PathRejection>;

/// A document as the answer to a request about it.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentFound)]
struct Found {
    ok: bool,
    document: Document,
    permission: Permission,
}

impl From<Summary> for Found {
    fn from(summary: Summary) -> Self {
        Self {
            ok: true,
            document: summary.document,
            permission: summary.permission,
        }
    }
}

/// The routes of this file.
pub(super) fn routes() -> Routes {
    const LIST: &str = "/api/v1/documents";
    const ONE: &str = "/api/v1/documents/{room}";
    const RESTORE: &str = "/api/v1/documents/{room}/restore";
    let endpoint = |method, path, name, description: Description, needs| {
        Endpoint::new(method, path, name, description.needs(needs))
    };
    let one = |summary| {
        let one = about("documents").summary(summary).answers::<Found>();
        one.field::<RoomName>("room").fails(&[Forbidden, NotFound])
    };
    let listed = about("documents")
        .summary("Lists the documents of the team that the caller may view, without their content.")
        .takes::<PageParameters<'_>>()
        .answers::<Page>();
    let found = one("Gets a document without its content.")
        .notes("Of a name that only a document in the trash has, that one: it has deleted_at.");
    let made = one("Creates a document, or gives an existing one a title.")
        .notes("It is 201 where the document was created.")
        .optional::<Title>("title")
        .example(json!({ "title": "Launch plan" }));
    let titled = one("Gives a document a title, or with null takes it away.");
    let titled = titled
        .nullable::<Title>("title")
        .example(json!({ "title": "Launch plan, final" }));
    let deleted = one("Moves a document to the trash, where it stays for 30 days.");
    let restored = one("Restores a document from the trash.")
        .notes("With document_id it is this one, otherwise the last deleted one of the name.")
        .optional::<DocumentId>("document_id")
        .fails(&[Conflict]);
    let made = endpoint(Method::PUT, ONE, "document_put", made, "edit");
    let by_creator = "manage, or to have created it";
    let by_deleter = "manage, or to have created or deleted it";
    Routes::default()
        .add(
            endpoint(
                Method::GET,
                LIST,
                "document_list",
                listed,
                "view, of each document",
            ),
            list,
        )
        .add(
            endpoint(Method::GET, ONE, "document_get", found, "view"),
            get,
        )
        .add(made.statuses(&[StatusCode::OK, StatusCode::CREATED]), put)
        .add(
            endpoint(Method::PATCH, ONE, "document_patch", titled, "edit"),
            patch,
        )
        .add(
            endpoint(Method::DELETE, ONE, "document_delete", deleted, by_creator),
            delete,
        )
        .add(
            endpoint(
                Method::POST,
                RESTORE,
                "document_restore",
                restored,
                by_deleter,
            ),
            restore,
        )
}

/// Answers `GET documents`: one page of a list.
async fn list(
    State(parts): State<Parts>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Response {
    let page = async {
        let claims = authenticate(&parts, &headers).await?;
        parts.sessions.caller(&claims).budget.admit_request(0)?;
        let parameter = |name| parameters.get(name).map(String::as_str);
        let request = PageRequest::parse(PageParameters {
            limit: parameter("limit"),
            sort: parameter("sort"),
            trash: parameter("trash"),
            query: parameter("q"),
            status: parameter("status"),
            cursor: parameter("cursor"),
        })?;
        parts.catalog.list(&claims, request).await
    };
    answer(page.await.map(Json))
}

/// Answers `GET documents/{room}`.
async fn get(State(parts): State<Parts>, room: RoomPath, headers: HeaderMap) -> Response {
    let found = async {
        let Admitted { claims, room, .. } = admit(&parts, &headers, room).await?;
        parts.catalog.get(&claims, &room).await
    };
    answer(found.await.map(|found| Json(Found::from(found))))
}

/// Answers `PUT documents/{room}`: creates a document, or gives an existing one a title.
async fn put(
    State(parts): State<Parts>,
    room: RoomPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let put = async {
        let Admitted {
            claims,
            room,
            caller,
        } = admit(&parts, &headers, room).await?;
        let title = title(&json_fields(body, BODY_BYTES_MAX, &caller).await?)?.flatten();
        let now = Timestamp::now();
        parts.catalog.put(&claims, &room, title, now).await
    };
    answer(put.await.map(|(document, put)| {
        let status = match put {
            Put::Created => StatusCode::CREATED,
            Put::Existed => StatusCode::OK,
        };
        (status, Json(Found::from(document)))
    }))
}

/// Answers `PATCH documents/{room}`: gives a document a title, or takes it away.
async fn patch(
    State(parts): State<Parts>,
    room: RoomPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let changed = async {
        let Admitted {
            claims,
            room,
            caller,
        } = admit(&parts, &headers, room).await?;
        let title =
            title(&json_fields(body, BODY_BYTES_MAX, &caller).await?)?.ok_or(Error::Invalid {
                field: "title",
                reason: "is required, a text or null",
            })?;
        let now = Timestamp::now();
        parts.catalog.set_title(&claims, &room, title, now).await
    };
    answer(changed.await.map(|changed| Json(Found::from(changed))))
}

/// Answers `DELETE documents/{room}`: moves a document to the trash.
async fn delete(State(parts): State<Parts>, room: RoomPath, headers: HeaderMap) -> Response {
    let deleted = async {
        let Admitted { claims, room, .. } = admit(&parts, &headers, room).await?;
        let now = Timestamp::now();
        parts.catalog.delete(&claims, &room, now).await
    };
    answer(deleted.await.map(|deleted| Json(Found::from(deleted))))
}

/// Answers `POST documents/{room}/restore`: restores a document from the trash.
async fn restore(
    State(parts): State<Parts>,
    room: RoomPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let restored = async {
        let Admitted {
            claims,
            room,
            caller,
        } = admit(&parts, &headers, room).await?;
        let document = document_id(&json_fields(body, BODY_BYTES_MAX, &caller).await?)?;
        let now = Timestamp::now();
        parts.catalog.restore(&claims, &room, document, now).await
    };
    answer(restored.await.map(|restored| Json(Found::from(restored))))
}

/// The answer to a request; it is for one user only, and may change with the next edit.
fn answer(result: Result<impl IntoResponse>) -> Response {
    let answer = match result {
        Ok(answer) => answer.into_response(),
        Err(error) => refuse(&error),
    };
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

/// A request about one room that counts against its caller's budget.
struct Admitted {
    claims: Claims,
    room: RoomName,
    caller: Arc<Caller>,
}

/// The caller and the room of a request, which counts against the caller's budget.
async fn admit(parts: &Parts, headers: &HeaderMap, room: RoomPath) -> Result<Admitted> {
    let claims = authenticate(parts, headers).await?;
    let room = room_of(room)?;
    if parts.stopping() {
        return Err(Error::Draining);
    }
    let caller = parts.sessions.caller(&claims);
    caller.budget.admit_request(0)?;
    Ok(Admitted {
        claims,
        room,
        caller,
    })
}

/// The room of a path.
pub(super) fn room_of(path: RoomPath) -> Result<RoomName> {
    let Path(room) = path.map_err(|_| Error::Invalid {
        field: "room",
        reason: "must be UTF-8",
    })?;
    RoomName::parse(&room)
}

/// The field `title`: `None` if it is absent, `Some(None)` if it is null.
fn title(fields: &Map<String, Value>) -> Result<Option<Option<Title>>> {
    match fields.get("title") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) => Title::parse(text).map(|title| Some(Some(title))),
        Some(_) => Err(Error::Invalid {
            field: "title",
            reason: "must be a text or null",
        }),
    }
}

fn document_id(fields: &Map<String, Value>) -> Result<Option<DocumentId>> {
    let id = match fields.get("document_id") {
        None | Some(Value::Null) => return Ok(None),
        Some(id) => id.as_str().and_then(DocumentId::parse),
    };
    id.map(Some).ok_or(Error::Invalid {
        field: "document_id",
        reason: "must be the id of a document",
    })
}
