//! A connection that one caller at a time uses.

use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, MutexGuard};

use super::timeouts::{CONNECT_TIMEOUT, bounded};

/// One connection, which is lent to one caller at a time, in the order of the requests.
///
/// It is closed, and opened again when it is next needed, unless its caller gives it back: after a
/// failure or a cancelled statement its state is unknown (sqlx assumes that a transaction is open
/// which a full disk has already rolled back).
pub(super) struct ExclusiveConnection<C: Connection> {
    options: C::Options,
    slot: Mutex<Slot<C>>,
}

enum Slot<C> {
    Idle(C),
    Empty,
    Closed,
}

/// The use of an [`ExclusiveConnection`] until it is given back or dropped.
pub(super) struct Lease<'a, C> {
    pub(super) connection: C,
    slot: MutexGuard<'a, Slot<C>>,
}

impl<C: Connection> ExclusiveConnection<C> {
    /// Connects when it is first leased.
    pub(super) fn new(options: C::Options) -> Self {
        Self {
            options,
            slot: Mutex::new(Slot::Empty),
        }
    }

    pub(super) async fn lease(&self) -> sqlx::Result<Lease<'_, C>> {
        let mut slot = self.slot.lock().await;
        let connection = match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Idle(connection) => connection,
            Slot::Empty => bounded(CONNECT_TIMEOUT, self.options.connect()).await?,
            Slot::Closed => {
                *slot = Slot::Closed;
                return Err(sqlx::Error::PoolClosed);
            }
        };
        Ok(Lease { connection, slot })
    }

    /// Closes the connection; leases fail from now on.
    pub(super) async fn close(&self) {
        let mut slot = self.slot.lock().await;
        if let Slot::Idle(connection) = std::mem::replace(&mut *slot, Slot::Closed) {
            let _ = connection.close().await;
        }
    }
}

impl<C> Lease<'_, C> {
    /// Keeps the connection for the next caller.
    pub(super) fn give_back(mut self) {
        *self.slot = Slot::Idle(self.connection);
    }
}
