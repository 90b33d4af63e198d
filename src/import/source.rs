//! A store of another server, whatever its format.

use std::sync::Arc;

use super::{
    ImportError, Origin,
    contents::{Contents, Listed},
    hocuspocus::Hocuspocus,
    refusal::Refusal,
    y_sweet::YSweet,
    y_websocket::YWebsocket,
};
use crate::supervise::{Supervisor, Task};

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
