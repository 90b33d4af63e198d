//! Panics at a chosen place of the running server, without a line for it in the server.
//!
//! Whatever the server logs or opens a span for passes the subscriber of its thread. The
//! one here panics when the words come by that it waits for, where they are logged.

use std::{
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    dispatcher::set_default,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// How long a test may take.
const LONGEST: Duration = Duration::from_secs(60);

/// A panic that waits for a message, or for the name of a span. Once armed, it happens once.
#[derive(Clone)]
pub(crate) struct Tripwire {
    words: &'static str,
    armed: Arc<AtomicBool>,
}

impl Tripwire {
    /// At a message or span of these words; not armed yet.
    pub(crate) fn at(words: &'static str) -> Self {
        Self {
            words,
            armed: Arc::default(),
        }
    }

    /// From now on the words are waited for.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Whether it has not panicked since it was armed.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// Runs `test` as a task of a runtime whose threads have the wire, for a minute at most.
    pub(crate) fn run(&self, test: impl Future<Output = ()> + Send + 'static) {
        let dispatch = Dispatch::new(self.clone());
        let runtime: Runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_stack_size(64 << 20)
            // The thread keeps it to its end.
            .on_thread_start(move || std::mem::forget(set_default(&dispatch)))
            .build()
            .expect("a runtime");
        let test = runtime.spawn(async { timeout(LONGEST, test).await });
        let ended = runtime.block_on(test).expect("the test passes");
        ended.expect("the test ends");
    }

    fn pass(&self, words: &str) {
        if words == self.words && self.armed.swap(false, Ordering::SeqCst) {
            panic!("the wire at {words:?}");
        }
    }
}

impl Subscriber for Tripwire {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("realtime_server")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.pass(span.metadata().name());
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        self.pass(&message.0);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The message of an event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // Writing to a text does not fail.
            let _ = fmt::write(&mut self.0, format_args!("{value:?}"));
        }
    }
}
