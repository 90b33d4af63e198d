//! The documents of all teams, without their content: created, found, listed, given titles,
//! deleted and restored.
//!
//! ```text
//! Catalog      all of this, for a caller with claims
//! Title        a title, checked
//! PageRequest  one page of a list (page.rs)
//! events       the events document_created, document_changed and document_deleted
//! ```
//! A room's name is opaque; the title is what people see. Every change is one transaction with its
//! event, which goes to the members of the team who may view the document.
//!
//! A deleted document lies in the trash for 30 days, and its name is free for another document.
//! Its row has no team and no name then, so that no statement finds it, and its log takes no rows:
//! a room that has it open, on any instance, is closed at the latest by its next update.

mod change;
mod cursor;
mod events;
mod page;
mod summary;
mod title;

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

pub use self::{
    change::Put,
    cursor::{Cursor, Sort},
    events::{
        CHANGED as DOCUMENT_CHANGED, CREATED as DOCUMENT_CREATED, Change,
        DELETED as DOCUMENT_DELETED, Payload as DocumentEvent,
    },
    page::{Page, PageParameters, PageRequest},
    summary::{Document, Summary},
    title::Title,
};
use crate::{
    activity::Activities,
    auth::{Claims, Right, User},
    bus::Announcer,
    config::DocumentCreation,
    error::{Error, Result},
    id::{DocumentKey, RoomName, Team, Timestamp},
    store::{
        DOCUMENT_BY_NAME, DocumentRecord, Metadata, PagePermits, Store, Transaction, args,
        metadata_columns, people,
    },
    webhooks::Webhooks,
};

/// How long the record of an edit may take.
const RECORD_TIMEOUT: Duration = Duration::from_secs(3);
/// The shortest time between two notices that a document was edited.
const EDIT_NOTICE_EVERY: Duration = Duration::from_secs(5);
/// The same for each session that receives them: a large team is told less often.
const EDIT_NOTICE_PER_RECEIVER: Duration = Duration::from_millis(10);

/// The catalog of all documents. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    store: Store,
    announcer: Announcer,
    activities: Activities,
    webhooks: Webhooks,
    creation: DocumentCreation,
    /// The status of a document that has taken no step of its workflow.
    initial_status: Arc<str>,
    permits: PagePermits,
}

impl Catalog {
    /// The catalog of the documents in `store`. `announcer` tells the teams of edits; `creation`
    /// says whether documents come into being by joining them; `initial_status` is the status of a
    /// document that has taken no step of its workflow.
    pub fn new(
        store: Store,
        announcer: Announcer,
        activities: Activities,
        webhooks: Webhooks,
        creation: DocumentCreation,
        initial_status: &str,
    ) -> Self {
        Self {
            store,
            announcer,
            activities,
            webhooks,
            creation,
            initial_status: initial_status.into(),
            permits: PagePermits::default(),
        }
    }

    /// Finds a document by its name. Takes at most 5 s.
    ///
    /// # Errors
    /// As [`Store::find_document`].
    pub async fn find(&self, key: &DocumentKey) -> Result<Option<DocumentRecord>> {
        self.store.find_document(key).await
    }

    /// The document of this name, which is created for `by` if it does not exist, also where
    /// several callers do so at once. The caller has checked the right to edit.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown document where documents are created by the API only;
    /// otherwise as [`Store::transact`].
    pub async fn find_or_create(
        &self,
        key: &DocumentKey,
        by: &User,
        now: Timestamp,
    ) -> Result<DocumentRecord> {
        match self.creation {
            DocumentCreation::Join => Ok(self.create(key, None, by, now).await?.0),
            DocumentCreation::Api => self.find(key).await?.ok_or(Error::NO_DOCUMENT),
        }
    }

    /// Gets a document by its name for a caller who may view it. Where there is none, but one of
    /// this name is in the trash, that one: its `deleted_at` is set.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to view, [`Error::NotFound`]; otherwise as
    /// [`Store::find_document`].
    pub async fn get(&self, claims: &Claims, room: &RoomName) -> Result<Summary> {
        claims.rights_in(room).require(Right::View)?;
        let key = claims.key(room);
        let metadata = match self.find(&key).await? {
            Some(record) => Arc::unwrap_or_clone(record.metadata),
            None => self.find_in_trash(&key).await?.ok_or(Error::NO_DOCUMENT)?,
        };
        self.summary(metadata, claims)
    }

    /// Finds the last document that was deleted under this name and is still in the trash. Takes at most 5 s.
    ///
    /// # Errors
    /// As [`Store::find_document`].
    pub async fn find_in_trash(&self, key: &DocumentKey) -> Result<Option<Metadata>> {
        let in_trash = self.store.view(async |tx| {
            tx.find(
                concat!(
                    "select ",
                    metadata_columns!(),
                    " from document ",
                    people!(),
                    " where document.trash_team = $1 and document.trash_room = $2
                      and document.deleted_at is not null
                      order by document.deleted_at desc limit 1"
                ),
                args![key.team, key.room],
            )
            .await
        });
        in_trash.await
    }

    /// Tells the team that the document was edited at `updated_at`. Returns how long to wait
    /// before the next notice of the same document: 5 s, or longer in a large team.
    pub fn edited(&self, team: &Team, metadata: &Metadata, updated_at: Timestamp) -> Duration {
        let metadata = Metadata {
            updated_at,
            ..metadata.clone()
        };
        let receivers = match events::edited(&self.document(metadata)) {
            Ok(event) => self.announcer.announce(team, event.relaxed()),
            Err(_) => 0,
        };
        let of_all = EDIT_NOTICE_PER_RECEIVER * u32::try_from(receivers).unwrap_or(u32::MAX);
        EDIT_NOTICE_EVERY.max(of_all)
    }

    /// Records in the activity that `writers` edit the document, and tells the main service that it
    /// was edited. Failures are logged; the next edits are told of again.
    pub async fn record_edit(
        &self,
        team: &Team,
        metadata: &Metadata,
        writers: &[User],
        at: Timestamp,
    ) {
        let record = async {
            let _ = self.activities.edited(team, metadata, writers, at).await;
            let _ = self.webhooks.document_updated(team, metadata, at).await;
        };
        // A stop of the server waits for it.
        let _ = timeout(RECORD_TIMEOUT, record).await;
    }

    /// A document as clients see it.
    fn document(&self, metadata: Metadata) -> Document {
        Document::new(metadata, &self.initial_status)
    }

    fn summary(&self, metadata: Metadata, claims: &Claims) -> Result<Summary> {
        Summary::new(self.document(metadata), claims).ok_or(Error::NO_DOCUMENT)
    }
}

/// Reads a document by its name within a transaction.
async fn find_record(tx: &Transaction, key: &DocumentKey) -> Result<Option<DocumentRecord>> {
    tx.find(DOCUMENT_BY_NAME, args![key.team, key.room]).await
}
