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
//! transport    the TCP connection, with a switch to cut it
//! ```
//! This door stands on Engine.IO (the `engineioxide` crate) and frames
//! Socket.IO itself, because socketioxide 0.18 spawns a task for every event
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
mod transport;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use engineioxide::{config::EngineIoConfig, service::EngineIoService};
use parking_lot::Mutex;

pub use self::transport::{Stream, Transport};
use self::{
    engine::{Engine, EngineSocket},
    session::Session,
};
use crate::{
    auth::Verifier,
    config::{Limits, Timing},
    error::{Error, Result},
    id::{SessionId, Team, UserId},
    metrics::Metrics,
    room::Rooms,
};

/// The service that answers under `/socket.io`.
pub type SocketService = EngineIoService<Engine>;

/// Packets that may wait for one socket. They are bounded in bytes as well;
/// this bounds the small ones, such as the acks of a burst of 5,000 updates.
const QUEUE_PACKETS_MAX: usize = 16_384;

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
    instance: String,
    draining: AtomicBool,
    sessions_begun: AtomicU64,
    registry: Mutex<Registry>,
}

/// Who is connected.
#[derive(Default)]
struct Registry {
    connections: HashMap<String, Arc<EngineSocket>>,
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
        instance: String,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                verifier,
                rooms,
                limits,
                timing,
                metrics,
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
        let config = EngineIoConfig::builder()
            .req_path("/socket.io")
            .ping_interval(std::time::Duration::from_millis(timing.ping_interval_ms))
            .ping_timeout(std::time::Duration::from_millis(timing.ping_timeout_ms))
            .max_buffer_size(QUEUE_PACKETS_MAX)
            // Polling writes binary as base64, so the same update needs a third more.
            .max_payload((answered / 3 * 4) as u64)
            .ws_read_buffer_size(4096)
            .ws_max_message_size(answered)
            .ws_max_frame_size(answered)
            .build();
        EngineIoService::with_config(Arc::new(Engine::new(self.clone())), config)
    }

    /// How many sockets are connected, with a session or on the way to one.
    pub fn len(&self) -> usize {
        self.shared.registry.lock().connections.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes the TCP connection to which the polling session `sid` upgrades,
    /// so that it can be cut. A session that does not exist is ignored.
    pub fn note_upgrade(&self, sid: &str, transport: Transport) {
        if let Some(socket) = self.shared.registry.lock().connections.get(sid) {
            socket.data.set_transport(transport);
        }
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
            socket.close(engineioxide::DisconnectReason::ClosingServer);
        }
    }

    /// The queued bytes of the fullest socket: 0 once every answer is written.
    pub fn queued_bytes_max(&self) -> usize {
        let registry = self.shared.registry.lock();
        registry
            .sessions
            .values()
            .map(|session| session.queued_bytes())
            .max()
            .unwrap_or(0)
    }
}

impl Shared {
    /// Everybody who is connected, as of now.
    fn connections(&self) -> Vec<Arc<EngineSocket>> {
        self.registry.lock().connections.values().cloned().collect()
    }

    fn check_open(&self) -> Result<()> {
        if self.draining.load(Ordering::Relaxed) {
            Err(Error::Draining)
        } else {
            Ok(())
        }
    }
}
