//! The one task that writes the log: it takes the queued appends, commits them and runs their
//! completions.
//!
//! There is one commit at a time, and a pause after each that fits how long it took: a commit costs
//! the same for one row as for a hundred. The appends that arrive meanwhile make up the next batch,
//! so batches grow with the load. After a pause without appends, the next one is committed at once. A failure changes nothing but
//! [`Availability`]: the same appends are tried again, in order, until they are written. Only
//! appends that the database refuses permanently are given up; their document is then not written
//! for a while, and other documents are not affected.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    append::{AppendError, Outcome},
    backoff::DocumentBackoffs,
    batch::{Batch, Heads},
    database::Database,
    failure::Failure,
    journal::Journal,
    log_tail::LogTail,
};
use crate::{
    id::DocumentId,
    metrics::{Availability, Metrics},
    supervise::Supervisor,
};

/// The time from the begin of one commit to that of the next is at least this many times the duration of the first, within the limits
/// of the options.
const PACE: u32 = 4;
/// It is also at least this times the square root of the rows of the first. As the rows of a commit are those that arrived in one
/// interval, this makes the interval proportional to the rows a second: 20 ms up to 140 of them, 50 ms from 350 on. So few writers get
/// their acks early, and the commits of many take no more of the processor. Measured with the benchmark's scenarios: an interval of 20 ms
/// for everybody cost 10 % more than one of 50 ms in room, and 4 % in typing.
const ROWS_PACE: Duration = Duration::from_millis(12);
/// The wait after the first failure; it doubles up to the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The most bytes of a batch. The limit is halved after a failure, down to `BATCH_BYTES_MIN`, and
/// doubled after a success: over a slow line a full batch might always exceed its time limit.
const BATCH_BYTES_MAX: usize = 8 << 20;
const BATCH_BYTES_MIN: usize = 64 << 10;

/// What the writer does next.
enum Next {
    /// Write a batch.
    Batch(Batch),
    /// Move the rows of SQLite's tail.
    Move,
    /// The log is closed and everything is written.
    End,
}

/// The database is unavailable: appends without an outcome are tried again.
struct Unavailable;

/// The writer of the log.
pub(super) struct Writer {
    journal: Arc<Journal>,
    database: Arc<Database>,
    metrics: Metrics,
    supervisor: Supervisor,
    commit_interval: RangeInclusive<Duration>,
    batch_bytes_max: usize,
    backoff: Duration,
    document_backoffs: DocumentBackoffs,
    tail: LogTail,
    /// The time of the first of the failures in a row.
    unavailable_since: Option<Instant>,
    /// Why the last of them failed.
    cause: String,
}

impl Writer {
    pub(super) fn new(
        journal: Arc<Journal>,
        commit_interval: RangeInclusive<Duration>,
        database: Arc<Database>,
        metrics: Metrics,
        supervisor: Supervisor,
    ) -> Self {
        metrics.storage_available(Availability::Ok);
        let tail = match &*database {
            Database::Sqlite(_) => LogTail::unknown(),
            Database::Postgres(_) => LogTail::none(),
        };
        Self {
            journal,
            database,
            metrics,
            supervisor,
            commit_interval,
            batch_bytes_max: BATCH_BYTES_MAX,
            backoff: BACKOFF_MIN,
            document_backoffs: DocumentBackoffs::default(),
            tail,
            unavailable_since: None,
            cause: String::new(),
        }
    }

    /// Writes until the log is closed and empty.
    pub(super) async fn run(mut self) {
        let mut not_before = Instant::now();
        loop {
            let batch = match self.next(not_before).await {
                Next::Batch(batch) => batch,
                Next::Move => {
                    self.move_tail().await;
                    continue;
                }
                Next::End => break,
            };
            let began = Instant::now();
            self.metrics.journal_bytes(self.journal.reserved() as u64);
            // Appends that the batch has skipped get no outcome.
            let mut outcomes = vec![None; batch.journal_span()];
            let written = self.write(&batch, &mut outcomes).await;
            not_before = began + self.interval(began.elapsed(), batch.rows());
            self.journal.settle(outcomes, &self.supervisor);
            self.metrics.journal_bytes(self.journal.reserved() as u64);
            match written {
                Ok(()) => self.note_available(),
                Err(Unavailable) => self.back_off().await,
            }
        }
        self.move_tail().await;
    }

    /// The time from the begin of a commit that took `duration` and wrote `rows` to that of the next one.
    fn interval(&self, duration: Duration, rows: usize) -> Duration {
        let interval = (duration * PACE).max(ROWS_PACE.mul_f64((rows as f64).sqrt()));
        // Not clamp, which panics if the settings exclude each other.
        interval
            .max(*self.commit_interval.start())
            .min(*self.commit_interval.end())
    }

    /// Moves the rows of SQLite's tail.
    async fn move_tail(&mut self) {
        let requests = self.journal.take_moves();
        if let Database::Sqlite(sqlite) = &*self.database
            && let Err(error) = self.tail.move_rows(sqlite).await
        {
            tracing::warn!(%error, "the tail of the log was not moved: it is tried again");
        }
        for request in requests {
            // Whoever has asked may wait no longer.
            let _ = request.send(());
        }
    }

    async fn next(&self, not_before: Instant) -> Next {
        let batch = self
            .journal
            .next(self.batch_bytes_max, not_before, &self.document_backoffs);
        tokio::select! {
            // A batch may be ready all the time.
            biased;
            () = self.tail.is_due() => Next::Move,
            batch = batch => batch.map_or(Next::End, Next::Batch),
            () = self.journal.move_requested() => Next::Move,
        }
    }

    /// Writes `batch` and puts the outcome of each append into `outcomes`; appends that have to be
    /// tried again get none.
    #[tracing::instrument(level = "debug", name = "commit", skip_all, fields(appends = batch.appends()))]
    async fn write(
        &mut self,
        batch: &Batch,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), Unavailable> {
        match self.attempt(batch).await {
            Ok(heads) => self.note_written(batch, &heads, outcomes),
            Err(Failure::Transient) => return Err(Unavailable),
            Err(Failure::Permanent | Failure::Unclear) => {
                return self.write_apart(batch, outcomes).await;
            }
        }
        Ok(())
    }

    /// Writes each document by itself, so that a refusal affects no other document. An error of the database's own is the fault
    /// of a document only if another one can be written.
    async fn write_apart(
        &mut self,
        batch: &Batch,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), Unavailable> {
        let mut unclear = Vec::new();
        let mut written = 0;
        for (document, part) in batch.by_document() {
            match self.attempt(&part).await {
                Ok(heads) => {
                    self.note_written(&part, &heads, outcomes);
                    written += 1;
                }
                Err(Failure::Permanent) => self.refuse(document, &part, outcomes),
                Err(Failure::Unclear) => unclear.push((document, part)),
                Err(Failure::Transient) => return Err(Unavailable),
            }
        }
        if written == 0 && !unclear.is_empty() {
            self.note_unavailable("an internal error for each document");
            return Err(Unavailable);
        }
        for (document, part) in unclear {
            self.refuse(document, &part, outcomes);
        }
        Ok(())
    }

    /// Gives up the appends of a document.
    fn refuse(&mut self, document: DocumentId, part: &Batch, outcomes: &mut [Option<Outcome>]) {
        let now = Instant::now();
        let retry_after = self.document_backoffs.note_refusal(document, now);
        let rows = part.rows();
        tracing::error!(
            %document,
            rows,
            ?retry_after,
            "the database refuses the updates of a document: they are given up"
        );
        self.metrics.append_refused(rows as u64);
        for (index, refusal) in part.refusals(AppendError::Refused { retry_after }) {
            outcomes[index] = Some(refusal);
        }
    }

    fn note_written(&mut self, batch: &Batch, heads: &Heads, outcomes: &mut [Option<Outcome>]) {
        for document in batch.documents() {
            self.document_backoffs.note_success(document);
        }
        for (index, outcome) in batch.outcomes(heads) {
            outcomes[index] = Some(outcome);
        }
    }

    async fn attempt(&mut self, batch: &Batch) -> Result<Heads, Failure> {
        let started = Instant::now();
        let (failure, cause) = match timeout(
            batch.time_limit(),
            batch.write(&self.database, &mut self.tail),
        )
        .await
        {
            Ok(Ok(heads)) => {
                let (rows, bytes) = (batch.rows() as u64, batch.bytes() as u64);
                self.metrics.appended(rows, bytes, started.elapsed());
                return Ok(heads);
            }
            Ok(Err(error)) => (Failure::of(&error), error.to_string()),
            Err(_) => (Failure::Transient, "no answer in time".to_owned()),
        };
        self.metrics.append_failed();
        match failure {
            Failure::Permanent | Failure::Unclear => {
                tracing::error!(cause, "the database refuses a batch");
            }
            Failure::Transient => self.note_unavailable(&cause),
        }
        Err(failure)
    }

    fn note_unavailable(&mut self, cause: &str) {
        self.unavailable_since.get_or_insert_with(Instant::now);
        if self.journal.set_availability(Availability::Unavailable) {
            self.metrics.storage_available(Availability::Unavailable);
            tracing::error!(
                cause,
                "the database cannot be written: updates are kept in memory"
            );
        } else if cause != self.cause {
            tracing::warn!(cause, "the database still cannot be written");
        } else {
            tracing::debug!(cause, "the database still cannot be written");
        }
        cause.clone_into(&mut self.cause);
    }

    fn note_available(&mut self) {
        self.backoff = BACKOFF_MIN;
        self.batch_bytes_max = (self.batch_bytes_max * 2).min(BATCH_BYTES_MAX);
        if let Some(since) = self.unavailable_since.take() {
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
