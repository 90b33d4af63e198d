//! The one task that writes the log: takes all that waits, commits it, runs the receipts.
//!
//! One commit at a time, and not more than one in an interval; what is appended
//! meanwhile makes up the next batch, so batches grow with the load by themselves. A failure changes nothing but
//! [`Availability`]: the same appends are tried again, in order, until they are
//! written. Only what the database refuses for good is given up, and only with
//! its own document.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Availability,
    batch::{Batch, Heads},
    database::Database,
    failure::Failure,
    log::{AppendError, Journal},
};
use crate::metrics::Metrics;

/// How long a commit may take before the database counts as unavailable.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait after the first failure; it doubles up to the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The most bytes of a batch. It is halved down to the least after a failure and
/// doubled after a success: over a slow line a full batch might never end in time.
const BATCH_BYTES_MAX: usize = 8 << 20;
const BATCH_BYTES_MIN: usize = 64 << 10;

type Answer = Result<crate::id::Seq, AppendError>;

pub(super) struct Writer {
    journal: Arc<Journal>,
    database: Arc<Database>,
    metrics: Metrics,
    commit_interval: Duration,
    batch_bytes_max: usize,
    backoff: Duration,
    /// When the first of the failures in a row was met.
    down_since: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        journal: Arc<Journal>,
        commit_interval: Duration,
        database: Arc<Database>,
        metrics: Metrics,
    ) -> Self {
        metrics.storage_available(Availability::Ok);
        Self {
            journal,
            database,
            metrics,
            commit_interval,
            batch_bytes_max: BATCH_BYTES_MAX,
            backoff: BACKOFF_MIN,
            down_since: None,
        }
    }

    /// Writes until the log is closed and empty.
    pub(super) async fn run(mut self) {
        let mut not_before = Instant::now();
        while let Some(batch) = self.journal.next(self.batch_bytes_max, not_before).await {
            not_before = Instant::now() + self.commit_interval;
            self.metrics.journal_bytes(self.journal.reserved() as u64);
            let answers = self.write(&batch).await;
            let finished = answers.iter().all(Option::is_some);
            self.journal.settle(answers);
            self.metrics.journal_bytes(self.journal.reserved() as u64);
            if finished {
                self.recover();
            } else {
                self.back_off().await;
            }
        }
    }

    /// The answer to each append of `batch`; none to those that have to be tried again.
    #[tracing::instrument(level = "debug", name = "commit", skip_all, fields(appends = batch.appends()))]
    async fn write(&mut self, batch: &Batch) -> Vec<Option<Answer>> {
        match self.attempt(batch).await {
            Ok(heads) => batch.answers(&heads).into_iter().map(Some).collect(),
            Err(Failure::Passing) => vec![None; batch.appends()],
            Err(Failure::Lasting) => self.write_apart(batch).await,
        }
    }

    /// Writes each document by itself, so that what is refused harms no other.
    async fn write_apart(&mut self, batch: &Batch) -> Vec<Option<Answer>> {
        let mut answers = vec![None; batch.appends()];
        for (indexes, part) in batch.by_document() {
            let outcomes = match self.attempt(&part).await {
                Ok(heads) => part.answers(&heads),
                Err(Failure::Lasting) => {
                    let (document, rows) = (part.only_document(), part.rows());
                    tracing::error!(?document, rows, "the database refuses updates: given up");
                    let retry_after = Duration::from_millis(250);
                    vec![Err(AppendError::Refused { retry_after }); part.appends()]
                }
                Err(Failure::Passing) => break,
            };
            for (index, outcome) in indexes.into_iter().zip(outcomes) {
                answers[index] = Some(outcome);
            }
        }
        answers
    }

    async fn attempt(&mut self, batch: &Batch) -> Result<Heads, Failure> {
        let started = Instant::now();
        let (failure, cause) = match timeout(ATTEMPT_TIMEOUT, batch.write(&self.database)).await {
            Ok(Ok(heads)) => {
                let (rows, bytes) = (batch.rows() as u64, batch.bytes() as u64);
                self.metrics.appended(rows, bytes, started.elapsed());
                return Ok(heads);
            }
            Ok(Err(error)) => (Failure::of(&error), error.to_string()),
            Err(_) => (Failure::Passing, "no answer in time".to_owned()),
        };
        self.metrics.append_failed();
        match failure {
            Failure::Lasting => tracing::error!(cause, "the database refuses a batch"),
            Failure::Passing => self.lose(&cause),
        }
        Err(failure)
    }

    fn lose(&mut self, cause: &str) {
        self.down_since.get_or_insert_with(Instant::now);
        if self.journal.set_availability(Availability::Unavailable) {
            self.metrics.storage_available(Availability::Unavailable);
            tracing::error!(
                cause,
                "the database cannot be written: updates wait in memory"
            );
        } else {
            tracing::debug!(cause, "the database still cannot be written");
        }
    }

    fn recover(&mut self) {
        self.backoff = BACKOFF_MIN;
        self.batch_bytes_max = (self.batch_bytes_max * 2).min(BATCH_BYTES_MAX);
        if let Some(since) = self.down_since.take() {
            self.journal.set_availability(Availability::Ok);
            self.metrics.storage_available(Availability::Ok);
            tracing::info!(away = ?since.elapsed(), "the database can be written again");
        }
    }

    async fn back_off(&mut self) {
        sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.batch_bytes_max = (self.batch_bytes_max / 2).max(BATCH_BYTES_MIN);
    }
}
