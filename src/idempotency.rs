//! Requests that a client may repeat without effect: the same key answers the first result, also
//! while the first request is still in progress.
//!
//! A key is a `client_id` in the payload of a request, or the header `Idempotency-Key`. It belongs to
//! its caller and to one kind of request, and is kept for 24 hours. The answer is stored in the
//! transaction that carries the request out, so that either both exist or neither.

use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::{
    auth::Claims,
    error::{Error, Result},
    id::{NAME_BYTES_MAX, Timestamp},
    payload::Payload,
    store::{Json, Store, Transaction, args},
};

/// The field of a request with its key; a door puts the header `Idempotency-Key` there.
pub const FIELD: &str = "client_id";
/// How long a key is kept.
pub const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// The most rows that one statement deletes: in SQLite the log's writer waits for it.
const TRIMMED_MAX: i64 = 200;

/// A key, with a hash of the content of its request.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct RequestKey {
    /// A text of the caller's own, 1 to 255 bytes without control characters, drawn for each new
    /// request: a repetition with the same one has no further effect and the same answer.
    #[schema(
        rename = "client_id",
        required = false,
        min_length = 1,
        max_length = 255
    )]
    key: String,
    #[schema(ignore)]
    content: String,
}

impl RequestKey {
    /// The key of a request, if it has one: its field `client_id`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is not 1 to 255 bytes without control characters.
    pub fn find(payload: &Payload) -> Result<Option<Self>> {
        let Some(key) = payload.find_text(FIELD)? else {
            return Ok(None);
        };
        let fits = (1..=NAME_BYTES_MAX).contains(&key.len());
        if !fits || key.contains(char::is_control) {
            return Err(Error::Invalid {
                field: FIELD,
                reason: "must be 1 to 255 bytes without control characters",
            });
        }
        let mut content = Sha256::new();
        for (name, value) in payload.fields() {
            if name != FIELD {
                content.update(format!("{name}:{value},"));
            }
        }
        let hash = content.finalize();
        Ok(Some(Self {
            key: key.to_owned(),
            content: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }))
    }

    /// The key of one part of the request, which has a transaction of its own.
    pub fn part(&self, number: usize) -> Self {
        Self {
            key: format!("{}\u{1f}{number}", self.key),
            content: self.content.clone(),
        }
    }
}

/// Runs `work` in the transaction `tx` and stores its answer under `key`, or returns the answer that
/// is stored there. Without a key it just runs `work`.
///
/// # Errors
/// [`Error::Conflict`] where the key was used for a request of the same kind with another content;
/// otherwise the error of `work`, or as [`Transaction::execute`].
pub async fn once(
    tx: &Transaction,
    claims: &Claims,
    request: &'static str,
    key: Option<&RequestKey>,
    now: Timestamp,
    work: impl AsyncFnOnce() -> Result<Value>,
) -> Result<Value> {
    let Some(RequestKey { key, content }) = key else {
        return work().await;
    };
    let (team, user) = (&claims.team, &claims.user.id);
    // Waits for another transaction with the same key.
    let is_first = tx
        .execute(
            "insert into answered_request (team, user_id, request, key, content, at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (team, user_id, request, key) do update
             set content = excluded.content, at = excluded.at, answer = null
             where answered_request.at < $7",
            args![
                team,
                user,
                request,
                key,
                content,
                now,
                Timestamp(now.0 - KEPT_MS)
            ],
        )
        .await?;
    if is_first == 0 {
        let stored: Option<(String, Option<Json<Value>>)> = tx
            .find(
                "select content, answer from answered_request
                 where team = $1 and user_id = $2 and request = $3 and key = $4",
                args![team, user, request, key],
            )
            .await?;
        return match stored {
            Some((of, Some(Json(answer)))) if of == *content => Ok(answer),
            _ => Err(Error::Conflict {
                reason: "the key was used for another request",
            }),
        };
    }
    let answer = work().await?;
    tx.execute(
        "update answered_request set answer = $5
         where team = $1 and user_id = $2 and request = $3 and key = $4",
        args![team, user, request, key, answer],
    )
    .await?;
    Ok(answer)
}

/// Deletes keys that are older than 24 hours at `now`, at most 200; returns how many.
///
/// # Errors
/// As [`Store::transact`].
pub async fn trim(store: &Store, now: Timestamp) -> Result<u64> {
    let trimmed = store.transact(async |tx| {
        tx.execute(
            "delete from answered_request where (team, user_id, request, key) in (
                 select team, user_id, request, key from answered_request where at < $1 limit $2
             )",
            args![Timestamp(now.0 - KEPT_MS), TRIMMED_MAX],
        )
        .await
    });
    trimmed.await
}
