//! How a document's state is kept as a snapshot, beside everything else.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::warn;

use super::shared::{Event, Incoming, Shared};
use crate::{
    id::{DocumentId, Seq},
    supervise::Task,
};

/// Keeps `state`, which holds everything up to `seq`; the room hears by `own` what became of it.
pub(super) fn put(
    shared: &Arc<Shared>,
    events: mpsc::UnboundedSender<Incoming>,
    document: DocumentId,
    seq: Seq,
    state: Bytes,
) {
    let store = shared.store.clone();
    let mut settled = Settled { held: None, events };
    shared.spawn(Task::Snapshot, async move {
        match store.put_snapshot(document, seq, state).await {
            Ok(()) => settled.holds(seq),
            Err(error) => {
                warn!(%document, code = error.code(), "the snapshot was not kept; the log still holds everything");
            }
        }
    });
}

/// Tells the room that its snapshot is settled, also where the task that put it panicked.
struct Settled {
    held: Option<Seq>,
    events: mpsc::UnboundedSender<Incoming>,
}

impl Settled {
    /// The snapshot is kept, and holds everything up to `seq`.
    fn holds(&mut self, seq: Seq) {
        self.held = Some(seq);
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        // Only a room that has ended does not hear it.
        let _ = self
            .events
            .send(Incoming::Event(Event::SnapshotPut(self.held)));
    }
}
