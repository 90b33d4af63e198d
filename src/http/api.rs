//! What all routes of the HTTP API have in common. Every request needs a token.

use std::time::Duration;

use axum::{body::Body, http::HeaderMap};
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{Parts, bearer};
use crate::{
    auth::Claims,
    error::{Error, Result},
    limits::{Peer, Subnet},
    session::Caller,
};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The caller's claims, from the token in the `Authorization` header.
pub(super) async fn authenticate(parts: &Parts, headers: &HeaderMap) -> Result<Claims> {
    let claims = match bearer(headers) {
        Some(token) => {
            let subnet = Peer::present().map(|peer| Subnet::from(peer.address));
            let _permit = parts.verifications.permit(subnet).await;
            parts.verifier.verify(token).await
        }
        None => Err(Error::Unauthorized {
            reason: "a token is required",
        }),
    };
    match &claims {
        Ok(_) => {
            if let Some(peer) = Peer::present() {
                peer.place.trust();
            }
        }
        Err(error) => parts.metrics.authentication_failed(error.code()),
    }
    claims
}

/// The fields of a JSON body of at most `bytes_max` bytes, which `caller` sent; none of an empty body.
pub(super) async fn json_fields(
    body: Body,
    bytes_max: usize,
    caller: &Caller,
) -> Result<Map<String, Value>> {
    let body = timeout(BODY_TIMEOUT, Limited::new(body, bytes_max).collect());
    let bytes = match body.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Error::TooLarge { limit: bytes_max });
        }
        Ok(Err(_)) | Err(_) => {
            return Err(Error::Invalid {
                field: "body",
                reason: "did not arrive",
            });
        }
    };
    caller.budget.charge_received(bytes.len());
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&bytes).map_err(|_| Error::Invalid {
        field: "body",
        reason: "must be a JSON object",
    })
}
