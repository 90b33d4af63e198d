//! The task that sends what is due.
//!
//! Several instances may send from one outbox: a message is claimed for the time of an attempt
//! before it is sent. An instance that dies during an attempt leaves its claim to expire, and the
//! message is sent again: receivers know repeated messages by their id.

use std::{cmp::min, sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::sender::{ANSWER_TIMEOUT, Sender, Undelivered};
use crate::{
    error::Result,
    id::{MessageId, Timestamp},
    metrics::Metrics,
    store::{Json, Store, args},
};

/// The most messages that are sent at once.
const AT_ONCE: usize = 16;
/// How often the outbox is looked at without a reason.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a claim holds: longer than an attempt.
const CLAIM_MS: i64 = ANSWER_TIMEOUT.as_millis() as i64 + 5000;
/// After this many attempts a message is failed.
const ATTEMPTS_MAX: i64 = 9;
/// The longest wait between two attempts.
const WAIT_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// How long failed messages are kept.
const FAILED_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Sends what is due from the outbox.
pub(super) struct Delivery {
    pub(super) store: Store,
    pub(super) sender: Sender,
    pub(super) metrics: Metrics,
    pub(super) wake: Arc<Notify>,
    /// The wait after the first attempt; it grows fourfold with each one.
    pub(super) retry: Duration,
}

/// A message that was claimed for an attempt.
struct Claimed {
    id: MessageId,
    body: String,
    /// How many attempts were made, this one included.
    attempts: i64,
}

type DueRow = (MessageId, Json<Value>, i64, Timestamp);

impl Delivery {
    /// Sends what is due, or waits for more.
    pub(super) async fn turn(&self) {
        let Ok(claimed) = self.claim(Timestamp::now()).await else {
            // The failure is logged; the messages are still there at the next turn.
            return sleep(LOOK_EVERY).await;
        };
        if claimed.is_empty() {
            let _ = timeout(LOOK_EVERY, self.wake.notified()).await;
            return;
        }
        join_all(claimed.into_iter().map(|message| self.attempt(message))).await;
    }

    /// Claims messages that are due: of each document the first one that is not delivered.
    async fn claim(&self, now: Timestamp) -> Result<Vec<Claimed>> {
        let claim = self.store.transact(async |tx| {
            let due: Vec<DueRow> = tx
                .list(
                    "select message_id, payload, attempts, next_attempt_at
                     from webhook_message
                     where failed_at is null and next_attempt_at <= $1 and not exists (
                         select 1 from webhook_message as earlier
                         where earlier.document_id = webhook_message.document_id
                         and earlier.failed_at is null
                         and earlier.message_id < webhook_message.message_id
                         and (earlier.attempts > 0 or earlier.next_attempt_at <= $1)
                     )
                     order by next_attempt_at, message_id limit $2",
                    args![now, AT_ONCE as i64],
                )
                .await?;
            let mut claimed = Vec::with_capacity(due.len());
            for (id, Json(payload), attempts, due) in due {
                let taken = tx
                    .execute(
                        "update webhook_message
                         set attempts = attempts + 1, next_attempt_at = $3
                         where message_id = $1 and attempts = $2 and next_attempt_at = $4",
                        args![id, attempts, Timestamp(now.0 + CLAIM_MS), due],
                    )
                    .await?;
                if taken == 1 {
                    claimed.push(Claimed {
                        id,
                        body: payload.to_string(),
                        attempts: attempts + 1,
                    });
                }
            }
            Ok(claimed)
        });
        claim.await
    }

    async fn attempt(&self, message: Claimed) {
        let Claimed { id, body, attempts } = message;
        let sent = self.sender.send(id, body, Timestamp::now()).await;
        self.metrics.webhook_sent(sent.is_ok());
        let noted = match sent {
            Ok(()) => self.note_delivered(id).await,
            Err(reason) => {
                tracing::warn!(%id, attempts, %reason, "a webhook was not delivered");
                self.note_undelivered(id, attempts, &reason).await
            }
        };
        // The failure is logged. The claim expires, and the message is sent again.
        let _ = noted;
    }

    async fn note_delivered(&self, id: MessageId) -> Result<()> {
        let delete = self.store.transact(async |tx| {
            tx.execute(
                "delete from webhook_message where message_id = $1",
                args![id],
            )
            .await
        });
        delete.await.map(drop)
    }

    async fn note_undelivered(
        &self,
        id: MessageId,
        attempts: i64,
        reason: &Undelivered,
    ) -> Result<()> {
        let now = Timestamp::now();
        let is_last = attempts >= ATTEMPTS_MAX || matches!(reason, Undelivered::Gone);
        let next = Timestamp(now.0 + self.wait(attempts, reason).as_millis() as i64);
        let failed_at = is_last.then_some(now);
        if is_last {
            tracing::error!(%id, attempts, "a webhook has failed and is not sent again by itself");
        }
        let update = self.store.transact(async |tx| {
            tx.execute(
                "update webhook_message
                 set next_attempt_at = $2, last_error = $3, failed_at = $4 where message_id = $1",
                args![id, next, reason.to_string(), failed_at],
            )
            .await?;
            tx.execute(
                "delete from webhook_message where failed_at < $1",
                args![Timestamp(now.0 - FAILED_KEPT_MS)],
            )
            .await
        });
        update.await.map(drop)
    }

    /// How long to wait after an attempt.
    fn wait(&self, attempts: i64, reason: &Undelivered) -> Duration {
        let exponent = u32::try_from(attempts - 1).unwrap_or(0).min(16);
        let wait = min(
            self.retry.saturating_mul(4_u32.saturating_pow(exponent)),
            WAIT_MAX,
        );
        let asked = match reason {
            Undelivered::Status(_, Some(seconds)) => Duration::from_secs(*seconds),
            Undelivered::Status(_, None) | Undelivered::Gone | Undelivered::NoAnswer(_) => {
                Duration::ZERO
            }
        };
        wait.max(min(asked, WAIT_MAX))
    }
}
