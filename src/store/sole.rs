//! A connection that one caller uses at a time.

use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, MutexGuard};

use super::{database::CONNECT_TIMEOUT, failure::bounded};

/// One connection, used by one caller at a time, in the order of asking.
///
/// It is thrown away, and made anew when next needed, unless its user gives it
/// back: after a failure or a cancelled statement nobody knows what state it is
/// in (sqlx believes in a transaction that a full disk has already undone).
pub(super) struct Sole<C: Connection> {
    options: C::Options,
    slot: Mutex<Slot<C>>,
}

enum Slot<C> {
    Idle(C),
    Empty,
    Closed,
}

/// The use of a [`Sole`] connection until it is given back or dropped.
pub(super) struct Lease<'a, C> {
    pub(super) connection: C,
    slot: MutexGuard<'a, Slot<C>>,
}

impl<C: Connection> Sole<C> {
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

    pub(super) async fn close(&self) {
        let mut slot = self.slot.lock().await;
        if let Slot::Idle(connection) = std::mem::replace(&mut *slot, Slot::Closed) {
            let _ = connection.close().await;
        }
    }
}

impl<C> Lease<'_, C> {
    pub(super) fn give_back(mut self) {
        *self.slot = Slot::Idle(self.connection);
    }
}
