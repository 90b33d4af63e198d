//! The workflow of documents: each document has a status, and is moved to another one by the steps of
//! a table.
//!
//! ```text
//! Workflow    all of this, for a caller with claims
//! State       a document's status, and where the caller may move it
//! Machine     the rules: which steps the table has, and who may take them (machine.rs)
//! Transition  one step (transition.rs)
//! HistoryPage the steps that a document has taken (history.rs)
//! Moved       the event workflow_update, which an open room follows (events.rs)
//! ```
//! The table is configured, the same for all documents. A document that has taken no step has no
//! status in its row: it has the initial one of the table. A status that the table does not have,
//! because another table was configured before, is kept until someone with the right to manage moves
//! the document to the initial status.

mod events;
mod history;
mod machine;
#[cfg(test)]
mod tests;
mod transition;

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

pub use self::{
    events::{Moved, UPDATE as WORKFLOW_UPDATE},
    history::{HistoryPage, HistoryRequest, Step},
    machine::{Machine, Refusal},
    transition::Transition,
};
use crate::{
    auth::{Claims, Right, Rights, User},
    config::WorkflowTable,
    error::{Error, Result},
    id::{RoomName, Timestamp},
    notifications::Notifications,
    store::{Metadata, PagePermits, Status, Store},
    webhooks::Webhooks,
};

/// The workflow of all documents. Cheap to clone.
#[derive(Clone)]
pub struct Workflow {
    store: Store,
    notifications: Notifications,
    webhooks: Webhooks,
    machine: Arc<Machine>,
    permits: PagePermits,
}

/// The status of a document, as one caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WorkflowState)]
pub struct State {
    /// The status.
    pub status: String,
    /// When the document was moved there, or was created.
    pub since: Timestamp,
    /// Who moved it there; nobody, if it has taken no step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<User>,
    /// The statuses to which the caller may move it now, in the order of the table.
    pub allowed: Vec<String>,
}

impl Workflow {
    /// The workflow of the documents in `store` by the steps of `table`.
    pub fn new(
        store: Store,
        notifications: Notifications,
        webhooks: Webhooks,
        table: WorkflowTable,
    ) -> Self {
        Self {
            store,
            notifications,
            webhooks,
            machine: Arc::new(Machine::new(table)),
            permits: PagePermits::default(),
        }
    }

    /// The status of a document whose row says `status` and `created_at`, for a caller with these
    /// rights in it.
    fn state_of(&self, status: Option<Status>, created_at: Timestamp, rights: Rights) -> State {
        let (name, since, by) = match status {
            Some(Status { name, since, by }) => (name, since, Some(by)),
            None => (self.machine.initial().to_owned(), created_at, None),
        };
        State {
            allowed: self.machine.allowed(&name, rights),
            status: name,
            since,
            by,
        }
    }

    /// The status of the document with this metadata, for a caller with these rights in it.
    pub fn state(&self, metadata: &Metadata, rights: Rights) -> State {
        self.state_of(metadata.status.clone(), metadata.created_at, rights)
    }

    /// Gets the status of a document.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to view, [`Error::NotFound`]; otherwise as
    /// [`Store::find_document`].
    pub async fn get(&self, claims: &Claims, room: &RoomName) -> Result<State> {
        let rights = claims.rights_in(room);
        rights.require(Right::View)?;
        let found = self.store.find_document(&claims.key(room)).await?;
        let metadata = found.ok_or(Error::NO_DOCUMENT)?.metadata;
        Ok(self.state(&metadata, rights))
    }
}
