//! Tests of the rendered metrics, and that `docs/metrics.md` has all of them.

use std::collections::BTreeSet;

use super::*;

fn after_every_event() -> String {
    let took = Duration::from_millis(3);
    let metrics = Metrics::new();
    metrics.connection_opened(Transport::Websocket);
    metrics.connection_opened(Transport::Polling);
    metrics.connection_closed(Transport::Polling);
    metrics.authentication_failed("token_expired");
    metrics.revocation_made();
    metrics.session_revoked(took);
    metrics.session_inactive();
    metrics.introspected(Asked::Cached);
    metrics.introspection_circuit(true);
    metrics.refused("too_large");
    metrics.limit_applied("strangers_max");
    metrics.places_taken(3, 7);
    metrics.lagging_started();
    metrics.lagging_ended();
    metrics.socket_cut("lagging");
    metrics.room_opened();
    metrics.room_closed();
    metrics.joined("ok");
    metrics.update_received(40);
    metrics.updates_handled(1, 1);
    metrics.relayed(3, 5, 500);
    metrics.awareness_received(30);
    metrics.awareness_relayed(5, 150);
    metrics.presence_told(4);
    metrics.apply_panicked();
    metrics.memory_bytes(3000);
    metrics.memory_bytes_max(9000);
    metrics.acked(took);
    metrics.appended(7, 280, took);
    metrics.append_failed();
    metrics.append_refused(2);
    metrics.database_rewound();
    metrics.document_rewritten();
    metrics.journal_bytes(4096);
    metrics.storage_available(Availability::Ok);
    metrics.snapshot_written(5000, took);
    metrics.document_loaded(6000, took);
    metrics.rows_damaged("update", "missing", 3);
    metrics.documents_damaged(1);
    metrics.http_request("/health/ready", 200);
    metrics.webhook_sent(true);
    metrics.task_panicked("room");
    metrics.render()
}

#[test]
fn events_are_rendered_with_their_names_and_labels() {
    let text = after_every_event();
    for line in [
        "realtime_connections{transport=\"websocket\"} 1",
        "realtime_connections{transport=\"polling\"} 0",
        "realtime_connections_opened_total{transport=\"polling\"} 1",
        "realtime_authentication_failures_total{code=\"token_expired\"} 1",
        "realtime_limits_applied_total{limit=\"strangers_max\"} 1",
        "realtime_revocations_total 1",
        "realtime_sessions_revoked_total{by=\"introspection\"} 1",
        "realtime_revocation_seconds_count 1",
        "realtime_introspections_total{outcome=\"cached\"} 1",
        "realtime_introspection_circuit_open 1",
        "realtime_places 7",
        "realtime_joins_total{code=\"ok\"} 1",
        "realtime_relayed_messages_total 5",
        "realtime_relayed_bytes_total 500",
        "realtime_presence_messages_total 4",
        "realtime_ack_seconds_bucket{le=\"0.0025\"} 0",
        "realtime_ack_seconds_bucket{le=\"0.005\"} 1",
        "realtime_appended_rows_total 7",
        "realtime_journal_bytes 4096",
        "realtime_storage_available 1",
        "realtime_rows_damaged_total{kind=\"update\",reason=\"missing\"} 3",
        "realtime_documents_damaged 1",
        "realtime_document_bytes_count{operation=\"load\"} 1",
        "realtime_webhooks_total{outcome=\"delivered\"} 1",
        "realtime_task_panics_total{task=\"room\"} 1",
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
        "realtime_appends_refused_total 0",
        "realtime_database_rewinds_total 0",
        "realtime_apply_panics_total 0",
        "realtime_rows_damaged_total{kind=\"snapshot\",reason=\"refused\"} 0",
        "realtime_documents_damaged 0",
        "realtime_webhooks_total{outcome=\"failed\"} 0",
        "realtime_limits_applied_total{limit=\"updates_per_second\"} 0",
        "realtime_introspections_total{outcome=\"left_alone\"} 0",
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
    let documented: BTreeSet<_> = include_str!("../../docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let text = after_every_event();
    let rendered: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert_eq!(documented, rendered);
}
