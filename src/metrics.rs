//! Every metric of the server: its name, its labels, its buckets, nowhere else.
//!
//! The rest of the server tells facts ("an update was accepted") and knows no
//! names. Labels have a handful of values each; a document, a room or a user is
//! never one. Names are written here exactly as they are scraped, in base units
//! (seconds, bytes). `docs/metrics.md` explains them to operators.

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, MeterProvider, UpDownCounter},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// How an Engine.IO connection travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket.
    Websocket,
    /// HTTP long polling.
    Polling,
}

impl Transport {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Websocket => "websocket",
            Transport::Polling => "polling",
        }
    }
}

/// Whether the database can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Ok,
    /// It cannot: what is accepted waits in the journal.
    Unavailable,
}

/// The handles of all metrics. Cloning is a reference count; telling a fact
/// takes well under a microsecond and never blocks.
#[derive(Clone)]
pub struct Metrics(Arc<Instruments>);

struct Instruments {
    registry: Registry,
    // The instruments record nothing once their provider is gone.
    _provider: SdkMeterProvider,

    connections: UpDownCounter<i64>,
    connections_opened: Counter<u64>,
    authentication_failures: Counter<u64>,
    refusals: Counter<u64>,
    sockets_lagging: UpDownCounter<i64>,
    sockets_cut: Counter<u64>,

    rooms: UpDownCounter<i64>,
    joins: Counter<u64>,
    updates_received: Counter<u64>,
    update_bytes: Histogram<u64>,
    updates_accepted: Counter<u64>,
    updates_merged: Histogram<u64>,
    relayed_messages: Counter<u64>,
    relayed_bytes: Counter<u64>,
    awareness_received: Counter<u64>,
    awareness_received_bytes: Counter<u64>,
    awareness_relayed: Counter<u64>,
    awareness_relayed_bytes: Counter<u64>,
    apply_panics: Counter<u64>,

    ack_seconds: Histogram<f64>,
    append_seconds: Histogram<f64>,
    appended_rows: Counter<u64>,
    appended_bytes: Counter<u64>,
    append_failures: Counter<u64>,
    journal_bytes: Gauge<u64>,
    storage_available: Gauge<u64>,
    document_bytes: Histogram<u64>,
    snapshot_seconds: Histogram<f64>,
    load_seconds: Histogram<f64>,
    rows_damaged: Counter<u64>,

    http_requests: Counter<u64>,
}

impl Metrics {
    /// A fresh set, all at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .without_units()
            .without_counter_suffixes()
            .build()
            .expect("a fresh registry holds nothing that could clash");
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("realtime");
        let metrics = Self(Arc::new(Instruments::new(&meter, registry, provider)));
        metrics.start_at_zero();
        metrics
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        let families = self.0.registry.gather();
        TextEncoder::new()
            .encode_to_string(&families)
            .unwrap_or_else(|error| {
                tracing::error!(%error, "metrics cannot be rendered");
                String::new()
            })
    }

    /// A client connected.
    pub fn connection_opened(&self, transport: Transport) {
        let labels = [KeyValue::new("transport", transport.as_str())];
        self.0.connections.add(1, &labels);
        self.0.connections_opened.add(1, &labels);
    }

    /// A connection ended. `transport` is the one it was opened with.
    pub fn connection_closed(&self, transport: Transport) {
        let labels = [KeyValue::new("transport", transport.as_str())];
        self.0.connections.add(-1, &labels);
    }

    /// A token was refused, for the reason that `code` gives.
    pub fn authentication_failed(&self, code: &'static str) {
        self.0.authentication_failures.add(1, &[code_label(code)]);
    }

    /// A request was answered with the error `code`.
    pub fn refused(&self, code: &'static str) {
        self.0.refusals.add(1, &[code_label(code)]);
    }

    /// A socket fell behind.
    pub fn lagging_started(&self) {
        self.0.sockets_lagging.add(1, &[]);
    }

    /// A socket that fell behind has caught up, or is gone.
    pub fn lagging_ended(&self) {
        self.0.sockets_lagging.add(-1, &[]);
    }

    /// The server closed a transport on its own account.
    pub fn socket_cut(&self, reason: &'static str) {
        self.0
            .sockets_cut
            .add(1, &[KeyValue::new("reason", reason)]);
    }

    /// A document came into memory.
    pub fn room_opened(&self) {
        self.0.rooms.add(1, &[]);
    }

    /// A document left memory.
    pub fn room_closed(&self) {
        self.0.rooms.add(-1, &[]);
    }

    /// A `join_room` was answered with `code`: `ok`, or an error's code.
    pub fn joined(&self, code: &'static str) {
        self.0.joins.add(1, &[code_label(code)]);
    }

    /// An update of `bytes` bytes arrived, whatever becomes of it.
    pub fn update_received(&self, bytes: u64) {
        self.0.updates_received.add(1, &[]);
        self.0.update_bytes.record(bytes, &[]);
    }

    /// An update was applied.
    pub fn update_accepted(&self) {
        self.0.updates_accepted.add(1, &[]);
    }

    /// One message that merges `updates` updates was queued for each of
    /// `receivers` sockets; `bytes` is the size of the message.
    pub fn relayed(&self, updates: u64, receivers: u64, bytes: u64) {
        self.0.updates_merged.record(updates, &[]);
        self.0.relayed_messages.add(receivers, &[]);
        self.0
            .relayed_bytes
            .add(bytes.saturating_mul(receivers), &[]);
    }

    /// An awareness update of `bytes` bytes arrived, whatever becomes of it.
    pub fn awareness_received(&self, bytes: u64) {
        self.0.awareness_received.add(1, &[]);
        self.0.awareness_received_bytes.add(bytes, &[]);
    }

    /// One awareness message of `bytes` bytes was queued for each of `receivers` sockets.
    pub fn awareness_relayed(&self, receivers: u64, bytes: u64) {
        self.0.awareness_relayed.add(receivers, &[]);
        self.0
            .awareness_relayed_bytes
            .add(bytes.saturating_mul(receivers), &[]);
    }

    /// Applying an update panicked; the document is being rebuilt.
    pub fn apply_panicked(&self) {
        self.0.apply_panics.add(1, &[]);
    }

    /// An update was acknowledged `latency` after it arrived.
    pub fn acked(&self, latency: Duration) {
        self.0.ack_seconds.record(latency.as_secs_f64(), &[]);
    }

    /// One group commit wrote `rows` rows of `bytes` bytes in all.
    pub fn appended(&self, rows: u64, bytes: u64, took: Duration) {
        self.0.append_seconds.record(took.as_secs_f64(), &[]);
        self.0.appended_rows.add(rows, &[]);
        self.0.appended_bytes.add(bytes, &[]);
    }

    /// A group commit failed; it is tried again.
    pub fn append_failed(&self) {
        self.0.append_failures.add(1, &[]);
    }

    /// This many bytes are accepted and not yet written.
    pub fn journal_bytes(&self, bytes: u64) {
        self.0.journal_bytes.record(bytes, &[]);
    }

    /// The database went away or came back.
    pub fn storage_available(&self, availability: Availability) {
        let value = match availability {
            Availability::Ok => 1,
            Availability::Unavailable => 0,
        };
        self.0.storage_available.record(value, &[]);
    }

    /// A document of `bytes` bytes was written whole.
    pub fn snapshot_written(&self, bytes: u64, took: Duration) {
        self.0
            .document_bytes
            .record(bytes, &[operation("snapshot")]);
        self.0.snapshot_seconds.record(took.as_secs_f64(), &[]);
    }

    /// A document was read into memory: `bytes` bytes of snapshot and log.
    pub fn document_loaded(&self, bytes: u64, took: Duration) {
        self.0.document_bytes.record(bytes, &[operation("load")]);
        self.0.load_seconds.record(took.as_secs_f64(), &[]);
    }

    /// A stored row could not be read back. `kind` is `update` or `snapshot`.
    pub fn row_damaged(&self, kind: &'static str) {
        self.0.rows_damaged.add(1, &[KeyValue::new("kind", kind)]);
    }

    /// An HTTP request was answered. `route` is the pattern that matched, never
    /// the path itself.
    pub fn http_request(&self, route: &str, status: u16) {
        let labels = [
            KeyValue::new("route", route.to_owned()),
            KeyValue::new("status", i64::from(status)),
        ];
        self.0.http_requests.add(1, &labels);
    }

    // A series that is absent until something goes wrong cannot be alerted on.
    fn start_at_zero(&self) {
        let Instruments {
            sockets_lagging,
            rooms,
            updates_received,
            updates_accepted,
            apply_panics,
            append_failures,
            journal_bytes,
            storage_available,
            rows_damaged,
            ..
        } = &*self.0;
        sockets_lagging.add(0, &[]);
        rooms.add(0, &[]);
        updates_received.add(0, &[]);
        updates_accepted.add(0, &[]);
        apply_panics.add(0, &[]);
        append_failures.add(0, &[]);
        journal_bytes.record(0, &[]);
        storage_available.record(0, &[]);
        for kind in ["update", "snapshot"] {
            rows_damaged.add(0, &[KeyValue::new("kind", kind)]);
        }
        for transport in [Transport::Websocket, Transport::Polling] {
            let labels = [KeyValue::new("transport", transport.as_str())];
            self.0.connections.add(0, &labels);
            self.0.connections_opened.add(0, &labels);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Instruments {
    fn new(meter: &Meter, registry: Registry, provider: SdkMeterProvider) -> Self {
        let counter = |name| meter.u64_counter(name);
        let level = |name| meter.i64_up_down_counter(name);
        let gauge = |name| meter.u64_gauge(name);
        let seconds = |name| meter.f64_histogram(name).with_boundaries(SECONDS.to_vec());
        let sizes =
            |name, bounds: &[f64]| meter.u64_histogram(name).with_boundaries(bounds.to_vec());
        Self {
            registry,
            _provider: provider,
            connections: level("realtime_connections")
                .with_description("Open connections")
                .build(),
            connections_opened: counter("realtime_connections_opened_total")
                .with_description("Connections opened")
                .build(),
            authentication_failures: counter("realtime_authentication_failures_total")
                .with_description("Tokens refused")
                .build(),
            refusals: counter("realtime_refusals_total")
                .with_description("Requests answered with an error")
                .build(),
            sockets_lagging: level("realtime_sockets_lagging")
                .with_description("Sockets that cannot keep up")
                .build(),
            sockets_cut: counter("realtime_sockets_cut_total")
                .with_description("Transports closed by the server")
                .build(),
            rooms: level("realtime_rooms")
                .with_description("Documents in memory")
                .build(),
            joins: counter("realtime_joins_total")
                .with_description("Answers to join_room")
                .build(),
            updates_received: counter("realtime_updates_received_total")
                .with_description("Document updates received")
                .build(),
            update_bytes: sizes("realtime_update_bytes", UPDATE_BYTES)
                .with_description("Sizes of document updates received")
                .build(),
            updates_accepted: counter("realtime_updates_accepted_total")
                .with_description("Document updates applied")
                .build(),
            updates_merged: sizes("realtime_relay_merged_updates", MERGED_UPDATES)
                .with_description("Updates merged into one relayed message")
                .build(),
            relayed_messages: counter("realtime_relayed_messages_total")
                .with_description("Update messages queued for sockets")
                .build(),
            relayed_bytes: counter("realtime_relayed_bytes_total")
                .with_description("Bytes of update messages queued for sockets")
                .build(),
            awareness_received: counter("realtime_awareness_received_total")
                .with_description("Awareness updates received")
                .build(),
            awareness_received_bytes: counter("realtime_awareness_received_bytes_total")
                .with_description("Bytes of awareness updates received")
                .build(),
            awareness_relayed: counter("realtime_awareness_relayed_messages_total")
                .with_description("Awareness messages queued for sockets")
                .build(),
            awareness_relayed_bytes: counter("realtime_awareness_relayed_bytes_total")
                .with_description("Bytes of awareness messages queued for sockets")
                .build(),
            apply_panics: counter("realtime_apply_panics_total")
                .with_description("Updates whose application panicked")
                .build(),
            ack_seconds: seconds("realtime_ack_seconds")
                .with_description("From an update's arrival to its durable acknowledgement")
                .build(),
            append_seconds: seconds("realtime_append_seconds")
                .with_description("Duration of a group commit")
                .build(),
            appended_rows: counter("realtime_appended_rows_total")
                .with_description("Rows written to the update log")
                .build(),
            appended_bytes: counter("realtime_appended_bytes_total")
                .with_description("Bytes written to the update log")
                .build(),
            append_failures: counter("realtime_append_failures_total")
                .with_description("Group commits that failed")
                .build(),
            journal_bytes: gauge("realtime_journal_bytes")
                .with_description("Accepted and not yet written")
                .build(),
            storage_available: gauge("realtime_storage_available")
                .with_description("1 while the database can be written, else 0")
                .build(),
            document_bytes: sizes("realtime_document_bytes", DOCUMENT_BYTES)
                .with_description("Sizes of documents written or read whole")
                .build(),
            snapshot_seconds: seconds("realtime_snapshot_seconds")
                .with_description("Duration of writing a snapshot")
                .build(),
            load_seconds: seconds("realtime_document_load_seconds")
                .with_description("Duration of reading a document into memory")
                .build(),
            rows_damaged: counter("realtime_rows_damaged_total")
                .with_description("Stored rows that could not be read back")
                .build(),
            http_requests: counter("realtime_http_requests_total")
                .with_description("HTTP requests answered")
                .build(),
        }
    }
}

// From a commit to an SSD up to a database that hardly answers.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
// From a keystroke up to the default limit.
const UPDATE_BYTES: &[f64] = &[
    32.0,
    64.0,
    128.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    2_097_152.0,
];
const DOCUMENT_BYTES: &[f64] = &[
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const MERGED_UPDATES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

fn code_label(code: &'static str) -> KeyValue {
    KeyValue::new("code", code)
}

fn operation(name: &'static str) -> KeyValue {
    KeyValue::new("operation", name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn after_every_fact() -> String {
        let took = Duration::from_millis(3);
        let metrics = Metrics::new();
        metrics.connection_opened(Transport::Websocket);
        metrics.connection_opened(Transport::Polling);
        metrics.connection_closed(Transport::Polling);
        metrics.authentication_failed("token_expired");
        metrics.refused("too_large");
        metrics.lagging_started();
        metrics.lagging_ended();
        metrics.socket_cut("lagging");
        metrics.room_opened();
        metrics.room_closed();
        metrics.joined("ok");
        metrics.update_received(40);
        metrics.update_accepted();
        metrics.relayed(3, 5, 100);
        metrics.awareness_received(30);
        metrics.awareness_relayed(5, 30);
        metrics.apply_panicked();
        metrics.acked(took);
        metrics.appended(7, 280, took);
        metrics.append_failed();
        metrics.journal_bytes(4096);
        metrics.storage_available(Availability::Ok);
        metrics.snapshot_written(5000, took);
        metrics.document_loaded(6000, took);
        metrics.row_damaged("update");
        metrics.http_request("/health/ready", 200);
        metrics.render()
    }

    #[test]
    fn facts_are_rendered_under_their_names_with_their_labels() {
        let text = after_every_fact();
        for line in [
            "realtime_connections{transport=\"websocket\"} 1",
            "realtime_connections{transport=\"polling\"} 0",
            "realtime_connections_opened_total{transport=\"polling\"} 1",
            "realtime_authentication_failures_total{code=\"token_expired\"} 1",
            "realtime_joins_total{code=\"ok\"} 1",
            "realtime_relayed_messages_total 5",
            "realtime_relayed_bytes_total 500",
            "realtime_ack_seconds_bucket{le=\"0.0025\"} 0",
            "realtime_ack_seconds_bucket{le=\"0.005\"} 1",
            "realtime_appended_rows_total 7",
            "realtime_journal_bytes 4096",
            "realtime_storage_available 1",
            "realtime_document_bytes_count{operation=\"load\"} 1",
            "realtime_http_requests_total{route=\"/health/ready\",status=\"200\"} 1",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line}\nis missing in\n{text}"
            );
        }
        assert!(!text.contains("otel_scope"), "{text}");
        assert!(!text.contains("target_info"), "{text}");
    }

    #[test]
    fn failures_are_visible_as_zero_before_they_happen() {
        let text = Metrics::new().render();
        for line in [
            "realtime_append_failures_total 0",
            "realtime_apply_panics_total 0",
            "realtime_rows_damaged_total{kind=\"snapshot\"} 0",
            "realtime_connections{transport=\"websocket\"} 0",
            "realtime_storage_available 0",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line}\nis missing in\n{text}"
            );
        }
    }

    #[test]
    fn the_operators_table_names_exactly_the_metrics_that_exist() {
        let documented: BTreeSet<_> = include_str!("../docs/metrics.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let text = after_every_fact();
        let rendered: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        assert_eq!(documented, rendered);
    }
}
