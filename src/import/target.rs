//! Our store, as an import writes to it.
//!
//! A document is created and its rows are appended through the layers that the server uses, so that a server on
//! the same Postgres may run meanwhile: its rooms read the new rows like those of another instance.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    Existing, Import,
    refusal::Refusal,
    report::{Imported, Outcome},
    staged::{self, Staged, empty_document},
};
use crate::{
    activity::Activities,
    auth::User,
    bus::Announcer,
    catalog::{Catalog, Put},
    config::{Config, Limits},
    error::{Error, Result},
    id::{ClientId, DocumentId, DocumentKey, RoomName, Seq, Team, Timestamp},
    store::{AppendError, Author, JournalOptions, Loaded, NewRow, NewRows, Reservation, Store},
    supervise::{Supervisor, Task},
    webhooks::Webhooks,
};
use document::{Document, Integrated, Lack};

/// The name of the author, as people see it.
const AUTHOR_NAME: &str = "Import";
/// Rows are at most as large, as those of the rooms are.
const ROW_BYTES_MAX: usize = 1024 * 1024;
/// How long one append may take.
const APPEND_TIMEOUT: Duration = Duration::from_secs(60);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Our store.
pub(super) struct Target {
    store: Store,
    catalog: Catalog,
    team: Team,
    author: User,
    existing: Existing,
    limits: Limits,
    supervisor: Supervisor,
}

/// A document of the source, and ours beside it.
struct Compared {
    staged: Staged,
    ours: Document,
    lack: Option<Lack>,
}

impl Target {
    /// Opens the database of the settings, and migrates it.
    pub(super) async fn open(
        config: &Config,
        import: &Import,
        supervisor: &Supervisor,
    ) -> Result<Self> {
        let metrics = supervisor.metrics();
        let journal = JournalOptions {
            bytes_max: config.limits.journal_bytes_max,
            // Nothing else is written that a commit could wait for.
            commit_interval: Duration::ZERO..=Duration::ZERO,
            history: Duration::from_secs(u64::from(config.limits.history_days) * 24 * 60 * 60),
        };
        let url = &config.database_url;
        let store = Store::open(url, journal, metrics.clone(), supervisor).await?;
        let catalog = Catalog::new(
            store.clone(),
            // No client is connected to this process.
            Announcer::default(),
            Activities::new(store.clone()),
            Webhooks::start(store.clone(), None, metrics, supervisor)?,
            config.document_creation,
            &config.workflow.initial,
        );
        Ok(Self {
            store,
            catalog,
            team: import.team.clone(),
            author: User {
                id: import.author.clone(),
                name: AUTHOR_NAME.into(),
                avatar_url: None,
            },
            existing: import.existing,
            limits: config.limits,
            supervisor: supervisor.clone(),
        })
    }

    pub(super) async fn close(&self) {
        self.store.close(Instant::now() + CLOSE_TIMEOUT).await;
    }

    /// Writes what our document of this room lacks, reads it back and compares it. Creates it if there is none.
    pub(super) async fn take(&self, room: &RoomName, staged: Staged) -> Result<Outcome> {
        let key = DocumentKey {
            team: self.team.clone(),
            room: room.clone(),
        };
        let (document, put) = match self.find_or_create(&key).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let loaded = self.store.load(document).await?;
        let known: HashSet<_> = loaded.authors.iter().map(|(client, _)| *client).collect();
        let compared = match self.compare(staged, loaded).await {
            Ok(compared) => compared,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let how = match (put, compared.lack) {
            (Put::Created, _) => Imported::New,
            (Put::Existed, None) => Imported::Before,
            (Put::Existed, Some(_)) => Imported::Completed,
        };
        if compared.lack.is_none() {
            return Ok(Outcome::imported(&compared.staged, how));
        }
        let (staged, rows) = match self.lacking(compared).await {
            Ok(lacking) => lacking,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let new_rows = self.new_rows(&staged, rows, &known);
        if let Err(refusal) = self.append(document, new_rows).await? {
            return Ok(Outcome::Refused(refusal));
        }
        // What counts is what the database gives back.
        let loaded = self.store.load(document).await?;
        Ok(match self.compare(staged, loaded).await {
            Ok(Compared {
                lack: Some(lack), ..
            }) => Outcome::Refused(Refusal::Differs(lack)),
            Ok(compared) => Outcome::imported(&compared.staged, how),
            Err(refusal) => Outcome::Refused(refusal),
        })
    }

    /// The document of a room. One that was not imported is refused, unless it is to be merged.
    async fn find_or_create(
        &self,
        key: &DocumentKey,
    ) -> Result<std::result::Result<(DocumentId, Put), Refusal>> {
        let found = self.catalog.find(key).await?;
        if found.is_none() && self.catalog.find_in_trash(key).await?.is_some() {
            return Ok(Err(Refusal::InTrash));
        }
        let (record, put) = match found {
            Some(record) => (record, Put::Existed),
            None => {
                let now = Timestamp::now();
                self.catalog.create(key, None, &self.author, now).await?
            }
        };
        let is_ours = record.metadata.created_by.id == self.author.id;
        match is_ours || self.existing == Existing::Merge {
            true => Ok(Ok((record.id(), put))),
            false => Ok(Err(Refusal::Exists(record.metadata.created_by.id.clone()))),
        }
    }

    /// Finds out what our document lacks, on a thread with a stack that is large enough.
    async fn compare(
        &self,
        staged: Staged,
        loaded: Loaded,
    ) -> std::result::Result<Compared, Refusal> {
        let limits = self.limits;
        let comparing = self.supervisor.blocking(Task::Validation, move || {
            let ours = restore(&loaded, &limits)?;
            let lack = ours.lack_of(&staged.document);
            let lack = lack.map_err(|_| Refusal::Panicked)?;
            Ok(Compared { staged, ours, lack })
        });
        comparing.await.unwrap_or(Err(Refusal::Panicked))
    }

    /// What our document lacks, as rows of its log.
    async fn lacking(
        &self,
        compared: Compared,
    ) -> std::result::Result<(Staged, Vec<Bytes>), Refusal> {
        let Compared {
            staged, mut ours, ..
        } = compared;
        let applying = self.supervisor.blocking(Task::Validation, move || {
            let applied = staged::apply(&mut ours, &staged.state).map_err(Refusal::Damaged)?;
            let new = match applied.integrated {
                Integrated::Nothing => None,
                Integrated::Whole => Some(staged.state.clone()),
                Integrated::Part(part) | Integrated::WithPending(part) => Some(part.into()),
            };
            let pending = applied.pending.map(Bytes::from);
            let rows = new.into_iter().chain(pending).flat_map(split).collect();
            Ok((staged, rows))
        });
        applying.await.unwrap_or(Err(Refusal::Panicked))
    }

    fn new_rows(&self, staged: &Staged, rows: Vec<Bytes>, known: &HashSet<ClientId>) -> NewRows {
        let now = Timestamp::now();
        let row = |payload| NewRow {
            payload,
            // One append at a time, which was not sent by anybody who could be refused.
            reservation: Reservation::none(),
            user: Some(self.author.id.clone()),
            at: now,
        };
        let new_clients = staged.clients.iter();
        let new_clients = new_clients.filter(|(client, _)| !known.contains(client));
        NewRows {
            rows: rows.into_iter().map(row).collect(),
            authors: new_clients
                .map(|(client, first_clock)| Author {
                    client: *client,
                    user: self.author.id.clone(),
                    first_clock: *first_clock,
                    since: now,
                })
                .collect(),
        }
    }

    /// Appends rows, all of them or none, and waits until they are durable.
    async fn append(
        &self,
        document: DocumentId,
        rows: NewRows,
    ) -> Result<std::result::Result<Seq, Refusal>> {
        let (done, written) = oneshot::channel();
        let completion = Box::new(move |outcome| {
            // Nobody waits any more after a timeout.
            let _ = done.send(outcome);
        });
        self.store.log().append(document, rows, completion);
        match timeout(APPEND_TIMEOUT, written).await {
            Ok(Ok(Ok(seq))) => Ok(Ok(seq)),
            Ok(Ok(Err(AppendError::Gone))) => Ok(Err(Refusal::InTrash)),
            Ok(Ok(Err(AppendError::Refused { .. }))) => Ok(Err(Refusal::ByDatabase)),
            Ok(Err(_)) => Err(Error::Internal),
            Err(_) => Err(Error::StorageUnavailable),
        }
    }
}

/// The document as it is stored.
fn restore(loaded: &Loaded, limits: &Limits) -> std::result::Result<Document, Refusal> {
    if loaded.is_damaged() {
        return Err(Refusal::OursDamaged);
    }
    let mut ours = empty_document(limits);
    let snapshot = loaded.snapshot.iter().map(|(_, state)| state);
    for row in snapshot.chain(loaded.updates.iter().map(|(_, update)| update)) {
        staged::apply(&mut ours, row).map_err(|_| Refusal::OursDamaged)?;
    }
    Ok(ours)
}

/// Parts of an update that are not too large for a row.
fn split(update: Bytes) -> Vec<Bytes> {
    let parts = match update.len() > ROW_BYTES_MAX {
        true => document::split(&update, ROW_BYTES_MAX),
        false => None,
    };
    match parts {
        Some(parts) => parts.into_iter().map(Bytes::from).collect(),
        None => vec![update],
    }
}
