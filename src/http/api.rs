//! The HTTP API for applications. Every request needs a token.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::{Parts, bearer, refuse};
use crate::{
    auth::Claims,
    catalog::{Page, PageRequest},
    error::{Error, Result},
};

/// The parameters of a query. Of several with the same name, the last one counts.
type Parameters = HashMap<String, String>;

/// Answers `GET /api/v1/documents`: the documents of the caller's team.
pub(super) async fn list_documents(
    State(parts): State<Parts>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Response {
    let answer = match page(&parts, &headers, &parameters).await {
        Ok(page) => Json(page).into_response(),
        Err(error) => refuse(&error),
    };
    // The list is for one user only, and changes with the next edit.
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

async fn page(parts: &Parts, headers: &HeaderMap, parameters: &Parameters) -> Result<Page> {
    let claims = authenticate(parts, headers).await?;
    let parameter = |name| parameters.get(name).map(String::as_str);
    let request = PageRequest::parse(parameter("limit"), parameter("cursor"))?;
    parts.catalog.list(&claims, request).await
}

/// The caller's claims, from the token in the `Authorization` header.
pub(super) async fn authenticate(parts: &Parts, headers: &HeaderMap) -> Result<Claims> {
    let claims = match bearer(headers) {
        Some(token) => parts.verifier.verify(token).await,
        None => Err(Error::Unauthorized {
            reason: "a token is required",
        }),
    };
    claims.inspect_err(|error| parts.metrics.authentication_failed(error.code()))
}
