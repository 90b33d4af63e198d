//! The native door: Socket.IO, namespace `/`, over WebSocket and polling; and the door of
//! y-socket.io, whose namespaces share its connections.
//!
//! ```text
//! protocol     every name of the wire, and the payloads that the server sends
//! packet       Socket.IO packets as text and attachments
//! fields       reads a request's payload, field by field
//! engine       the callbacks of Engine.IO: opened, message, closed
//! connection   the state of one Engine.IO connection
//! header       the headers of updates, recognised without a JSON parser
//! handshake    begins a session with a token, and renews its token
//! held         events that are held back for a client
//! joined       the ack of `join_room`
//! joined_rooms the rooms that one client has joined
//! client       a connected client: its session, its rooms, and messages to it
//! calls        requests that ask for an operation of a feature
//! asyncapi     the description of all requests and events
//! replay       sends a client the events that it has missed
//! requests     one request: parse, check the rights, call, answer
//! seat         a client's seat in a room
//! events       sends events of the bus to clients
//! lifecycle    closes connections that never begin a session
//! yjs          the namespaces of y-socket.io
//! ```
//! This door uses the Engine.IO of [`engineio`] and implements Socket.IO itself, because
//! socketioxide 0.18 spawns a task for every event (8 % of 20,000 consecutive events overtook
//! one another), reports a full queue without naming its socket, encodes a message again for
//! every socket, and keeps every namespace that an unauthenticated client names. Engine.IO's
//! callbacks are synchronous and in order: a request is checked and put into its room's inbox
//! before the next frame is read. So nothing here may block, and work that has to wait
//! (verifying a token) is spawned.

mod asyncapi;
mod calls;
mod client;
mod connection;
mod engine;
mod events;
mod fields;
mod handshake;
mod header;
mod held;
mod joined;
mod joined_rooms;
mod lifecycle;
mod packet;
pub mod protocol;
mod replay;
mod requests;
mod seat;
mod yjs;

use std::{collections::HashMap, ops::Deref, sync::Arc, time::Duration};

use engineio::{Options, Reason, Sid};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

pub use self::asyncapi::document as asyncapi;
use self::{
    client::{Client, EngineSocket},
    engine::Engine,
};
use crate::{
    auth::Verifier,
    config::{Limits, Timing},
    id::SessionId,
    limits::{Holding, Places, Queue, Queues, Role, Sampler, Share, Verifications},
    metrics::Metrics,
    operations::Operations,
    presence::Presence,
    room::Rooms,
    session::Sessions,
    store::Store,
    supervise::Supervisor,
};

use self::handshake::public_id;

/// The service that answers under `/socket.io`.
pub type SocketService = engineio::Engine<Engine>;

/// The most packets that are queued for one socket. The queue is bounded in bytes as well; this
/// bounds small packets, such as the acks of the requests that a client had sent before the
/// server stopped reading from it because too many acks were queued.
const QUEUE_PACKETS_MAX: usize = 65_536;

/// The space for the framing around the largest payload whose request is answered, with
/// `too_large` if need be. A larger message closes the connection.
const FRAMING_BYTES: usize = 64 * 1024;

/// Every connected socket, and the parts of the server that requests use. Cheap to clone.
#[derive(Clone)]
pub struct Sockets {
    shared: Arc<Shared>,
}

/// The parts of the server that this door uses.
pub struct Parts {
    /// Verifies the tokens of clients.
    pub verifier: Verifier,
    /// Admits their sessions.
    pub sessions: Sessions,
    /// Is told who is there.
    pub presence: Presence,
    /// The database, for the events that clients have missed.
    pub store: Store,
    /// The live documents.
    pub rooms: Rooms,
    /// What clients may ask of the features.
    pub operations: Operations,
    /// The limits of requests.
    pub limits: Limits,
    /// The timeouts of connections.
    pub timing: Timing,
    /// The places of connections.
    pub places: Places,
    /// The permits for the verification of tokens.
    pub verifications: Verifications,
    /// The memory of all queues of outgoing messages.
    pub queues: Queues,
    /// How much of the processor strangers get.
    pub share: Share,
    /// The metrics.
    pub metrics: Metrics,
    /// The owner of all tasks.
    pub supervisor: Supervisor,
    /// The name of this server in the event `connection`.
    pub instance: String,
}

/// The state that all files of this door share.
struct Shared {
    parts: Parts,
    /// The tasks of the transports. They outlast their connections, until the peer has read the
    /// last messages.
    transports: TaskTracker,
    connections: Mutex<HashMap<Sid, Arc<EngineSocket>>>,
    /// Lines about sessions that begin, and about clients that are cut, of which there may be many.
    begun: Sampler,
    cut: Sampler,
    /// The clients whose session has begun.
    clients: Mutex<HashMap<SessionId, Arc<Client>>>,
}

impl Sockets {
    /// A door to the rooms and the operations in `parts`.
    pub fn new(parts: Parts) -> Self {
        Self {
            shared: Arc::new(Shared {
                parts,
                transports: TaskTracker::new(),
                connections: Mutex::default(),
                begun: Sampler::new(),
                cut: Sampler::new(),
                clients: Mutex::default(),
            }),
        }
    }

    /// The HTTP service of this door.
    pub fn service(&self) -> SocketService {
        let message_bytes_max = self.shared.limits.update_bytes_max * 2 + FRAMING_BYTES;
        let timing = &self.shared.timing;
        let options = Options {
            ping_interval: Duration::from_millis(timing.ping_interval_ms),
            ping_timeout: Duration::from_millis(timing.ping_timeout_ms),
            messages_max: QUEUE_PACKETS_MAX,
            message_bytes_max,
            stranger_bytes_max: self.shared.limits.stranger_bytes_max,
            websocket: engineio::Limits {
                partial_timeout: Duration::from_millis(timing.message_timeout_ms),
                bare_frames_per_second: self.shared.limits.bare_frames_per_second,
                bare_frames_burst: self.shared.limits.bare_frames_burst,
            },
            // Polling encodes binary as base64, so the same update needs a third more.
            payload_bytes_max: message_bytes_max / 3 * 4,
            ..Options::default()
        };
        engineio::Engine::new(Engine::new(self.clone()), options)
    }

    /// The number of connected sockets, with or without a session.
    pub fn len(&self) -> usize {
        self.shared.connections.lock().len()
    }

    /// Whether no socket is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every transport has ended. After [`close_within`](Self::close_within), that is when its client has
    /// read the last messages, or after a timeout: a process that ends earlier resets connections
    /// whose clients are still sending, and what they have not read by then is lost.
    pub fn have_ended(&self) -> bool {
        self.is_empty() && self.shared.transports.is_empty()
    }

    /// Closes every transport, so that clients reconnect by themselves: one after the other, evenly
    /// within the time `spread`, so that they do not reach the next server all at once.
    pub async fn close_within(&self, spread: Duration) {
        let began = Instant::now();
        // Their order is random, since their ids are.
        let sockets = self.shared.connections();
        let count = sockets.len() as f64;
        for (place, socket) in sockets.into_iter().enumerate() {
            let due = began + spread.mul_f64(place as f64 / count);
            if due > Instant::now() {
                sleep_until(due).await;
            }
            socket.close(Reason::Stopping);
        }
        // Those whose request to connect was under way.
        for socket in self.shared.connections() {
            socket.close(Reason::Stopping);
        }
    }

    /// Whether all queued answers and events have been handed to the transports.
    pub fn is_drained(&self) -> bool {
        let connections = self.shared.connections.lock();
        connections
            .values()
            .all(|connection| connection.is_drained())
    }
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Shared {
    /// Every connection at this moment.
    fn connections(&self) -> Vec<Arc<EngineSocket>> {
        self.connections.lock().values().cloned().collect()
    }

    /// The queues that hold messages.
    fn holding(&self) -> Holding {
        let connections = self.connections.lock();
        let all = connections.values();
        let bytes = all.map(|socket| (socket.held_bytes(), socket));
        let holding = bytes.filter(|(bytes, _)| *bytes > 0);
        holding
            .map(|(bytes, socket)| (bytes, Arc::clone(socket) as Arc<dyn Queue>))
            .collect()
    }

    /// Removes a client whose session has ended, and its session.
    fn forget(&self, client: &Client) {
        self.clients.lock().remove(&client.session.id());
        self.presence.depart(&client.session);
        self.sessions.forget(&client.session);
    }

    /// The number of rooms that a client of `role` may be in at once.
    fn rooms_per_socket(&self, role: Role) -> usize {
        match role {
            Role::Person => self.limits.rooms_per_socket,
            Role::Service => self.limits.service_rooms_per_socket,
        }
    }
}
