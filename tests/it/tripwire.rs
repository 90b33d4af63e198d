//! Panics at a chosen place of the running server, without code for it in the server.
//!
//! Every log message and every span of the server passes the tracing subscriber. The subscriber here
//! panics at a chosen message or span name, and so in the code that logs it, on the threads of the
//! test that has chosen it.
//!
//! There is one subscriber for all threads: with a subscriber for each thread, tracing asks only that
//! of the thread which first reaches a place in the code whether the place is enabled, and if that
//! thread is another test's, which has none, the place stays disabled for all.

use std::{
    cell::RefCell,
    fmt::{self, Debug},
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::set_global_default,
};

/// How long a test may take.
const LONGEST: Duration = Duration::from_secs(60);

thread_local! {
    /// The tripwire of the test to which the thread belongs.
    static WIRE: RefCell<Option<Tripwire>> = const { RefCell::new(None) };
}

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

    /// Runs `test` in a runtime whose threads have this tripwire, for a minute at most.
    pub(crate) fn run(&self, test: impl Future<Output = ()> + Send + 'static) {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| set_global_default(Wires).expect("no other subscriber"));
        let wire = self.clone();
        let runtime: Runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_stack_size(64 << 20)
            .on_thread_start(move || WIRE.set(Some(wire.clone())))
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

/// The subscriber, which passes everything to the tripwire of the thread.
struct Wires;

impl Subscriber for Wires {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("realtime_server")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        pass(|| span.metadata().name().to_owned());
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        pass(|| {
            let mut message = Message::default();
            event.record(&mut message);
            message.0
        });
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Passes the words of a message or a span to the tripwire of this thread, if it has one.
fn pass(words: impl FnOnce() -> String) {
    // A thread that is ending has none any more.
    let wire = WIRE.try_with(|wire| wire.borrow().clone());
    if let Some(wire) = wire.ok().flatten() {
        wire.pass(&words());
    }
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
