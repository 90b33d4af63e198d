//! The instruments: each metric's name, description and buckets.
//!
//! Names are exactly those that Prometheus scrapes.

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;

/// The handles of all metrics.
pub(super) struct Instruments {
    pub(super) registry: Registry,
    // Kept because the instruments record nothing after their provider was dropped.
    _provider: SdkMeterProvider,

    pub(super) connections: UpDownCounter<i64>,
    pub(super) connections_opened: Counter<u64>,
    pub(super) authentication_failures: Counter<u64>,
    pub(super) revocations: Counter<u64>,
    pub(super) sessions_revoked: Counter<u64>,
    pub(super) revocation_seconds: Histogram<f64>,
    pub(super) introspections: Counter<u64>,
    pub(super) introspection_circuit_open: Gauge<u64>,
    pub(super) refusals: Counter<u64>,
    pub(super) limits_applied: Counter<u64>,
    pub(super) places: Gauge<u64>,
    pub(super) strangers: Gauge<u64>,
    pub(super) sockets_lagging: UpDownCounter<i64>,
    pub(super) sockets_cut: Counter<u64>,
    pub(super) webhooks: Counter<u64>,

    pub(super) rooms: UpDownCounter<i64>,
    pub(super) joins: Counter<u64>,
    pub(super) updates_received: Counter<u64>,
    pub(super) update_bytes: Histogram<u64>,
    pub(super) updates_accepted: Counter<u64>,
    pub(super) updates_merged: Histogram<u64>,
    pub(super) relayed_messages: Counter<u64>,
    pub(super) relayed_bytes: Counter<u64>,
    pub(super) awareness_received: Counter<u64>,
    pub(super) awareness_received_bytes: Counter<u64>,
    pub(super) awareness_relayed: Counter<u64>,
    pub(super) awareness_relayed_bytes: Counter<u64>,
    pub(super) presence_messages: Counter<u64>,
    pub(super) apply_panics: Counter<u64>,

    pub(super) ack_seconds: Histogram<f64>,
    pub(super) append_seconds: Histogram<f64>,
    pub(super) appended_rows: Counter<u64>,
    pub(super) appended_bytes: Counter<u64>,
    pub(super) append_failures: Counter<u64>,
    pub(super) appends_refused: Counter<u64>,
    pub(super) database_rewinds: Counter<u64>,
    pub(super) documents_rewritten: Counter<u64>,
    pub(super) journal_bytes: Gauge<u64>,
    pub(super) memory_bytes: Gauge<u64>,
    pub(super) memory_bytes_max: Gauge<u64>,
    pub(super) storage_available: Gauge<u64>,
    pub(super) document_bytes: Histogram<u64>,
    pub(super) snapshot_seconds: Histogram<f64>,
    pub(super) load_seconds: Histogram<f64>,
    pub(super) rows_damaged: Counter<u64>,
    pub(super) documents_damaged: Gauge<u64>,

    pub(super) http_requests: Counter<u64>,

    pub(super) task_panics: Counter<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter, registry: Registry, provider: SdkMeterProvider) -> Self {
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
            revocations: counter("realtime_revocations_total")
                .with_description("Requests to revoke sessions that were carried out")
                .build(),
            sessions_revoked: counter("realtime_sessions_revoked_total")
                .with_description("Sessions ended because they were revoked")
                .build(),
            revocation_seconds: seconds("realtime_revocation_seconds")
                .with_description("From a revocation to the end of a session")
                .build(),
            introspections: counter("realtime_introspections_total")
                .with_description("Questions whether a token is still active")
                .build(),
            introspection_circuit_open: gauge("realtime_introspection_circuit_open")
                .with_description("1 while the main service is left alone, else 0")
                .build(),
            refusals: counter("realtime_refusals_total")
                .with_description("Requests answered with an error")
                .build(),
            limits_applied: counter("realtime_limits_applied_total")
                .with_description("Limits of clients that applied")
                .build(),
            places: gauge("realtime_places")
                .with_description("Connections of all kinds")
                .build(),
            strangers: gauge("realtime_strangers")
                .with_description("Connections for which no token was verified")
                .build(),
            sockets_lagging: level("realtime_sockets_lagging")
                .with_description("Sockets that cannot keep up")
                .build(),
            webhooks: counter("realtime_webhooks_total")
                .with_description("Attempts to send a webhook, by outcome")
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
            presence_messages: counter("realtime_presence_messages_total")
                .with_description("Presence messages queued for sockets")
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
            appends_refused: counter("realtime_appends_refused_total")
                .with_description("Rows that the database refused permanently")
                .build(),
            database_rewinds: counter("realtime_database_rewinds_total")
                .with_description("How often the database went on from another state than the acknowledged one")
                .build(),
            documents_rewritten: counter("realtime_documents_rewritten_total")
                .with_description("Open documents of which the database had lost updates, which were written again")
                .build(),
            journal_bytes: gauge("realtime_journal_bytes")
                .with_description("Bytes of accepted updates that are not yet written")
                .build(),
            memory_bytes: gauge("realtime_memory_bytes")
                .with_description("Estimated memory of all open documents")
                .build(),
            memory_bytes_max: gauge("realtime_memory_bytes_max")
                .with_description("Limit of the memory of all open documents")
                .build(),
            storage_available: gauge("realtime_storage_available")
                .with_description("1 while the database can be written, else 0")
                .build(),
            document_bytes: sizes("realtime_document_bytes", DOCUMENT_BYTES)
                .with_description("Sizes of documents written as snapshots or loaded")
                .build(),
            snapshot_seconds: seconds("realtime_snapshot_seconds")
                .with_description("Duration of writing a snapshot")
                .build(),
            load_seconds: seconds("realtime_document_load_seconds")
                .with_description("Duration of reading a document into memory")
                .build(),
            rows_damaged: counter("realtime_rows_damaged_total")
                .with_description("Stored rows that could not be used")
                .build(),
            documents_damaged: gauge("realtime_documents_damaged")
                .with_description("Documents with damaged rows that are not repaired")
                .build(),
            http_requests: counter("realtime_http_requests_total")
                .with_description("HTTP requests answered")
                .build(),
            task_panics: counter("realtime_task_panics_total")
                .with_description("Caught panics of tasks")
                .build(),
        }
    }
}

// From a commit on an SSD to a database that barely responds.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
// From a keystroke to the default limit.
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
