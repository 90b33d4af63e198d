//! One WebSocket: its queue of outgoing messages, and its place among all connections.

use std::sync::Arc;

use engineio::Outbox;

use super::{Shared, close, request::Dialect};
use crate::{
    limits::{Occupant, Place, Queue},
    metrics::{Metrics, Transport},
};

/// The most messages that are queued for one connection. The queue is bounded in bytes as well.
const QUEUE_MESSAGES_MAX: usize = 65_536;

/// One connection of this door.
pub(super) struct Connection {
    /// By which it is found among the others.
    pub(super) number: u64,
    /// As what it is counted.
    pub(super) transport: Transport,
    /// The messages to its client.
    pub(super) outbox: Outbox,
    /// Its place; `None` where HTTP is not served by the front door.
    pub(super) place: Option<Arc<Place>>,
}

impl Connection {
    pub(super) fn new(shared: &Shared, dialect: Dialect, place: Option<Arc<Place>>) -> Self {
        let transport = match dialect {
            Dialect::YWebsocket => Transport::YWebsocket,
            Dialect::Hocuspocus => Transport::Hocuspocus,
        };
        Self {
            number: shared.next_number(),
            transport,
            outbox: Outbox::new(QUEUE_MESSAGES_MAX),
            place,
        }
    }
}

impl Occupant for Connection {
    fn evict(&self) {
        self.outbox.cut();
    }
}

impl Queue for Connection {
    fn for_each_held(&self, each: &mut dyn FnMut(usize, usize)) {
        self.outbox.for_each_held(each);
    }

    fn cut(&self, reason: &'static str, metrics: &Metrics) {
        metrics.socket_cut(reason);
        close::lagging(&self.outbox, reason);
    }
}

/// A connection that is known to the door, until this is dropped: when its task has ended, also by a
/// panic.
pub(super) struct Entered {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<Connection>,
}

impl Entered {
    pub(super) fn new(shared: &Arc<Shared>, connection: Connection) -> Self {
        let connection = Arc::new(connection);
        shared.enter(&connection);
        Self {
            shared: Arc::clone(shared),
            connection,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Nobody writes to it from now on.
        self.connection.outbox.cut();
        self.shared.leave(&self.connection);
    }
}
