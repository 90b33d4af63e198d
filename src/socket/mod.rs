//! The native door: Socket.IO, namespace `/`, over WebSocket and polling.
//!
//! ```text
//! protocol     every name of the wire and the payloads that we send
//! packet       Socket.IO packets as text and attachments
//! fields       reading a request's payload, field by field
//! engine       what Engine.IO tells us: opened, message, closed
//! connection   what is kept of one Engine.IO connection
//! handshake    from a token to a session
//! client       a connected client: its session, its rooms, and how it is told
//! requests     one request: parse, ask permission, call, answer
//! seat         a client's place in a room
//! events       events of the bus, told to clients
//! lifecycle    connections that never begin a session are closed
//! ```
//! This door stands on the Engine.IO of [`engineio`] and
//! frames Socket.IO itself, because socketioxide 0.18 spawns a task for every event
//! (8 % of 20,000 consecutive events overtook one another), tells of a full
//! queue without saying whose, encodes a message anew for every socket, and
//! keeps every namespace that a stranger names. Engine.IO's callbacks are
//! synchronous and in order: a request is checked and put into its room's
//! inbox before the next frame is read. So nothing here may block, and what
//! must wait (verifying a token) is spawned.

mod client;
mod connection;
mod engine;
mod events;
mod fields;
mod handshake;
mod lifecycle;
mod packet;
pub mod protocol;
mod requests;
mod seat;

use std::{collections::HashMap, sync::Arc, time::Duration};

use engineio::{Options, Reason, Sid};
use parking_lot::Mutex;

use self::{
    client::{Client, EngineSocket},
    engine::Engine,
};
use crate::{
    auth::Verifier,
    config::{Limits, Timing},
    id::SessionId,
    limits::Role,
    metrics::Metrics,
    room::Rooms,
    session::Sessions,
    supervise::Supervisor,
};

/// The service that answers under `/socket.io`.
pub type SocketService = engineio::Engine<Engine>;

/// Packets that may wait for one socket. They are bounded in bytes as well;
/// this bounds the small ones: the acks of what a socket had sent before it was
/// read from no more, because too many of them waited.
const QUEUE_PACKETS_MAX: usize = 65_536;

/// Room for the framing around a payload of the largest size that is answered.
const FRAMING_BYTES: usize = 64 * 1024;

/// Every connected socket, and what its requests need. Cheap to clone.
#[derive(Clone)]
pub struct Sockets {
    shared: Arc<Shared>,
}

/// What the parts of this door share.
struct Shared {
    verifier: Verifier,
    sessions: Sessions,
    rooms: Rooms,
    limits: Limits,
    timing: Timing,
    metrics: Metrics,
    supervisor: Supervisor,
    instance: String,
    connections: Mutex<HashMap<Sid, Arc<EngineSocket>>>,
    /// Those in session.
    clients: Mutex<HashMap<SessionId, Arc<Client>>>,
}

impl Sockets {
    /// A door to `rooms` for whom `verifier` lets in and `sessions` admits. `instance` names this
    /// server in `connection`.
    #[expect(
        clippy::too_many_arguments,
        reason = "each part is built once, in `app`"
    )]
    pub fn new(
        verifier: Verifier,
        sessions: Sessions,
        rooms: Rooms,
        limits: Limits,
        timing: Timing,
        metrics: Metrics,
        supervisor: Supervisor,
        instance: String,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                verifier,
                sessions,
                rooms,
                limits,
                timing,
                metrics,
                supervisor,
                instance,
                connections: Mutex::default(),
                clients: Mutex::default(),
            }),
        }
    }

    /// The HTTP service of this door.
    pub fn service(&self) -> SocketService {
        let answered = self.shared.limits.update_bytes_max * 2 + FRAMING_BYTES;
        let timing = &self.shared.timing;
        let options = Options {
            ping_interval: Duration::from_millis(timing.ping_interval_ms),
            ping_timeout: Duration::from_millis(timing.ping_timeout_ms),
            messages_max: QUEUE_PACKETS_MAX,
            message_bytes_max: answered,
            // Polling writes binary as base64, so the same update needs a third more.
            payload_bytes_max: answered / 3 * 4,
            ..Options::default()
        };
        engineio::Engine::new(Engine::new(self.clone()), options)
    }

    /// How many sockets are connected, with a session or on the way to one.
    pub fn len(&self) -> usize {
        self.shared.connections.lock().len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes every transport, so that clients reconnect by themselves.
    pub fn close(&self) {
        for socket in self.shared.connections() {
            socket.close(Reason::Stopping);
        }
    }

    /// Whether every answer and event is on its way.
    pub fn is_drained(&self) -> bool {
        let connections = self.shared.connections.lock();
        connections
            .values()
            .all(|connection| connection.is_drained())
    }
}

impl Shared {
    /// Every connection, as of now.
    fn connections(&self) -> Vec<Arc<EngineSocket>> {
        self.connections.lock().values().cloned().collect()
    }

    /// The client's session is over: nothing of it stays.
    fn forget(&self, client: &Client) {
        self.clients.lock().remove(&client.session.id());
        self.sessions.forget(&client.session);
    }

    /// How many rooms a socket of `role` may have joined.
    fn rooms_per_socket(&self, role: Role) -> usize {
        match role {
            Role::Person => self.limits.rooms_per_socket,
            Role::Service => self.limits.service_rooms_per_socket,
        }
    }
}
