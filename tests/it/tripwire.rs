//! Panics at a chosen place of the running server, without code for it in the server.
//!
//! Every log message and every span of the server passes the tracing subscriber of its thread. The
//! subscriber here panics at a chosen message or span name, and so in the code that logs it.

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

/// A panic at a log message, or at the name of a span. It happens once after it was armed.
#[derive(Clone)]
pub(crate) struct Tripwire {
    words: &'static str,
    armed: Arc<AtomicBool>,
}

impl Tripwire {
    /// A panic at the message or span `words`; it is not armed yet.
    pub(crate) fn at(words: &'static str) -> Self {
        Self {
            words,
            armed: Arc::default(),
        }
    }

    /// Lets the next message or span with the words panic.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Whether it is armed and has not panicked yet.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// Runs `test` in a runtime whose threads have this subscriber, for a minute at most.
    pub(crate) fn run(&self, test: impl Future<Output = ()> + Send + 'static) {
        let dispatch = Dispatch::new(self.clone());
        let runtime: Runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_stack_size(64 << 20)
            // The subscriber stays set until the thread ends.
            .on_thread_start(move || std::mem::forget(set_default(&dispatch)))
            .build()
            .expect("a runtime");
        let test = runtime.spawn(async { timeout(LONGEST, test).await });
        let ended = runtime.block_on(test).expect("the test passes");
        ended.expect("the test ends");
    }

    fn pass(&self, words: &str) {
        if words == self.words && self.armed.swap(false, Ordering::SeqCst) {
            panic!("the tripwire at {words:?}");
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
            // Writing to a `String` does not fail.
            let _ = fmt::write(&mut self.0, format_args!("{value:?}"));
        }
    }
}
