//! Every task has an owner: what it is called, and what its death means.
//!
//! A task that panics would end without a word: nobody waits for most of them. So all
//! are spawned here (a lint refuses `tokio::spawn` anywhere else), under a name of
//! [`Task`]. A panic is caught, logged as an error with that name, and counted; then
//! [`Task::death`] says what follows. Where the panic was is in the line before: the
//! panic hook of `telemetry` knows the place, and not the task.
//!
//! What runs inside of a task and may fail by itself (one client's request, one
//! session of many) is run by [`Supervisor::guard`], so that the task lives on.

#[cfg(test)]
mod tests;

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, telemetry::panic_message};

/// What is spawned or guarded. A panic is counted under [`name`](Task::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Writes the log of updates: without it nothing is acknowledged.
    LogWriter,
    /// Looks after sessions: without it expired tokens go on working.
    Sessions,
    /// Owns one open document.
    Room,
    /// Keeps one document's state, so that its log can be trimmed.
    Snapshot,
    /// Carries one connection, and takes what it brings.
    Connection,
    /// Verifies one token for which keys have to be fetched.
    Handshake,
    /// Fetches the published keys once; the next token that needs them fetches again.
    KeyFetch,
    /// Answers one HTTP request.
    HttpRequest,
    /// Throws away the rest of one refused body.
    HttpBody,
    /// Checks one large update.
    Validation,
    /// Tells one room of what was written.
    Receipt,
    /// Keeps one transaction, and tells of its events.
    Transaction,
    /// Deletes old events.
    EventTrimmer,
    /// Waits for the signals to stop: without it the server would not hear them.
    Signals,
}

/// What follows when a task panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The server stops in order, because it can no longer keep what it promises.
    StopsServer,
    /// It is counted, and the others go on.
    EndsAlone,
}

impl Task {
    /// All of them.
    pub const ALL: [Task; 14] = [
        Task::LogWriter,
        Task::Sessions,
        Task::Room,
        Task::Snapshot,
        Task::Connection,
        Task::Handshake,
        Task::KeyFetch,
        Task::HttpRequest,
        Task::HttpBody,
        Task::Validation,
        Task::Receipt,
        Task::Transaction,
        Task::EventTrimmer,
        Task::Signals,
    ];

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Task::LogWriter => "log_writer",
            Task::Sessions => "sessions",
            Task::Room => "room",
            Task::Snapshot => "snapshot",
            Task::Connection => "connection",
            Task::Handshake => "handshake",
            Task::KeyFetch => "key_fetch",
            Task::HttpRequest => "http_request",
            Task::HttpBody => "http_body",
            Task::Validation => "validation",
            Task::Receipt => "receipt",
            Task::Transaction => "transaction",
            Task::EventTrimmer => "event_trimmer",
            Task::Signals => "signals",
        }
    }

    /// What follows when it dies.
    pub fn death(self) -> Death {
        match self {
            Task::LogWriter | Task::Sessions | Task::Signals => Death::StopsServer,
            Task::Room
            | Task::Snapshot
            | Task::Connection
            | Task::Handshake
            | Task::KeyFetch
            | Task::HttpRequest
            | Task::HttpBody
            | Task::Validation
            | Task::Receipt
            | Task::Transaction
            | Task::EventTrimmer => Death::EndsAlone,
        }
    }
}

/// The owner of all tasks of one server. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    /// The first task whose death stops the server.
    lost: OnceLock<Task>,
    losing: CancellationToken,
}

impl Supervisor {
    /// An owner without tasks, which counts panics in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        metrics.tasks_known(Task::ALL.map(Task::name));
        Self(Arc::new(Inner {
            metrics,
            lost: OnceLock::new(),
            losing: CancellationToken::new(),
        }))
    }

    /// Runs `work` as a task of its own. The handle is resolved as well where the task
    /// dies; dropping it leaves the task alone.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn(
        &self,
        task: Task,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let supervisor = self.clone();
        // Not an `async` block, which would hold `work` twice: there may be many thousands.
        let caught = AssertUnwindSafe(work).catch_unwind();
        tokio::spawn(caught.map(move |ended| {
            if let Err(payload) = ended {
                supervisor.panicked(task, payload);
                if task.death() == Death::StopsServer {
                    supervisor.lose(task);
                }
            }
        }))
    }

    /// Runs `work` on a thread where it may block, and waits for it; `None` where it
    /// panicked. A caller that gives up does not stop it.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub async fn blocking<T: Send + 'static>(
        &self,
        task: Task,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let supervisor = self.clone();
        let guarded = move || supervisor.guard(task, work);
        tokio::task::spawn_blocking(guarded).await.ok().flatten()
    }

    /// Runs `work` here and now; `None` where it panicked. The task around it lives on,
    /// whatever its [`death`](Task::death) would mean.
    pub fn guard<T>(&self, task: Task, work: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(work))
            .map_err(|payload| self.panicked(task, payload))
            .ok()
    }

    /// Logs and counts a panic that was caught elsewhere; nothing else follows.
    pub fn panicked(&self, task: Task, payload: Box<dyn Any + Send>) {
        let (name, message) = (task.name(), panic_message(&*payload));
        tracing::error!(task = name, message = %format_args!("a task panicked: {message}"));
        self.0.metrics.task_panicked(name);
    }

    /// The task whose death stops the server, if one has died.
    pub fn lost(&self) -> Option<Task> {
        self.0.lost.get().copied()
    }

    /// Waits until a task has died whose death stops the server.
    pub async fn losing(&self) -> Task {
        self.0.losing.cancelled().await;
        // It is set before anybody is told.
        self.lost().unwrap_or(Task::LogWriter)
    }

    fn lose(&self, task: Task) {
        if self.0.lost.set(task).is_ok() {
            tracing::error!(
                task = task.name(),
                "the server cannot go on without this task"
            );
        }
        self.0.losing.cancel();
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}
