//! What the features keep for a time only: a task deletes it afterwards.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::sleep;

use super::Operations;
use crate::{
    error::Result,
    id::Timestamp,
    idempotency,
    supervise::{Supervisor, Task},
};

/// The time between two rounds.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

impl Operations {
    /// Deletes what is too old, now and every hour, in a task that never ends. Several instances may
    /// do so at once.
    pub fn watch(&self, supervisor: &Supervisor) {
        let (operations, caught) = (self.clone(), supervisor.clone());
        supervisor.spawn(Task::Retention, async move {
            loop {
                let trimmed = AssertUnwindSafe(operations.trim(Timestamp::now()));
                match trimmed.catch_unwind().await {
                    Ok(Ok(0)) => {}
                    Ok(Ok(rows)) => tracing::info!(rows, "old rows of features are deleted"),
                    // It is logged; the next round deletes the rest.
                    Ok(Err(_)) => {}
                    Err(panic) => caught.panicked(Task::Retention, panic),
                }
                sleep(INTERVAL).await;
            }
        });
    }

    /// Deletes everything that is too old at `now`; returns the number of rows.
    ///
    /// # Errors
    /// As [`Store::transact`](crate::store::Store::transact).
    pub async fn trim(&self, now: Timestamp) -> Result<u64> {
        let mut rows = 0;
        loop {
            let trimmed = self.notifications.trim(now).await?
                + self.activities.trim(now).await?
                + self.revocations.trim(now).await?
                + idempotency::trim(self.activities.store(), now).await?;
            if trimmed == 0 {
                return Ok(rows);
            }
            rows += trimmed;
        }
    }
}
