//! All metrics of the server, with their names, labels and buckets.
//!
//! The rest of the server reports events ("an update was accepted") and knows no
//! names of metrics. Each label has a handful of values; a document, a room or a user
//! is never one. Values are in base units: seconds, bytes. `docs/metrics.md` explains
//! the metrics to operators.

mod instruments;
mod limits;
#[cfg(test)]
mod tests;
mod tokens;

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

pub use self::tokens::Asked;
use self::{instruments::Instruments, limits::LIMITS};

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Engine.IO by a WebSocket.
    Websocket,
    /// Engine.IO by HTTP long polling.
    Polling,
    /// A WebSocket of y-websocket.
    YWebsocket,
    /// A WebSocket of Hocuspocus.
    Hocuspocus,
}

impl Transport {
    const ALL: [Self; 4] = [
        Self::Websocket,
        Self::Polling,
        Self::YWebsocket,
        Self::Hocuspocus,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Websocket => "websocket",
            Transport::Polling => "polling",
            Transport::YWebsocket => "y-websocket",
            Transport::Hocuspocus => "hocuspocus",
        }
    }
}

/// Whether the database can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Ok,
    /// It cannot: accepted updates wait in the journal.
    Unavailable,
}

/// The handles of all metrics. Cheap to clone. Reporting an event takes well under a
/// microsecond and never blocks.
#[derive(Clone)]
pub struct Metrics(Arc<Instruments>);

impl Metrics {
    /// New metrics, all at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .without_units()
            .without_counter_suffixes()
            .build()
            .expect("a new registry has no metric with the same name");
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

    /// A client connected over `transport`, or was upgraded to it.
    pub fn connection_opened(&self, transport: Transport) {
        let labels = [KeyValue::new("transport", transport.as_str())];
        self.0.connections.add(1, &labels);
        self.0.connections_opened.add(1, &labels);
    }

    /// A connection over `transport` ended, or was upgraded to another.
    pub fn connection_closed(&self, transport: Transport) {
        let labels = [KeyValue::new("transport", transport.as_str())];
        self.0.connections.add(-1, &labels);
    }

    /// A request was answered with the error `code`.
    pub fn refused(&self, code: &'static str) {
        self.0.refusals.add(1, &[code_label(code)]);
    }

    /// A limit of clients applied: `limit` is the name of its setting in lower case, without `_MS` at
    /// its end.
    pub fn limit_applied(&self, limit: &'static str) {
        let labels = [KeyValue::new("limit", limit)];
        self.0.limits_applied.add(1, &labels);
    }

    /// There are `connections` connections, of which `strangers` are those of strangers.
    pub fn places_taken(&self, strangers: usize, connections: usize) {
        self.0.strangers.record(strangers as u64, &[]);
        self.0.places.record(connections as u64, &[]);
    }

    /// A socket fell behind.
    pub fn lagging_started(&self) {
        self.0.sockets_lagging.add(1, &[]);
    }

    /// A socket that fell behind has caught up, or was closed.
    pub fn lagging_ended(&self) {
        self.0.sockets_lagging.add(-1, &[]);
    }

    /// The server closed a transport, for `reason`.
    pub fn socket_cut(&self, reason: &'static str) {
        self.0
            .sockets_cut
            .add(1, &[KeyValue::new("reason", reason)]);
    }

    /// An attempt to send a webhook ended.
    pub fn webhook_sent(&self, delivered: bool) {
        let outcome = match delivered {
            true => "delivered",
            false => "failed",
        };
        self.0.webhooks.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// A document was opened in memory.
    pub fn room_opened(&self) {
        self.0.rooms.add(1, &[]);
    }

    /// A document was unloaded from memory.
    pub fn room_closed(&self) {
        self.0.rooms.add(-1, &[]);
    }

    /// A `join_room` was answered with `code`: `ok`, or an error's code.
    pub fn joined(&self, code: &'static str) {
        self.0.joins.add(1, &[code_label(code)]);
    }

    /// An update of `bytes` bytes arrived, whether or not it is accepted. It is counted by
    /// [`updates_handled`](Self::updates_handled).
    pub fn update_received(&self, bytes: u64) {
        self.0.update_bytes.record(bytes, &[]);
    }

    /// `received` updates arrived, of which `accepted` were applied.
    pub fn updates_handled(&self, received: u64, accepted: u64) {
        self.0.updates_received.add(received, &[]);
        self.0.updates_accepted.add(accepted, &[]);
    }

    /// One message that merges `updates` updates was queued for each of
    /// `receivers` sockets: `bytes` bytes for all of them together.
    pub fn relayed(&self, updates: u64, receivers: u64, bytes: u64) {
        self.0.updates_merged.record(updates, &[]);
        self.0.relayed_messages.add(receivers, &[]);
        self.0.relayed_bytes.add(bytes, &[]);
    }

    /// An awareness update of `bytes` bytes arrived, whether or not it is accepted.
    pub fn awareness_received(&self, bytes: u64) {
        self.0.awareness_received.add(1, &[]);
        self.0.awareness_received_bytes.add(bytes, &[]);
    }

    /// One awareness message was queued for each of `receivers` sockets: `bytes`
    /// bytes for all of them together.
    pub fn awareness_relayed(&self, receivers: u64, bytes: u64) {
        self.0.awareness_relayed.add(receivers, &[]);
        self.0.awareness_relayed_bytes.add(bytes, &[]);
    }

    /// One message about presence was queued for each of `receivers` sessions.
    pub fn presence_told(&self, receivers: u64) {
        self.0.presence_messages.add(receivers, &[]);
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

    /// The database refused `rows` rows permanently.
    pub fn append_refused(&self, rows: u64) {
        self.0.appends_refused.add(rows, &[]);
    }

    /// The database goes on from another state than the one that it had acknowledged.
    pub fn database_rewound(&self) {
        self.0.database_rewinds.add(1, &[]);
    }

    /// Updates of an open document that the database had lost are written again.
    pub fn document_rewritten(&self) {
        self.0.documents_rewritten.add(1, &[]);
    }

    /// The accepted updates that are not yet written have `bytes` bytes.
    pub fn journal_bytes(&self, bytes: u64) {
        self.0.journal_bytes.record(bytes, &[]);
    }

    /// All open documents take an estimated `bytes` bytes of memory.
    pub fn memory_bytes(&self, bytes: u64) {
        self.0.memory_bytes.record(bytes, &[]);
    }

    /// All open documents may take `bytes` bytes of memory.
    pub fn memory_bytes_max(&self, bytes: u64) {
        self.0.memory_bytes_max.record(bytes, &[]);
    }

    /// The database became available or unavailable.
    pub fn storage_available(&self, availability: Availability) {
        let value = match availability {
            Availability::Ok => 1,
            Availability::Unavailable => 0,
        };
        self.0.storage_available.record(value, &[]);
    }

    /// A snapshot of `bytes` bytes was written.
    pub fn snapshot_written(&self, bytes: u64, took: Duration) {
        self.0
            .document_bytes
            .record(bytes, &[operation("snapshot")]);
        self.0.snapshot_seconds.record(took.as_secs_f64(), &[]);
    }

    /// A document was loaded: `bytes` bytes of snapshot and log.
    pub fn document_loaded(&self, bytes: u64, took: Duration) {
        self.0.document_bytes.record(bytes, &[operation("load")]);
        self.0.load_seconds.record(took.as_secs_f64(), &[]);
    }

    /// `rows` stored rows could not be used. `kind` is `update` or `snapshot`, `reason`
    /// is `checksum`, `refused` or `missing`.
    pub fn rows_damaged(&self, kind: &'static str, reason: &'static str, rows: u64) {
        let labels = [KeyValue::new("kind", kind), KeyValue::new("reason", reason)];
        self.0.rows_damaged.add(rows, &labels);
    }

    /// `documents` documents have damaged rows that are not repaired.
    pub fn documents_damaged(&self, documents: u64) {
        self.0.documents_damaged.record(documents, &[]);
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

    /// A task, or work that it guards, panicked.
    pub fn task_panicked(&self, task: &'static str) {
        self.0.task_panics.add(1, &[KeyValue::new("task", task)]);
    }

    /// Registers the names of the tasks whose panics are counted.
    pub fn tasks_known(&self, tasks: impl IntoIterator<Item = &'static str>) {
        for task in tasks {
            self.0.task_panics.add(0, &[KeyValue::new("task", task)]);
        }
    }

    // An alert needs a series that exists before the first failure.
    fn start_at_zero(&self) {
        let Instruments {
            sockets_lagging,
            rooms,
            updates_received,
            updates_accepted,
            presence_messages,
            apply_panics,
            append_failures,
            appends_refused,
            database_rewinds,
            documents_rewritten,
            journal_bytes,
            storage_available,
            rows_damaged,
            documents_damaged,
            webhooks,
            ..
        } = &*self.0;
        sockets_lagging.add(0, &[]);
        rooms.add(0, &[]);
        updates_received.add(0, &[]);
        updates_accepted.add(0, &[]);
        presence_messages.add(0, &[]);
        apply_panics.add(0, &[]);
        for outcome in ["delivered", "failed"] {
            webhooks.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        append_failures.add(0, &[]);
        appends_refused.add(0, &[]);
        database_rewinds.add(0, &[]);
        documents_rewritten.add(0, &[]);
        journal_bytes.record(0, &[]);
        storage_available.record(0, &[]);
        documents_damaged.record(0, &[]);
        for (kind, reason) in [
            ("update", "checksum"),
            ("update", "refused"),
            ("update", "missing"),
            ("snapshot", "checksum"),
            ("snapshot", "refused"),
        ] {
            let labels = [KeyValue::new("kind", kind), KeyValue::new("reason", reason)];
            rows_damaged.add(0, &labels);
        }
        for limit in LIMITS {
            self.0
                .limits_applied
                .add(0, &[KeyValue::new("limit", *limit)]);
        }
        self.places_taken(0, 0);
        self.tokens_start_at_zero();
        for transport in Transport::ALL {
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

fn code_label(code: &'static str) -> KeyValue {
    KeyValue::new("code", code)
}

fn operation(name: &'static str) -> KeyValue {
    KeyValue::new("operation", name)
}
