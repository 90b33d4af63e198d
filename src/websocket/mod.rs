//! The door of stock Yjs clients that connect by a plain WebSocket: y-websocket and the provider of
//! Hocuspocus.
//!
//! ```text
//! protocol    the messages of y-websocket, as bytes
//! hocuspocus  those of Hocuspocus
//! close       the codes with which connections are closed
//! opening     what a request says: the room, the token, the subprotocol
//! service     from a request to a session, or to a refusal
//! connection  one WebSocket: its queue and its place
//! sitting     a session, with its clients
//! client      a client in one document: its session, its room, and messages to it
//! request     the requests to rooms, by name
//! requests    one message of a client: charge, check the rights, call
//! reader      receives frames, in order and no faster than budgets allow
//! solo        the frames of a connection of y-websocket
//! hub         the frames of a connection of Hocuspocus
//! verification  a token of it that is being verified
//! seat        the client as a member of its room
//! acks        when a provider of Hocuspocus is told that its writes are durable
//! asking      when the server asks a client for what it lacks
//! ```
//! A connection of y-websocket is one session in one room, that of Hocuspocus has several documents. The protocols have hardly any errors: in
//! y-websocket a refusal is the close code of the connection, sent after the upgrade, since browsers hide the status of a failed one. Whatever the protocol
//! cannot say is done for the client: the room sends it what it has missed, the server asks anew for what it lacks itself,
//! and whoever sends too fast is read more slowly.
//!
//! As in the native door, a message is put into its room's inbox before the next one is read.

mod acks;
mod asking;
mod client;
mod close;
mod connection;
mod hocuspocus;
mod hub;
mod opening;
mod protocol;
mod reader;
mod request;
mod requests;
mod seat;
mod service;
mod sitting;
mod solo;
mod verification;

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use self::{connection::Connection, request::Dialect};
pub use self::{opening::PATH, service::WebSocketService};
use crate::{
    auth::Verifier,
    config::{Limits, Timing},
    error::Error,
    limits::{Holding, Queue, Queues, Sampler, Share, Verifications},
    metrics::Metrics,
    presence::Presence,
    room::Rooms,
    session::Sessions,
    supervise::Supervisor,
};

/// The path of Hocuspocus.
pub const HOCUSPOCUS_PATH: &str = "/hocuspocus";

/// The connections of this door, and the parts of the server that it uses. Cheap to clone.
#[derive(Clone)]
pub struct WebSockets {
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
    /// The live documents.
    pub rooms: Rooms,
    /// The limits of messages.
    pub limits: Limits,
    /// The timeouts of connections.
    pub timing: Timing,
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
}

/// The state that all files of this door share.
struct Shared {
    parts: Parts,
    /// The tasks of the connections. They outlast these, until the peer has read the last messages.
    tasks: TaskTracker,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    last_number: AtomicU64,
    /// Lines about sessions that begin, and about clients that are cut, of which there may be many.
    begun: Sampler,
    cut: Sampler,
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl WebSockets {
    /// A door to the rooms in `parts`.
    pub fn new(parts: Parts) -> Self {
        let shared = Arc::new(Shared {
            parts,
            tasks: TaskTracker::new(),
            connections: Mutex::default(),
            last_number: AtomicU64::new(0),
            begun: Sampler::new(),
            cut: Sampler::new(),
        });
        let queues = Arc::downgrade(&shared);
        let holding = move || queues.upgrade().map(|shared| shared.holding());
        shared.queues.add(move || holding().unwrap_or_default());
        Self { shared }
    }

    /// The service of y-websocket, for the paths that begin with [`PATH`].
    pub fn yjs(&self) -> WebSocketService {
        WebSocketService::new(&self.shared, Dialect::YWebsocket)
    }

    /// The service of Hocuspocus, for [`HOCUSPOCUS_PATH`].
    pub fn hocuspocus(&self) -> WebSocketService {
        WebSocketService::new(&self.shared, Dialect::Hocuspocus)
    }

    /// The number of connections, with or without a session.
    pub fn len(&self) -> usize {
        self.shared.connections.lock().len()
    }

    /// Whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every connection has ended, and its client has read the last messages or let a timeout
    /// pass.
    pub fn have_ended(&self) -> bool {
        self.is_empty() && self.shared.tasks.is_empty()
    }

    /// Whether all queued messages have been handed to the kernel.
    pub fn are_drained(&self) -> bool {
        let connections = self.shared.connections.lock();
        connections.values().all(|it| it.outbox.is_empty())
    }

    /// Closes every connection, so that clients reconnect by themselves: one after the other, evenly
    /// within the time `spread`, so that they do not reach the next server all at once.
    pub async fn close_within(&self, spread: Duration) {
        let began = Instant::now();
        let all = self.shared.all();
        let count = all.len() as f64;
        for (place, connection) in all.into_iter().enumerate() {
            let due = began + spread.mul_f64(place as f64 / count);
            if due > Instant::now() {
                sleep_until(due).await;
            }
            close::because(&connection.outbox, &Error::Draining);
        }
        // Those whose opening was under way.
        for connection in self.shared.all() {
            close::because(&connection.outbox, &Error::Draining);
        }
    }
}

impl Shared {
    /// Every connection at this moment.
    fn all(&self) -> Vec<Arc<Connection>> {
        self.connections.lock().values().cloned().collect()
    }

    /// The queues that hold messages.
    fn holding(&self) -> Holding {
        let connections = self.connections.lock();
        let all = connections.values();
        let bytes = all.map(|it| (it.outbox.held_bytes(), it));
        let holding = bytes.filter(|(bytes, _)| *bytes > 0);
        holding
            .map(|(bytes, it)| (bytes, Arc::clone(it) as Arc<dyn Queue>))
            .collect()
    }

    /// Notes a connection that begins.
    fn enter(&self, connection: &Arc<Connection>) {
        self.metrics.connection_opened(connection.transport);
        let mut connections = self.connections.lock();
        connections.insert(connection.number, Arc::clone(connection));
    }

    /// Notes the end of a connection.
    fn leave(&self, connection: &Connection) {
        if self.connections.lock().remove(&connection.number).is_some() {
            self.metrics.connection_closed(connection.transport);
        }
    }

    fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed)
    }
}
