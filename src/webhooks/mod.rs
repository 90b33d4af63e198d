//! Webhooks: tell the main service what changed, at least once.
//!
//! ```text
//! Webhooks   writes messages within the transaction of a feature; lists and repeats failed ones
//! delivery   the task that sends what is due (delivery.rs)
//! sender     one message as a signed HTTP request (sender.rs)
//! ```
//! A message is a row of the outbox, written in the transaction of what it tells of, so that both
//! exist or neither. It is sent until the receiver answers with 2xx, at growing intervals; after
//! nine attempts it stays as failed, can be seen, and can be sent again. Messages of one
//! document are sent in the order in which they were written: one that has to be repeated holds back
//! those behind it. Signatures follow Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

mod address;
mod delivery;
mod messages;
mod sender;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::Notify;

pub use self::messages::{Page, PageRequest, Stored};
use self::{
    delivery::{Delivery, LOOK_EVERY},
    sender::Sender,
};
use crate::{
    config::Webhook,
    error::Result,
    id::{DocumentId, MessageId, RoomName, Team, Timestamp},
    metrics::Metrics,
    store::{Json, Metadata, Store, Transaction, args},
    supervise::{Supervisor, Task},
};

/// The kind of message about edits.
const DOCUMENT_UPDATED: &str = "document.updated";
/// How long edits of a document are collected into one message.
const DEBOUNCE: Duration = Duration::from_secs(5);

/// A message that is to be sent.
pub struct NewMessage<'a> {
    /// The team.
    pub team: &'a Team,
    /// The document that it is about.
    pub document: DocumentId,
    /// The document's room.
    pub room: &'a RoomName,
    /// What happened: `comment.created`.
    pub kind: &'static str,
    /// What is to be said of it: an object.
    pub data: Value,
    /// When it happened.
    pub at: Timestamp,
}

/// The outbox of messages to the main service. Without an address it takes none. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    store: Store,
    /// Wakes the delivery; `None` without an address.
    wake: Option<Arc<Notify>>,
}

impl Webhooks {
    /// An outbox in `store`, and the task that sends to the address in `config`.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) where no HTTP client can be made.
    pub fn start(
        store: Store,
        config: Option<&Webhook>,
        metrics: &Metrics,
        supervisor: &Supervisor,
    ) -> Result<Self> {
        let Some(config) = config else {
            return Ok(Self { store, wake: None });
        };
        let wake = Arc::new(Notify::new());
        let delivery = Delivery {
            store: store.clone(),
            sender: Sender::new(config)?,
            metrics: metrics.clone(),
            wake: Arc::clone(&wake),
            retry: Duration::from_millis(config.retry_ms),
        };
        let caught = supervisor.clone();
        supervisor.spawn(Task::Webhooks, async move {
            loop {
                if let Err(panic) = AssertUnwindSafe(delivery.turn()).catch_unwind().await {
                    caught.panicked(Task::Webhooks, panic);
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        });
        Ok(Self {
            store,
            wake: Some(wake),
        })
    }

    /// Writes a message within the transaction of a feature.
    ///
    /// # Errors
    /// As [`Transaction::execute`].
    pub async fn write(&self, tx: &Transaction, message: NewMessage<'_>) -> Result<()> {
        self.write_due(tx, &message, message.at).await
    }

    /// Writes that a document was edited, unless such a message waits already.
    ///
    /// # Errors
    /// As [`Store::transact`].
    pub async fn document_updated(
        &self,
        team: &Team,
        document: &Metadata,
        at: Timestamp,
    ) -> Result<()> {
        if self.wake.is_none() {
            return Ok(());
        }
        let message = NewMessage {
            team,
            document: document.document_id,
            room: &document.room,
            kind: DOCUMENT_UPDATED,
            data: json!({ "title": document.title, "updated_at": at }),
            at,
        };
        let due = Timestamp(at.0 + DEBOUNCE.as_millis() as i64);
        let written = self.store.transact(async |tx| {
            let updated = tx
                .execute(
                    "update webhook_message set payload = $3
                     where document_id = $1 and kind = $2 and attempts = 0 and failed_at is null",
                    args![message.document, message.kind, message.payload()],
                )
                .await?;
            match updated {
                0 => self.write_due(&tx, &message, due).await,
                _ => Ok(()),
            }
        });
        written.await
    }

    async fn write_due(
        &self,
        tx: &Transaction,
        message: &NewMessage<'_>,
        due: Timestamp,
    ) -> Result<()> {
        let Some(wake) = &self.wake else {
            return Ok(());
        };
        tx.execute(
            "insert into webhook_message (message_id, team, document_id, kind, payload, created_at,
                                          next_attempt_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
            args![
                MessageId::generate(),
                message.team,
                message.document,
                message.kind,
                message.payload(),
                message.at,
                due
            ],
        )
        .await?;
        // A delivery that looks before the commit looks again a moment later.
        wake.notify_one();
        Ok(())
    }
}

impl NewMessage<'_> {
    /// The payload as it is sent: `{ type, timestamp, data }`.
    fn payload(&self) -> Json<Value> {
        let mut data = json!({
            "team": self.team.as_str(), "room": self.room, "document_id": self.document,
        });
        if let (Value::Object(data), Value::Object(more)) = (&mut data, &self.data) {
            data.extend(more.clone());
        }
        Json(json!({ "type": self.kind, "timestamp": self.at, "data": data }))
    }
}
