//! Writes a document's state as a snapshot, in a task beside the room's.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::warn;

use super::shared::{Event, Incoming, Shared};
use crate::{
    id::{DocumentId, Seq},
    store::Lineage,
    supervise::Task,
};

/// Writes `state`, which holds the log up to `seq`. The result is sent to the room by `events`.
pub(super) fn put(
    shared: &Arc<Shared>,
    events: mpsc::UnboundedSender<Incoming>,
    document: DocumentId,
    lineage: Lineage,
    seq: Seq,
    state: Bytes,
) {
    let store = shared.store.clone();
    let mut result = ResultSender { seq: None, events };
    shared.spawn(Task::Snapshot, async move {
        match store.put_snapshot_of(lineage, document, seq, state).await {
            Ok(()) => result.succeed(seq),
            Err(error) => {
                warn!(%document, code = error.code(), "the snapshot was not written; the log still holds all rows");
            }
        }
    });
}

/// Sends the result to the room when it is dropped, which includes a panic of the task.
struct ResultSender {
    seq: Option<Seq>,
    events: mpsc::UnboundedSender<Incoming>,
}

impl ResultSender {
    /// The snapshot was written.
    fn succeed(&mut self, seq: Seq) {
        self.seq = Some(seq);
    }
}

impl Drop for ResultSender {
    fn drop(&mut self) {
        let event = self.seq.map_or(Event::SnapshotFailed, Event::SnapshotPut);
        // The send fails only if the room has ended.
        let _ = self.events.send(Incoming::Event(event));
    }
}
