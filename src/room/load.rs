//! How a document gets out of its log into memory, and what is done with what cannot.
//!
//! Nothing is dropped in silence: a row that cannot be applied is moved aside, where it
//! waits for repair by hand, and whoever opens the document is told that it is damaged.

use std::collections::HashSet;

use bytes::Bytes;
use document::{ApplyError, Document, Integrated};
use tracing::error;

use super::{
    live::{LiveDocument, aside, caps},
    rooms::Shared,
};
use crate::{
    error::{Error, Result},
    id::{ClientId, DocumentId, UserId},
    store::{Damage, Damaged, Loaded, Reason},
};

/// A document that has been loaded.
pub(super) struct Opened {
    pub(super) document: LiveDocument,
    /// Who owns which client id.
    pub(super) authors: Vec<(ClientId, UserId)>,
}

/// Loads a document and adds `unwritten`, which its log does not hold yet.
#[tracing::instrument(name = "load document", skip_all, fields(%document))]
pub(super) async fn load(
    shared: &Shared,
    document: DocumentId,
    unwritten: Vec<Bytes>,
) -> Result<Opened> {
    loop {
        let mut loaded = shared.store.load(document).await?;
        let authors = std::mem::take(&mut loaded.authors);
        let damaged = loaded.is_damaged();
        let (mut live, refused) =
            aside(usize::MAX, || replay(&loaded, &unwritten, document, shared));
        let of_snapshot = |damage: &&Damage| damage.kind == Damaged::Snapshot;
        if let Some(snapshot) = refused.iter().find(of_snapshot) {
            // The one before it, and the log behind that, take its place.
            match shared.store.set_aside(document, &[*snapshot]).await {
                true => continue,
                false => return Err(Error::StorageUnavailable),
            }
        }
        if damaged || !refused.is_empty() {
            live.set_damaged();
        }
        if !refused.is_empty() {
            // What cannot be moved now keeps the document from getting a snapshot.
            shared.store.set_aside(document, &refused).await;
        }
        return Ok(Opened {
            document: live,
            authors,
        });
    }
}

/// Applies snapshot and rows one by one. What cannot be applied is left out and
/// returned; everything else is kept.
fn replay(
    loaded: &Loaded,
    unwritten: &[Bytes],
    id: DocumentId,
    shared: &Shared,
) -> (LiveDocument, Vec<Damage>) {
    let stored = |kind| move |(seq, bytes)| (Some(Damage::at(kind, seq, Reason::Refused)), bytes);
    let snapshot = loaded.snapshot.iter().map(|(seq, state)| (*seq, state));
    let updates = loaded.updates.iter().map(|(seq, update)| (*seq, update));
    let rows: Vec<(Option<Damage>, &Bytes)> = snapshot
        .map(stored(Damaged::Snapshot))
        .chain(updates.map(stored(Damaged::Update)))
        .chain(unwritten.iter().map(|update| (None, update)))
        .collect();
    // One that breaks the document makes it start anew; one that is refused does not.
    let mut left_out = HashSet::new();
    let mut document = Document::new(caps(&shared.limits));
    let mut place = 0;
    while place < rows.len() {
        let refused = match left_out.contains(&place) {
            true => None,
            false => restore(&mut document, rows[place].1).err(),
        };
        place += 1;
        if let Some(reason) = refused {
            left_out.insert(place - 1);
            let seq = rows[place - 1].0.map(|damage| damage.seq.0);
            error!(document = %id, seq, ?reason, "a stored update cannot be applied; left out");
            if reason == ApplyError::Panicked {
                document = Document::new(caps(&shared.limits));
                place = 0;
            }
        }
    }
    let mut left_out: Vec<_> = left_out.into_iter().collect();
    left_out.sort_unstable();
    let refused = left_out.into_iter().filter_map(|place| rows[place].0);
    let mut live = LiveDocument::around(document, &shared.limits, &shared.memory);
    live.durable = loaded.head_seq;
    live.log.snapshot_bytes = loaded.snapshot.as_ref().map_or(0, |(_, state)| state.len());
    live.log.rows = loaded.updates.len();
    live.log.bytes = loaded.updates.iter().map(|(_, update)| update.len()).sum();
    live.encoded_bytes = live.log.snapshot_bytes;
    live.added_bytes = live.log.bytes + unwritten.iter().map(Bytes::len).sum::<usize>();
    (live, refused.collect())
}

fn restore(document: &mut Document, bytes: &[u8]) -> Result<(), ApplyError> {
    let checked = document::validate(bytes).map_err(|_| ApplyError::Undecodable)?;
    document.restore(bytes, &checked).map(drop)
}

/// Takes in what the database holds and the document in memory does not: rows that
/// another instance wrote, or that were written twice. Returns what was new.
#[tracing::instrument(name = "read the log again", skip_all, fields(%document))]
pub(super) async fn read_news(
    shared: &Shared,
    document: DocumentId,
    live: &mut LiveDocument,
) -> Result<Vec<Bytes>> {
    let loaded = shared.store.load(document).await?;
    if loaded.is_damaged() {
        live.set_damaged();
    }
    let durable = live.durable;
    let (mut news, mut refused) = (Vec::new(), Vec::new());
    let snapshot = loaded.snapshot.into_iter();
    let stored = snapshot.map(|(seq, state)| (Damaged::Snapshot, seq, state));
    let updates = loaded.updates.into_iter();
    let updates = updates.map(|(seq, update)| (Damaged::Update, seq, update));
    for (kind, seq, bytes) in stored.chain(updates) {
        if seq <= durable {
            continue;
        }
        let restored = match document::validate(&bytes) {
            Ok(checked) => live.restore(&bytes, &checked),
            Err(_) => Err(ApplyError::Undecodable),
        };
        match restored.map(|applied| applied.integrated) {
            Ok(Integrated::Whole) => news.push(bytes),
            Ok(Integrated::Part(part) | Integrated::More(part)) => news.push(part.into()),
            Ok(Integrated::Nothing) => {}
            Err(reason) => {
                error!(%document, seq = seq.0, ?reason, "a stored update cannot be applied; left out");
                refused.push(Damage::at(kind, seq, Reason::Refused));
            }
        }
        live.log.rows += 1;
    }
    if !refused.is_empty() {
        live.set_damaged();
        shared.store.set_aside(document, &refused).await;
    }
    live.durable = durable.max(loaded.head_seq);
    Ok(news)
}
