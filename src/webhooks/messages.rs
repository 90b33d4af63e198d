//! What is in the outbox: for operators and for the main service, which may have failed messages sent
//! again.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Webhooks;
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::{MessageId, Timestamp},
    payload::Payload,
    store::{FromRow, Json, Row, Window, args},
};

/// A message of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = WebhookMessage)]
pub struct Stored {
    /// Its id, which the receiver gets as `webhook-id`.
    pub id: MessageId,
    /// What is sent.
    #[schema(value_type = Object)]
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
#[derive(Clone, Debug, ToSchema)]
pub struct PageRequest {
    /// Only failed ones.
    #[schema(required = false)]
    pub failed: bool,
    /// Which part of the list.
    #[schema(ignore)]
    pub window: Window<MessageId>,
}

/// A page of messages, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = WebhookPage)]
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
        Ok(Self {
            failed: payload.flag("failed")?,
            window: Window::read(payload, MessageId::parse)?,
        })
    }
}

impl Webhooks {
    /// Lists one page of the messages of the caller's team that are not delivered.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to publish or to manage; otherwise as
    /// [`Store::view`](crate::store::Store::view).
    pub async fn list(&self, claims: &Claims, request: &PageRequest) -> Result<Page> {
        require(claims)?;
        let read = |after, rows_max| self.read(claims, request.failed, after, rows_max);
        let page = request.window.fill(read, |stored: &Stored| stored.id, Some);
        let (messages, next_cursor) = page.await?;
        Ok(Page {
            messages,
            next_cursor,
        })
    }

    async fn read(
        &self,
        claims: &Claims,
        failed: bool,
        after: Option<MessageId>,
        rows_max: i64,
    ) -> Result<Vec<Stored>> {
        let read = self.store.view(async |tx| {
            tx.list(
                "select message_id, payload, attempts, next_attempt_at, last_error, failed_at
                 from webhook_message
                 where team = $1 and ($2 is null or message_id > $2)
                 and ($3 = false or failed_at is not null)
                 order by message_id limit $4",
                args![claims.team, after, failed, rows_max],
            )
            .await
        });
        read.await
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
