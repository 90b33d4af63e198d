//! The native door: Socket.IO, namespace `/`, over WebSocket and polling.
//!
//! ```text
//! protocol     every name of the wire and the payloads that we send
//! packet       Socket.IO packets as text and attachments
//! fields       reading a request's payload, field by field
//! engine       what Engine.IO tells us: opened, message, closed
//! handshake    from a token to a session
//! session      a connected socket: its claims, its rooms, its way out
//! requests     one request: parse, ask permission, call, answer
//! seat         a session's place in a room
//! lifecycle    what comes with time: expiry, notices, silent connections
//! ```
//! This door stands on the Engine.IO of [`engineio`] and
//! frames Socket.IO itself, because socketioxide 0.18 spawns a task for every event
//! (8 % of 20,000 consecutive events overtook one another), tells of a full
//! queue without saying whose, encodes a message anew for every socket, and
//! keeps every namespace that a stranger names. Engine.IO's callbacks are
//! synchronous and in order: a request is checked and put into its room's
//! inbox before the next frame is read. So nothing here may block, and what
//! must wait (verifying a token) is spawned.

mod engine;
mod fields;
mod handshake;
mod lifecycle;
mod packet;
pub mod protocol;
mod requests;
mod seat;
mod session;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use engineio::{Options, Reason, Sid};
use parking_lot::Mutex;

use self::{
    engine::{Engine, EngineSocket},
    session::Session,
};
use crate::{
    auth::Verifier,
    config::{Limits, Timing},
    error::{Error, Result},
    id::{SessionId, Team, UserId},
    limits::Role,
    metrics::Metrics,
    room::Rooms,
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
    rooms: Rooms,
    limits: Limits,
    timing: Timing,
    metrics: Metrics,
    supervisor: Supervisor,
    instance: String,
    draining: AtomicBool,
    sessions_begun: AtomicU64,
    registry: Mutex<Registry>,
}

/// Who is connected.
#[derive(Default)]
struct Registry {
    connections: HashMap<Sid, Arc<EngineSocket>>,
    sessions: HashMap<SessionId, Arc<Session>>,
    by_user: HashMap<(Team, UserId), usize>,
}

impl Sockets {
    /// A door to `rooms` for whom `verifier` lets in. `instance` names this server in `connection`.
    pub fn new(
        verifier: Verifier,
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
                rooms,
                limits,
                timing,
                metrics,
                supervisor,
                instance,
                draining: AtomicBool::new(false),
                sessions_begun: AtomicU64::new(0),
                registry: Mutex::default(),
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
        self.shared.registry.lock().connections.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets nobody in any more and refuses further updates.
    pub fn begin_draining(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server is stopping.
    pub fn draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Closes every transport, so that clients reconnect by themselves.
    pub fn close(&self) {
        for socket in self.shared.connections() {
            socket.close(Reason::Stopping);
        }
    }

    /// Whether every answer and event is on its way.
    pub fn is_drained(&self) -> bool {
        let registry = self.shared.registry.lock();
        registry
            .connections
            .values()
            .all(|connection| connection.is_drained())
    }
}

impl Shared {
    /// Everybody who is connected, as of now.
    fn connections(&self) -> Vec<Arc<EngineSocket>> {
        self.registry.lock().connections.values().cloned().collect()
    }

    /// How many rooms a socket of `role` may have joined.
    fn rooms_per_socket(&self, role: Role) -> usize {
        match role {
            Role::Person => self.limits.rooms_per_socket,
            Role::Service => self.limits.service_rooms_per_socket,
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.draining.load(Ordering::Relaxed) {
            Err(Error::Draining)
        } else {
            Ok(())
        }
    }
}
