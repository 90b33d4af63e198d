//! The state that an engine and all its connections share.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{
    connection::{Connection, Reason, Sid},
    door::Door,
    options::Options,
    stage::Carrier,
};

/// The state that an engine and all its connections share.
pub(super) struct Shared<D: Door> {
    pub(super) door: D,
    pub(super) options: Options,
    /// The connections that further requests may name by `sid`: those that began with polling.
    by_sid: Mutex<HashMap<Sid, Arc<Connection<D::Data>>>>,
}

impl<D: Door> Shared<D> {
    pub(super) fn new(door: D, options: Options) -> Self {
        Self {
            door,
            options,
            by_sid: Mutex::default(),
        }
    }

    /// The open connection whose id is `sid`.
    pub(super) fn find(&self, sid: &str) -> Option<Arc<Connection<D::Data>>> {
        let sid = Sid::parse(sid)?;
        self.by_sid.lock().get(&sid).cloned()
    }

    /// Opens a new connection and reports it to the door.
    pub(super) fn connect(
        &self,
        data: D::Data,
        carrier: Carrier,
        authorization: Option<Box<str>>,
    ) -> Arc<Connection<D::Data>> {
        let messages_max = self.options.messages_max;
        let connection = Arc::new(Connection::new(data, carrier, authorization, messages_max));
        if carrier == Carrier::Polling {
            let mut by_sid = self.by_sid.lock();
            by_sid.insert(connection.id(), Arc::clone(&connection));
        }
        self.door.opened(&connection);
        connection
    }

    /// Notes that the peer answered a ping.
    pub(super) fn ping_answered(&self, connection: &Arc<Connection<D::Data>>) {
        if connection.ping_answered() {
            self.door.pings_answered(connection);
        }
    }

    /// The largest body that is read from the peer at present.
    pub(super) fn payload_bytes_max(&self, connection: &Arc<Connection<D::Data>>) -> usize {
        match self.door.knows(connection) {
            true => self.options.payload_bytes_max,
            false => self.options.stranger_bytes_max,
        }
    }

    /// Ends a connection that the calling task serves over `carrier`: removes it and reports its end
    /// to the door, once. Without effect where another carrier has taken over.
    pub(super) fn finish(
        &self,
        connection: &Arc<Connection<D::Data>>,
        carrier: Carrier,
        reason: Reason,
    ) {
        let polling = connection.polling.as_ref();
        let _calls = polling.map(|polling| polling.calls.lock());
        if !connection.stage.lock().close(carrier) {
            return;
        }
        connection.outbox.stop_accepting();
        if connection.polling.is_some() {
            self.by_sid.lock().remove(&connection.id());
        }
        let reason = connection.reason().unwrap_or(reason);
        self.door.closed(connection, reason);
    }

    /// The open packet, which is the first of a connection.
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
