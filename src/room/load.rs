//! Loads a document from its log into memory, and deals with rows that cannot be applied.
//!
//! No row is dropped silently: a row that cannot be applied is moved out of the log and kept for
//! repair by hand, and everyone who opens the document is told that it is damaged.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use tracing::error;

use super::{
    heavy::run_heavy,
    interface::{Fetch, Fetched},
    open_document::{OpenDocument, Opened, pending_limits},
    shared::Shared,
};
use crate::{
    auth::User,
    config::Limits,
    error::{Error, Result},
    id::{DocumentId, DocumentKey, Seq, Timestamp},
    limits::Memory,
    store::{Damage, Damaged, Loaded, Metadata, Reason},
};
use document::{self, ApplyError, Document};

/// How long to wait before a load is retried, first …
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// … and at most, since each wait is twice as long as the last.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// Reads the database.
pub(super) async fn fetch(shared: &Shared, key: &DocumentKey, fetch: Fetch) -> Fetched {
    match fetch {
        Fetch::Document => Fetched::Document(find(shared, key).await),
        Fetch::Create { by, at } => Fetched::Created(create(shared, key, &by, at).await),
        Fetch::Log { document, since } => Fetched::Log(shared.store.read_on(document, since).await),
        Fetch::Reload {
            metadata,
            unwritten,
        } => {
            let mut wait = RETRY_AFTER;
            loop {
                match load_or_recreate(shared, key, &metadata, &unwritten).await {
                    Ok(opened) => return Fetched::Reloaded(Ok(opened)),
                    Err(deleted @ Error::NotFound { .. }) => {
                        return Fetched::Reloaded(Err(deleted));
                    }
                    Err(error) if shared.draining() => return Fetched::Reloaded(Err(error)),
                    Err(_) => tokio::time::sleep(wait).await,
                }
                wait = (wait * 2).min(RETRY_AFTER_MAX);
            }
        }
    }
}

/// Finds a document and loads it, if it exists.
pub(super) async fn find(
    shared: &Shared,
    key: &DocumentKey,
) -> Result<Option<(Arc<Metadata>, Opened)>> {
    let Some(record) = shared.catalog.find(key).await? else {
        return Ok(None);
    };
    let opened = load(shared, record.id(), &[]).await?;
    Ok(Some((record.metadata, opened)))
}

/// Creates a document. If somebody else has created it meanwhile, its content is loaded.
pub(super) async fn create(
    shared: &Shared,
    key: &DocumentKey,
    by: &User,
    at: Timestamp,
) -> Result<(Arc<Metadata>, Option<Opened>)> {
    let record = shared.catalog.find_or_create(key, by, at).await?;
    // In SQLite `head_seq` does not count the newest rows.
    let has_rows = record.head_seq > Seq(0) || record.metadata.created_at != at;
    let opened = match has_rows {
        true => Some(load(shared, record.id(), &[]).await?),
        false => None,
    };
    Ok((record.metadata, opened))
}

/// As [`load`]; a document whose creation the database has lost is created again.
async fn load_or_recreate(
    shared: &Shared,
    key: &DocumentKey,
    metadata: &Metadata,
    unwritten: &[Bytes],
) -> Result<Opened> {
    let document = metadata.document_id;
    match load(shared, document, unwritten).await {
        Err(Error::NotFound { .. }) => {
            shared.catalog.recreate(key, metadata).await?;
            load(shared, document, unwritten).await
        }
        loaded => loaded,
    }
}

/// Loads a document and adds the updates `unwritten`, which its log does not hold yet.
#[tracing::instrument(name = "load document", skip_all, fields(%document))]
pub(super) async fn load(
    shared: &Shared,
    document: DocumentId,
    unwritten: &[Bytes],
) -> Result<Opened> {
    loop {
        let lineage = shared.store.lineage();
        let mut loaded = shared.store.load(document).await?;
        let authors = std::mem::take(&mut loaded.authors);
        let damaged = loaded.is_damaged();
        let (mut opened, refused) = run_heavy(usize::MAX, || {
            replay(&loaded, unwritten, document, &shared.limits, &shared.memory)
        });
        opened.lineage = lineage;
        let of_snapshot = |damage: &&Damage| damage.kind == Damaged::Snapshot;
        if let Some(snapshot) = refused.iter().find(of_snapshot) {
            // The snapshot before it, with the log after that one, takes its place.
            match shared.store.set_aside(document, &[*snapshot]).await {
                true => continue,
                false => return Err(Error::StorageUnavailable),
            }
        }
        if damaged || !refused.is_empty() {
            opened.set_damaged();
        }
        if !refused.is_empty() {
            // A row that cannot be moved now keeps the document from getting a snapshot.
            shared.store.set_aside(document, &refused).await;
        }
        return Ok(Opened {
            document: opened,
            authors,
        });
    }
}

/// Applies the snapshot, the rows and the unwritten updates one by one. What cannot be applied is
/// left out and returned; everything else is kept.
pub(super) fn replay(
    loaded: &Loaded,
    unwritten: &[Bytes],
    id: DocumentId,
    limits: &Limits,
    memory: &Memory,
) -> (OpenDocument, Vec<Damage>) {
    let stored = |kind| move |(seq, bytes)| (Some(Damage::at(kind, seq, Reason::Refused)), bytes);
    let snapshot = loaded.snapshot.iter().map(|(seq, state)| (*seq, state));
    let updates = loaded.updates.iter().map(|(seq, update)| (*seq, update));
    let rows: Vec<(Option<Damage>, &Bytes)> = snapshot
        .map(stored(Damaged::Snapshot))
        .chain(updates.map(stored(Damaged::Update)))
        .chain(unwritten.iter().map(|update| (None, update)))
        .collect();
    let (document, refused) = restore_all(&rows, id, limits);
    let mut document = OpenDocument::around(document, limits, memory);
    document.durable = loaded.head_seq;
    let log = &mut document.log;
    log.snapshot_bytes = loaded.snapshot.as_ref().map_or(0, |(_, state)| state.len());
    log.rows = loaded.updates.len();
    log.bytes = loaded.updates.iter().map(|(_, update)| update.len()).sum();
    document.encoded_bytes = document.log.snapshot_bytes;
    document.added_bytes = document.log.bytes + unwritten.iter().map(Bytes::len).sum::<usize>();
    (document, refused)
}

/// Applies `rows` in their order. Returns the damage of those that are left out. A row that breaks
/// the document makes it start again without that row; a row that is refused does not.
fn restore_all(
    rows: &[(Option<Damage>, &Bytes)],
    id: DocumentId,
    limits: &Limits,
) -> (Document, Vec<Damage>) {
    let mut left_out = BTreeSet::new();
    let mut document = Document::new(pending_limits(limits));
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
            error!(document = %id, seq, ?reason, "a stored update cannot be applied and is left out");
            if reason == ApplyError::Panicked {
                document = Document::new(pending_limits(limits));
                place = 0;
            }
        }
    }
    let refused = left_out.into_iter().filter_map(|place| rows[place].0);
    (document, refused.collect())
}

fn restore(document: &mut Document, bytes: &[u8]) -> Result<(), ApplyError> {
    let checked = document::validate(bytes).map_err(|_| ApplyError::Undecodable)?;
    document.restore(bytes, &checked).map(drop)
}
