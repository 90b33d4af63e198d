//! What is in the outbox: for operators and for the main service, which may have failed messages sent
//! again.

use serde::Serialize;
use serde_json::Value;

use super::Webhooks;
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::{MessageId, Timestamp},
    payload::Payload,
    store::{FromRow, Json, Row, args},
};

/// The most messages on a page.
const PAGE_MAX: usize = 100;
const PAGE_DEFAULT: usize = 50;

/// A message of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stored {
    /// Its id, which the receiver gets as `webhook-id`.
    pub id: MessageId,
    /// What is sent.
    pub payload: Value,
    /// How many attempts were made.
    pub attempts: i64,
    /// When the next one is made; of a failed message, when it would have been.
    pub next_attempt_at: Timestamp,
    /// Why the last one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When the last attempt failed, after which none is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
}

/// A request for one page.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// Only failed ones.
    pub failed: bool,
    /// The most messages: 1 to 100; without a limit, 50.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<MessageId>,
}

/// A page of messages, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Stored>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<MessageId>,
}

impl PageRequest {
    /// Reads `failed`, `limit` and `cursor`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        let cursor = payload.find_text("cursor")?.map(|text| {
            MessageId::parse(text).ok_or(Error::Invalid {
                field: "cursor",
                reason: "must be the next_cursor of a page of the same list",
            })
        });
        Ok(Self {
            failed: payload.flag("failed")?,
            limit: payload.find_count("limit")?,
            cursor: cursor.transpose()?,
        })
    }
}

impl Webhooks {
    /// Lists one page of the messages of the caller's team that are not delivered.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to publish or to manage; [`Error::Invalid`] with the
    /// field `limit`; otherwise as [`Store::view`](crate::store::Store::view).
    pub async fn list(&self, claims: &Claims, request: &PageRequest) -> Result<Page> {
        require(claims)?;
        let limit = request.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::Invalid {
                field: "limit",
                reason: "must be a number from 1 to 100",
            });
        }
        let read = self.store.view(async |tx| {
            tx.list::<Stored>(
                "select message_id, payload, attempts, next_attempt_at, last_error, failed_at
                 from webhook_message
                 where team = $1 and ($2 is null or message_id > $2)
                 and ($3 = false or failed_at is not null)
                 order by message_id limit $4",
                args![
                    claims.team,
                    request.cursor,
                    request.failed,
                    limit as i64 + 1
                ],
            )
            .await
        });
        let mut messages = read.await?;
        let has_more = messages.len() > limit;
        messages.truncate(limit);
        let next_cursor = messages.last().filter(|_| has_more).map(|last| last.id);
        Ok(Page {
            messages,
            next_cursor,
        })
    }

    /// Has a failed message of the caller's team sent again, with as many attempts as a new one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to publish or to manage; [`Error::NotFound`] for a
    /// message that is unknown or not failed; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn retry(&self, claims: &Claims, id: &str, now: Timestamp) -> Result<()> {
        const NO_MESSAGE: Error = Error::NotFound {
            what: "failed message",
        };
        require(claims)?;
        let id = MessageId::parse(id).ok_or(NO_MESSAGE)?;
        let retried = self.store.transact(async |tx| {
            tx.execute(
                "update webhook_message set failed_at = null, attempts = 0, next_attempt_at = $3
                 where message_id = $1 and team = $2 and failed_at is not null",
                args![id, claims.team, now],
            )
            .await
        });
        if retried.await? == 0 {
            return Err(NO_MESSAGE);
        }
        if let Some(wake) = &self.wake {
            wake.notify_one();
        }
        Ok(())
    }
}

fn require(claims: &Claims) -> Result<()> {
    let rights = claims.rights();
    match rights.allows(Right::Publish) {
        true => Ok(()),
        false => rights.require(Right::Manage),
    }
}

impl FromRow for Stored {
    fn from_row(row: &Row) -> Result<Self> {
        let Json(payload) = row.get("payload")?;
        Ok(Self {
            id: row.get("message_id")?,
            payload,
            attempts: row.get("attempts")?,
            next_attempt_at: row.get("next_attempt_at")?,
            last_error: row.get("last_error")?,
            failed_at: row.get("failed_at")?,
        })
    }
}
