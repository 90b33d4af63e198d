//! What the connections of an engine share, and how each begins and ends.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use parking_lot::Mutex;

use super::{
    connection::{Carrier, Connection, Reason, Sid},
    door::Door,
    options::Options,
};

/// What the connections of an engine share.
pub(super) struct Shared<D: Door> {
    pub(super) door: D,
    pub(super) options: Options,
    /// The connections that further requests may name: those that began with polling.
    named: Mutex<HashMap<Sid, Arc<Connection<D::Data>>>>,
}

impl<D: Door> Shared<D> {
    pub(super) fn new(door: D, options: Options) -> Self {
        Self {
            door,
            options,
            named: Mutex::default(),
        }
    }

    /// The connection that a request names.
    pub(super) fn find(&self, sid: &str) -> Option<Arc<Connection<D::Data>>> {
        let sid = Sid::parse(sid)?;
        self.named.lock().get(&sid).cloned()
    }

    /// A new connection, of which the door is told.
    pub(super) fn connect(
        &self,
        carrier: Carrier,
        authorization: Option<Box<str>>,
    ) -> Arc<Connection<D::Data>> {
        let messages_max = self.options.messages_max;
        let connection = Arc::new(Connection::new(carrier, authorization, messages_max));
        if carrier == Carrier::Polling {
            let named = Arc::clone(&connection);
            self.named.lock().insert(connection.id(), named);
        }
        self.door.opened(&connection);
        connection
    }

    /// The peer answered a ping.
    pub(super) fn answered(&self, connection: &Arc<Connection<D::Data>>) {
        if connection.answered() {
            self.door.heard(connection);
        }
    }

    /// The connection is over: nobody finds it any more, and the door is told.
    pub(super) fn finish(&self, connection: &Arc<Connection<D::Data>>, reason: Reason) {
        if connection.told.swap(true, Ordering::AcqRel) {
            return;
        }
        connection.outbox.refuse();
        if connection.polling.is_some() {
            self.named.lock().remove(&connection.id());
        }
        let reason = connection.reason().unwrap_or(reason);
        self.door.closed(connection, reason);
    }

    /// The first packet of a connection.
    pub(super) fn handshake(&self, sid: Sid, carrier: Carrier) -> String {
        let upgrades = match carrier {
            Carrier::Polling => r#"["websocket"]"#,
            Carrier::Websocket => "[]",
        };
        format!(
            r#"0{{"sid":"{sid}","upgrades":{upgrades},"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
            self.options.ping_interval.as_millis(),
            self.options.ping_timeout.as_millis(),
            self.options.payload_bytes_max,
        )
    }
}
