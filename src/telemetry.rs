//! The log, and traces for a collector.
//!
//! Every line contains the instance. Every panic is logged, also one that is caught.
//! Lines go to stdout as JSON, or to stderr as readable text. This module does not
//! filter secrets: callers must not log tokens or documents.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    fmt,
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// How long a stop waits for a collector that does not respond.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How many bytes of a panic's message are logged, since it may quote parsed input.
const PANIC_BYTES_MAX: usize = 500;

/// Running telemetry, to be [stopped](Telemetry::stop) last.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    levels: Levels,
}

/// Sets the level of the log while it runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Levels(reload::Handle<EnvFilter, Registry>);

impl Levels {
    /// Logs from now on what `filter` lets pass, in the syntax of `RUST_LOG`. Unknown parts are
    /// ignored.
    pub fn set(&self, filter: &str) {
        // It fails only once the log itself has ended.
        let _ = self.0.reload(level_filter(filter));
    }
}

fn level_filter(filter: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(with_library_levels(filter))
}

/// `filter` with a higher default level for a library that logs its own shutdown.
fn with_library_levels(filter: &str) -> String {
    format!("opentelemetry_sdk=warn,{filter}")
}

/// Telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter of traces cannot be built.
    #[error("traces cannot be exported: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Another logger is installed in this process.
    #[error("another logger is installed: {0}")]
    Log(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging and, with an `otlp_endpoint`, the export of traces; `instance`
/// is letters, digits, dots, dashes and underscores.
///
/// Traces are sent from a separate thread, by a client that blocks: call this, and
/// [`Telemetry::stop`], outside of an asynchronous runtime.
///
/// # Errors
/// The endpoint is not an address, or telemetry was started before.
pub fn start(
    log: &Log,
    otlp_endpoint: Option<&str>,
    instance: &str,
) -> Result<Telemetry, TelemetryError> {
    let traces = otlp_endpoint
        .map(|endpoint| export_traces(endpoint, instance))
        .transpose()?;
    let spans = traces
        .as_ref()
        .map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("realtime-server")));
    let (filter, levels) = reload::Layer::new(level_filter(&log.filter));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines(log.format, instance))
        .with(spans)
        .try_init()?;
    panic::set_hook(Box::new(log_panic));
    let levels = Levels(levels);
    Ok(Telemetry { traces, levels })
}

impl Telemetry {
    /// Sets the level of the log.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Sends the traces that are not sent yet, for at most two seconds.
    pub fn stop(self) {
        if let Some(traces) = self.traces
            && let Err(error) = traces.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "traces were not flushed");
        }
    }
}

fn export_traces(endpoint: &str, instance: &str) -> Result<SdkTracerProvider, TelemetryError> {
    // The library appends no path to an endpoint that is set by code.
    let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint)
        .build()?;
    let resource = Resource::builder()
        .with_service_name("realtime-server")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

type Lines<S> = Box<dyn Layer<S> + Send + Sync>;

fn lines<S>(format: LogFormat, instance: &str) -> Lines<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Json => json_lines(instance, io::stdout),
        LogFormat::Pretty if io::stderr().is_terminal() => {
            pretty_lines(instance, io::stderr, Colours::On)
        }
        LogFormat::Pretty => pretty_lines(instance, io::stderr, Colours::Off),
    }
}

fn json_lines<S, W>(instance: &str, writer: W) -> Lines<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let inner = Format::default()
        .json()
        .flatten_event(true)
        .with_span_list(false);
    let instance = instance.to_owned();
    tracing_subscriber::fmt::layer()
        .json()
        .event_format(JsonLines { inner, instance })
        .with_writer(writer)
        .boxed()
}

fn pretty_lines<S, W>(instance: &str, writer: W, colours: Colours) -> Lines<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let inner = Format::default();
    let instance = instance.to_owned();
    tracing_subscriber::fmt::layer()
        .event_format(PrettyLines { inner, instance })
        .with_ansi(colours == Colours::On)
        .with_writer(writer)
        .boxed()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    On,
    Off,
}

/// JSON objects whose first field is the instance.
struct JsonLines<F> {
    inner: F,
    instance: String,
}

impl<S, N, F> FormatEvent<S, N> for JsonLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut object = String::new();
        self.inner
            .format_event(context, Writer::new(&mut object), event)?;
        let fields = object.strip_prefix('{').ok_or(fmt::Error)?;
        // The characters of an instance's name need no escape.
        write!(writer, "{{\"instance\":\"{}\",{fields}", self.instance)
    }
}

/// Readable lines that begin with the instance.
struct PrettyLines<F> {
    inner: F,
    instance: String,
}

impl<S, N, F> FormatEvent<S, N> for PrettyLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "{} ", self.instance)?;
        self.inner.format_event(context, writer, event)
    }
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    let thread = std::thread::current();
    // Captured only if RUST_BACKTRACE requires it.
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        location,
        thread = thread.name(),
        backtrace,
        "panic: {}",
        panic_message(info.payload())
    );
}

/// The message of a panic, truncated to 500 bytes.
pub(crate) fn panic_message(payload: &dyn Any) -> &str {
    let message = match payload.downcast_ref::<&'static str>() {
        Some(message) => message,
        None => payload
            .downcast_ref::<String>()
            .map_or("no message", String::as_str),
    };
    &message[..message.floor_char_boundary(PANIC_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Root = tracing_subscriber::Registry;

    /// The log of `run`, formatted by `layer`.
    fn logged(layer: impl FnOnce(Sink) -> Lines<Root>, run: impl FnOnce()) -> String {
        let sink = Sink::default();
        let subscriber = tracing_subscriber::registry().with(layer(sink.clone()));
        tracing::subscriber::with_default(subscriber, run);
        let bytes = sink.0.lock().expect("no writer panicked").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panicked").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Sink {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn json(sink: Sink) -> Lines<Root> {
        json_lines("abc-1", sink)
    }

    fn pretty(sink: Sink) -> Lines<Root> {
        pretty_lines("abc-1", sink, Colours::Off)
    }

    #[test]
    fn a_json_line_is_an_object_with_the_instance() {
        let text = logged(json, || {
            let _in = tracing::info_span!("session", user = "ana").entered();
            tracing::warn!(seq = 7, "a \"quoted\"\nmessage");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["instance"], "abc-1");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["seq"], 7);
        assert_eq!(line["message"], "a \"quoted\"\nmessage");
        assert_eq!(line["span"]["user"], "ana");
    }

    #[test]
    fn a_pretty_line_begins_with_the_instance() {
        let text = logged(pretty, || tracing::info!(port = 3001, "listening"));
        assert!(text.starts_with("abc-1 "), "{text}");
        assert!(text.contains("listening port=3001"), "{text}");
    }

    #[test]
    fn a_panic_message_is_truncated_between_characters() {
        let long = "é".repeat(PANIC_BYTES_MAX);
        assert_eq!(panic_message(&long).len(), PANIC_BYTES_MAX);
        assert_eq!(panic_message(&"short"), "short");
        assert_eq!(panic_message(&7_u8), "no message");
    }
}
