//! A token that is being verified beside the connection that has shown it, of which nothing is read meanwhile.

use std::sync::Arc;

use engineio::Busy;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Shared, client::Client, connection::Connection};

/// What became of a token.
pub(super) enum Opened {
    /// It has opened a document.
    Client(Arc<Client>),
    /// The document was denied, or a session renewed.
    Nothing,
}

/// The verification of a token.
pub(super) struct Verification {
    opened: Mutex<Option<Opened>>,
    is_done: Notify,
}

impl Verification {
    /// Runs `work` as a task of `connection`. Where it panics, it opens nothing.
    pub(super) fn begin(
        shared: &Shared,
        connection: &Connection,
        work: impl Future<Output = Opened> + Send + 'static,
    ) -> Arc<Self> {
        let verification = Arc::new(Self {
            opened: Mutex::new(None),
            is_done: Notify::new(),
        });
        let done = Done(Arc::clone(&verification));
        shared.spawn(connection.place.clone(), async move {
            let opened = work.await;
            *done.0.opened.lock() = Some(opened);
        });
        verification
    }

    /// Its result, once: `None` while it has not ended.
    pub(super) fn take(&self) -> Option<Opened> {
        self.opened.lock().take()
    }

    /// Waits until it has ended.
    pub(super) fn ended(self: Arc<Self>) -> Busy {
        Box::pin(async move { self.is_done.notified().await })
    }
}

/// Ends a verification when it is dropped.
struct Done(Arc<Verification>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.opened.lock().get_or_insert(Opened::Nothing);
        self.0.is_done.notify_one();
    }
}
