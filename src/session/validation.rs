//! Asks the main service about the tokens of open sessions again, and ends those that are not active
//! any more.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::sleep;

use super::{Session, Sessions};
use crate::{auth::Verifier, metrics::Metrics, supervise::Task};

/// How often all sessions are looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many sessions are asked about at once. The verifier bounds the requests themselves.
const ASKED_MAX: usize = 64;

impl Sessions {
    /// Spawns the task that asks about the tokens of all sessions, if the main service is to be
    /// asked. It ends when the last clone of this registry is dropped.
    pub fn watch_validity(&self, verifier: &Verifier) {
        if !verifier.asks() {
            return;
        }
        let (verifier, supervisor) = (verifier.clone(), self.shared.supervisor.clone());
        let shared = Arc::downgrade(&self.shared);
        let caught = supervisor.clone();
        supervisor.spawn(Task::SessionValidation, async move {
            while let Some(shared) = shared.upgrade() {
                let round = Sessions { shared }.validate(&verifier);
                if let Err(panic) = AssertUnwindSafe(round).catch_unwind().await {
                    caught.panicked(Task::SessionValidation, panic);
                }
                sleep(INTERVAL).await;
            }
        });
    }

    /// Asks about every session for which it is time.
    async fn validate(self, verifier: &Verifier) {
        let is_stale =
            |session: &Session| !session.has_ended() && verifier.is_stale(&session.claims());
        let stale = self.all_where(is_stale);
        let metrics = &self.shared.supervisor.metrics().clone();
        drop(self);
        stream::iter(stale)
            .for_each_concurrent(ASKED_MAX, |session| async move {
                session.validate(verifier, metrics).await;
            })
            .await;
    }
}

impl Session {
    async fn validate(&self, verifier: &Verifier, metrics: &Metrics) {
        let claims = self.claims();
        if let Err(error) = verifier.ask_again(&claims).await {
            // A token that replaced it meanwhile was asked about by itself.
            if Arc::ptr_eq(&claims, &self.claims()) && !self.has_ended() {
                self.end(&error);
                metrics.session_inactive();
            }
        }
    }
}
