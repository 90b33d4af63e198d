//! Finds out which open documents other instances have written to, and whether the database has lost commits.
//!
//! What an instance has written is in the log, and the log's positions have no gaps. So a room notices rows of others before its
//! own next row; a join looks for them; and here the newest positions of all open documents are compared twice a second, so that
//! a room in which nobody types is not stale for longer than a second either.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tracing::debug;

use super::shared::{Event, Incoming, Shared};
use crate::{
    error::Result,
    id::{DocumentId, Seq},
    store::{Availability, Lineage, Store, Writers},
    supervise::Task,
};

/// How often the positions are compared.
const INTERVAL: Duration = Duration::from_millis(500);
/// The most documents that one statement asks for.
const DOCUMENTS_MAX: usize = 1_000;

/// An open room whose document exists.
struct Open {
    document: DocumentId,
    seq: Seq,
    lineage: Lineage,
    /// Not a handle, which would keep the room open.
    inbox: mpsc::UnboundedSender<Incoming>,
}

/// Spawns the task that compares the positions, if other instances can write to the logs, until the last clone of `shared` is
/// dropped.
pub(super) fn watch(shared: &Arc<Shared>) {
    if shared.store.writers() == Writers::This {
        return;
    }
    let supervisor = shared.supervisor.clone();
    let weak = Arc::downgrade(shared);
    shared.supervisor.spawn(Task::Heads, async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            match AssertUnwindSafe(compare(&weak)).catch_unwind().await {
                Ok(Some(Ok(()))) => {}
                // The log's writer and health report that the database is unavailable.
                Ok(Some(Err(error))) => debug!(code = error.code(), "positions were not compared"),
                Ok(None) => return,
                Err(panic) => supervisor.panicked(Task::Heads, panic),
            }
        }
    });
}

/// Compares all open documents once; `None` after the end of all rooms.
async fn compare(shared: &Weak<Shared>) -> Option<Result<()>> {
    let (store, rooms) = {
        let shared = shared.upgrade()?;
        (shared.store.clone(), open_rooms(&shared))
    };
    if *store.log().availability().borrow() != Availability::Ok {
        return Some(Ok(()));
    }
    if rooms.is_empty() {
        return Some(Ok(()));
    }
    Some(look_at_heads(&store, &rooms).await)
}

async fn look_at_heads(store: &Store, rooms: &[Open]) -> Result<()> {
    store.look_at_lineage().await?;
    for rooms in rooms.chunks(DOCUMENTS_MAX) {
        let documents: Vec<_> = rooms.iter().map(|room| room.document).collect();
        let heads = store.heads(&documents).await?.into_iter().collect();
        let present = store.lineage();
        let is_rewound = rooms.iter().any(|room| room.is_rewound(present, &heads));
        let present = match is_rewound {
            true => store.end_lineage(present),
            false => present,
        };
        tell(rooms, present, &heads);
    }
    Ok(())
}

impl Open {
    /// Whether its head is lower than the position that it had before, in the same lineage.
    fn is_rewound(&self, present: Lineage, heads: &HashMap<DocumentId, Seq>) -> bool {
        let head = heads.get(&self.document);
        self.lineage == present && head.is_some_and(|head| *head < self.seq)
    }
}

fn open_rooms(shared: &Shared) -> Vec<Open> {
    let open = shared.open.lock();
    let rooms = open.values().filter_map(|handle| {
        let (document, seq, lineage) = (*handle.inbox.position.lock())?;
        let inbox = handle.inbox.incoming.clone();
        Some(Open {
            document,
            seq,
            lineage,
            inbox,
        })
    });
    rooms.collect()
}

/// Tells the rooms whose documents have newer rows, are deleted, or may have lost rows.
fn tell(rooms: &[Open], present: Lineage, heads: &HashMap<DocumentId, Seq>) {
    for room in rooms {
        let event = match heads.get(&room.document) {
            _ if room.lineage != present => Event::LineageEnded(present),
            Some(head) if *head > room.seq => Event::HeadSeen(*head),
            Some(_) => continue,
            None => Event::Gone,
        };
        // The send fails only if the room has ended.
        let _ = room.inbox.send(Incoming::Event(event));
    }
}
