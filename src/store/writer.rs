//! The one task that writes the log: takes all that waits, commits it, runs the receipts.
//!
//! One commit at a time, and not more than one in an interval; what is appended
//! meanwhile makes up the next batch, so batches grow with the load by themselves. A failure changes nothing but
//! [`Availability`]: the same appends are tried again, in order, until they are
//! written. Only what the database refuses for good is given up, and only with
//! its own document, which is then left alone for a while.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Availability,
    batch::{Batch, Heads},
    database::Database,
    failure::Failure,
    holds::Holds,
    log::{AppendError, Journal},
};
use crate::{metrics::Metrics, supervise::Supervisor};

/// The wait after the first failure; it doubles up to the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The most bytes of a batch. It is halved down to the least after a failure and
/// doubled after a success: over a slow line a full batch might never end in time.
const BATCH_BYTES_MAX: usize = 8 << 20;
const BATCH_BYTES_MIN: usize = 64 << 10;

type Answer = Result<crate::id::Seq, AppendError>;

/// The database is away: what has no answer is tried again.
struct Away;

pub(super) struct Writer {
    journal: Arc<Journal>,
    database: Arc<Database>,
    metrics: Metrics,
    supervisor: Supervisor,
    commit_interval: Duration,
    batch_bytes_max: usize,
    backoff: Duration,
    holds: Holds,
    /// When the first of the failures in a row was met.
    down_since: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        journal: Arc<Journal>,
        commit_interval: Duration,
        database: Arc<Database>,
        metrics: Metrics,
        supervisor: Supervisor,
    ) -> Self {
        metrics.storage_available(Availability::Ok);
        Self {
            journal,
            database,
            metrics,
            supervisor,
            commit_interval,
            batch_bytes_max: BATCH_BYTES_MAX,
            backoff: BACKOFF_MIN,
            holds: Holds::default(),
            down_since: None,
        }
    }

    /// Writes until the log is closed and empty.
    pub(super) async fn run(mut self) {
        let mut not_before = Instant::now();
        while let Some(batch) = self.next(not_before).await {
            not_before = Instant::now() + self.commit_interval;
            self.metrics.journal_bytes(self.journal.reserved() as u64);
            // Those that the batch has skipped have no answer.
            let mut answers = vec![None; batch.span()];
            let written = self.write(&batch, &mut answers).await;
            self.journal.settle(answers, &self.supervisor);
            self.metrics.journal_bytes(self.journal.reserved() as u64);
            match written {
                Ok(()) => self.recover(),
                Err(Away) => self.back_off().await,
            }
        }
    }

    async fn next(&self, not_before: Instant) -> Option<Batch> {
        self.journal
            .next(self.batch_bytes_max, not_before, &self.holds)
            .await
    }

    /// Puts the answer to each append of `batch` into `answers`; none for those that have to be
    /// tried again.
    #[tracing::instrument(level = "debug", name = "commit", skip_all, fields(appends = batch.appends()))]
    async fn write(&mut self, batch: &Batch, answers: &mut [Option<Answer>]) -> Result<(), Away> {
        match self.attempt(batch).await {
            Ok(heads) => self.wrote(batch, &heads, answers),
            Err(Failure::Passing) => return Err(Away),
            Err(Failure::Lasting) => return self.write_apart(batch, answers).await,
        }
        Ok(())
    }

    /// Writes each document by itself, so that what is refused harms no other.
    async fn write_apart(
        &mut self,
        batch: &Batch,
        answers: &mut [Option<Answer>],
    ) -> Result<(), Away> {
        for (document, part) in batch.by_document() {
            match self.attempt(&part).await {
                Ok(heads) => self.wrote(&part, &heads, answers),
                Err(Failure::Lasting) => {
                    let retry_after = self.holds.refused(document, Instant::now());
                    let rows = part.rows();
                    tracing::error!(
                        %document,
                        rows,
                        ?retry_after,
                        "the database refuses updates: given up"
                    );
                    self.metrics.append_refused(rows as u64);
                    for (position, refusal) in part.refusals(AppendError::Refused { retry_after }) {
                        answers[position] = Some(refusal);
                    }
                }
                Err(Failure::Passing) => return Err(Away),
            }
        }
        Ok(())
    }

    fn wrote(&mut self, batch: &Batch, heads: &Heads, answers: &mut [Option<Answer>]) {
        batch
            .documents()
            .for_each(|document| self.holds.written(document));
        for (position, answer) in batch.answers(heads) {
            answers[position] = Some(answer);
        }
    }

    async fn attempt(&mut self, batch: &Batch) -> Result<Heads, Failure> {
        let started = Instant::now();
        let (failure, cause) = match timeout(batch.time_limit(), batch.write(&self.database)).await
        {
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
