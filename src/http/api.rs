//! What all routes of the HTTP API have in common. Every request needs a token.

use axum::http::HeaderMap;

use super::{Parts, bearer};
use crate::{
    auth::Claims,
    error::{Error, Result},
};

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
