//! A store of another server, whatever its format.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    ImportError, Origin, hocuspocus::Hocuspocus, report::Refusal, y_sweet::YSweet,
    y_websocket::YWebsocket,
};
use crate::supervise::{Supervisor, Task};
use document::StateVector;

/// The content of one document, as the source has it.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Updates of encoding v1, in the order in which they were written.
    pub(super) updates: Vec<Bytes>,
    /// What the updates have to contain at least, where the source says so.
    pub(super) state_vector: Option<StateVector>,
    /// What the source has of the document besides its content, and which is not imported.
    pub(super) besides: Vec<String>,
}

/// The documents of a source.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The names of all documents that were found, each once, or an entry without a name.
    pub(super) names: Vec<Name>,
    /// Parts of the source that cannot be read, where documents may have been.
    pub(super) damages: Vec<String>,
}

/// The name of a document in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Its name.
    Is(String),
    /// What has content, but no name by which it is found; and why.
    Unreadable(String, &'static str),
}

/// An opened source. Files are read on threads that may block.
pub(super) enum Source {
    YWebsocket(Arc<YWebsocket>),
    Hocuspocus(Hocuspocus),
    YSweet(Arc<YSweet>),
}

impl Source {
    /// Opens the store. It is not changed, then or later.
    pub(super) async fn open(
        origin: &Origin,
        supervisor: &Supervisor,
    ) -> Result<Self, ImportError> {
        match origin.clone() {
            Origin::YWebsocket { folder, .. } => {
                let opening = on_thread(supervisor, move || YWebsocket::open(&folder)).await??;
                Ok(Self::YWebsocket(Arc::new(opening)))
            }
            Origin::Hocuspocus { database, table } => {
                Ok(Self::Hocuspocus(Hocuspocus::open(&database, &table).await?))
            }
            Origin::YSweet { folder } => Ok(Self::YSweet(Arc::new(YSweet::open(&folder)?))),
        }
    }

    /// Finds all documents.
    pub(super) async fn list(&self, supervisor: &Supervisor) -> Result<Listed, ImportError> {
        match self {
            Self::YWebsocket(store) => {
                let store = Arc::clone(store);
                on_thread(supervisor, move || store.list()).await
            }
            Self::Hocuspocus(table) => table.list().await,
            Self::YSweet(store) => {
                let store = Arc::clone(store);
                on_thread(supervisor, move || store.list()).await?
            }
        }
    }

    /// Reads one document. The error within says why it cannot be imported.
    pub(super) async fn read(
        &self,
        name: &str,
        supervisor: &Supervisor,
    ) -> Result<Result<Contents, Refusal>, ImportError> {
        let owned = name.to_owned();
        match self {
            Self::YWebsocket(store) => {
                let store = Arc::clone(store);
                on_thread(supervisor, move || store.read(&owned)).await
            }
            Self::Hocuspocus(table) => table.read(name).await,
            Self::YSweet(store) => {
                let store = Arc::clone(store);
                on_thread(supervisor, move || store.read(&owned)).await
            }
        }
    }
}

async fn on_thread<T: Send + 'static>(
    supervisor: &Supervisor,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ImportError> {
    let panicked = || ImportError::Source("a defect of this program; its log has the place".into());
    supervisor
        .blocking(Task::Validation, work)
        .await
        .ok_or_else(panicked)
}
