//! The owner of all tasks: their names, and the consequences of their panics.
//!
//! Most tasks are not awaited, so a panic of one would go unnoticed. Therefore all tasks
//! are spawned here (a lint refuses `tokio::spawn` anywhere else), under a name of
//! [`Task`]. A panic is caught, logged as an error with that name, and counted; its
//! consequence is that of [`Task::death`]. The place of the panic is in the log line
//! before, by the panic hook of `telemetry`, which does not know the task.
//!
//! A part of a task that may fail alone (one client's request, one session of many) is
//! run by [`Supervisor::guard`], so that its panic does not end the task.

#[cfg(test)]
mod tests;

use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, telemetry::panic_message};

/// Larger work is boxed. A task is allocated with an alignment of 128 bytes, for which malloc needs a larger piece
/// of free memory than the task leaves when it has ended. The next task of its size could not use that, and tasks of
/// many kilobytes begin and end with each connection.
const TASK_BYTES_MAX: usize = 1024;

/// The kind of a task or of guarded work. A panic is counted under its [`name`](Task::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Writes the log of updates. Without it no update is acknowledged.
    LogWriter,
    /// Observes the deadlines of sessions. Without it expired tokens would stay in use.
    Sessions,
    /// Owns one open document.
    Room,
    /// Writes a snapshot of one document, so that its log can be trimmed.
    Snapshot,
    /// Serves one connection and handles its messages.
    Connection,
    /// Closes connections that never begin a session: without it they would stay for ever.
    Handshakes,
    /// Verifies one token for which keys have to be fetched.
    Handshake,
    /// Fetches the published keys once. The next token that needs them fetches again.
    KeyFetch,
    /// Accepts connections. Without it no client can connect.
    Listener,
    /// Serves HTTP on one connection.
    HttpConnection,
    /// Answers one HTTP request.
    HttpRequest,
    /// Discards the rest of one refused body.
    HttpBody,
    /// Validates one large update.
    Validation,
    /// Informs one room that its rows were written.
    Receipt,
    /// Runs one transaction and publishes its events.
    Transaction,
    /// Tells clients of events.
    Delivery,
    /// Sends what was announced and may wait. Without it, such events wait for others.
    Announcements,
    /// Sends what waits for the clients of a large team, once.
    CrowdFlush,
    /// Tells clients who is present. Its ticks are guarded one by one.
    Presence,
    /// Carries out one operation of a feature for one client.
    Operation,
    /// Sends webhooks. Its turns are caught one by one.
    Webhooks,
    /// Records in the activity who edits.
    Activity,
    /// Reads the revocations of other instances. Its rounds are caught one by one.
    Revocations,
    /// Asks the main service about open sessions. Its rounds are caught one by one.
    SessionValidation,
    /// Looks for rows that other instances have written. Its rounds are caught one by one.
    Heads,
    /// Deletes what features keep for a time only. Its rounds are caught one by one.
    Retention,
    /// Deletes old events.
    EventTrimmer,
    /// Deletes rows of the log that are no longer kept as history.
    HistoryTrimmer,
    /// Deletes documents that have been in the trash for too long.
    TrashPurger,
    /// Looks whether the certificate has changed. Without it the present one stays in use.
    Certificate,
    /// Waits for the signals to stop. Without it the server would not react to them.
    Signals,
}

/// The consequence of a task's panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The server stops in order, because it cannot keep its promises without the task.
    StopsServer,
    /// The panic is counted, and all other tasks continue.
    EndsAlone,
}

impl Task {
    /// All kinds.
    pub const ALL: [Task; 31] = [
        Task::LogWriter,
        Task::Sessions,
        Task::Room,
        Task::Snapshot,
        Task::Connection,
        Task::Handshakes,
        Task::Handshake,
        Task::KeyFetch,
        Task::Listener,
        Task::HttpConnection,
        Task::HttpRequest,
        Task::HttpBody,
        Task::Validation,
        Task::Receipt,
        Task::Transaction,
        Task::Delivery,
        Task::Announcements,
        Task::CrowdFlush,
        Task::Presence,
        Task::Operation,
        Task::Webhooks,
        Task::Activity,
        Task::Revocations,
        Task::SessionValidation,
        Task::Heads,
        Task::Retention,
        Task::EventTrimmer,
        Task::HistoryTrimmer,
        Task::TrashPurger,
        Task::Certificate,
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
            Task::Handshakes => "handshakes",
            Task::Handshake => "handshake",
            Task::KeyFetch => "key_fetch",
            Task::Listener => "listener",
            Task::HttpConnection => "http_connection",
            Task::HttpRequest => "http_request",
            Task::HttpBody => "http_body",
            Task::Validation => "validation",
            Task::Receipt => "receipt",
            Task::Transaction => "transaction",
            Task::Delivery => "delivery",
            Task::Announcements => "announcements",
            Task::CrowdFlush => "crowd_flush",
            Task::Presence => "presence",
            Task::Operation => "operation",
            Task::Webhooks => "webhooks",
            Task::Activity => "activity",
            Task::Revocations => "revocations",
            Task::SessionValidation => "session_validation",
            Task::Heads => "heads",
            Task::Retention => "retention",
            Task::EventTrimmer => "event_trimmer",
            Task::HistoryTrimmer => "history_trimmer",
            Task::TrashPurger => "trash_purger",
            Task::Certificate => "certificate",
            Task::Signals => "signals",
        }
    }

    /// The consequence of its panic.
    pub fn death(self) -> Death {
        match self {
            Task::LogWriter
            | Task::Sessions
            | Task::Handshakes
            | Task::Listener
            | Task::Signals => Death::StopsServer,
            Task::Room
            | Task::Snapshot
            | Task::Connection
            | Task::Handshake
            | Task::KeyFetch
            | Task::HttpConnection
            | Task::HttpRequest
            | Task::HttpBody
            | Task::Validation
            | Task::Receipt
            | Task::Transaction
            | Task::Delivery
            | Task::Announcements
            | Task::CrowdFlush
            | Task::Presence
            | Task::Operation
            | Task::Webhooks
            | Task::Activity
            | Task::Revocations
            | Task::SessionValidation
            | Task::Certificate
            | Task::Heads
            | Task::Retention
            | Task::EventTrimmer
            | Task::HistoryTrimmer
            | Task::TrashPurger => Death::EndsAlone,
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
    /// A supervisor without tasks, which counts panics in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        metrics.tasks_known(Task::ALL.map(Task::name));
        Self(Arc::new(Inner {
            metrics,
            lost: OnceLock::new(),
            losing: CancellationToken::new(),
        }))
    }

    /// The metrics in which panics are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Runs `work` as a separate task. The handle also resolves, without an error, if the
    /// task panics. Dropping the handle does not end the task.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn spawn<F>(&self, task: Task, work: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match mem::size_of::<F>() > TASK_BYTES_MAX {
            true => self.spawn_caught(task, Box::pin(work)),
            false => self.spawn_caught(task, work),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    fn spawn_caught(
        &self,
        task: Task,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let supervisor = self.clone();
        // Not an `async` block, which would hold `work` twice: there may be thousands of tasks.
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

    /// Calls `work` at once and then after each `interval`, as a separate task, until the last other
    /// reference to `state` is dropped.
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn).
    pub fn repeat<T: Send + Sync + 'static>(
        &self,
        task: Task,
        interval: Duration,
        state: &Arc<T>,
        work: impl Fn(Arc<T>) + Send + 'static,
    ) {
        let state = Arc::downgrade(state);
        let repeating = async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                match state.upgrade() {
                    Some(state) => work(state),
                    None => return,
                }
            }
        };
        self.spawn(task, repeating);
    }

    /// Runs `work` on a thread where it may block, and waits for it; `None` if it
    /// panicked. Dropping the future does not stop `work`.
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

    /// As [`Self::blocking`], on a thread that does nothing else and has the name of `task`: its priority may be changed. Also
    /// `None` if the system has no thread.
    pub async fn thread<T: Send + 'static>(
        &self,
        task: Task,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (supervisor, runtime) = (self.clone(), Handle::current());
        let (done, result) = oneshot::channel();
        let guarded = move || {
            let _runtime = runtime.enter();
            let _ = done.send(supervisor.guard(task, work));
        };
        let named = thread::Builder::new().name(task.name().to_owned());
        named.spawn(guarded).ok()?;
        result.await.ok().flatten()
    }

    /// Runs `work` in the present task; `None` if it panicked. The task continues, also if
    /// its own [`death`](Task::death) would stop the server.
    pub fn guard<T>(&self, task: Task, work: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(work))
            .map_err(|payload| self.panicked(task, payload))
            .ok()
    }

    /// Logs and counts a panic that was caught elsewhere, without further consequences.
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
        // `lost` is set before the token is cancelled.
        self.lost().unwrap_or(Task::LogWriter)
    }

    fn lose(&self, task: Task) {
        if self.0.lost.set(task).is_ok() {
            tracing::error!(
                task = task.name(),
                "the server cannot continue without this task"
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
