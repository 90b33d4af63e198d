//! What Engine.IO tells this door: a connection opened, sent something, closed.
//!
//! The callbacks run in the connection's reader, in order. A panic there would
//! leave a client that believes itself connected and is never heard, so it is
//! caught and ends the connection.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use engineio::{Carrier, Door, Reason};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::debug;

use super::{
    Sockets, handshake,
    packet::{Attachments, Kind, NotAPacket, Packet},
    requests,
    session::Session,
};
use crate::{metrics, supervise::Task};

/// How often one connection may be refused a session before it is closed:
/// each try costs a signature to check.
const REFUSALS_MAX: u32 = 8;

/// One Engine.IO connection.
pub(super) type EngineSocket = engineio::Connection<Connection>;

/// What is known of one connection.
pub struct Connection {
    pub(super) opened_at: Instant,
    state: Mutex<State>,
    /// How often this connection was refused a session.
    refusals: AtomicU32,
    /// The kind of transport under which the connection is counted.
    counted_as: Mutex<metrics::Transport>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            opened_at: Instant::now(),
            state: Mutex::default(),
            refusals: AtomicU32::new(0),
            counted_as: Mutex::new(metrics::Transport::Polling),
        }
    }
}

#[derive(Default)]
struct State {
    phase: Phase,
    partial: Option<Partial>,
}

/// How far a connection has come.
#[derive(Default)]
pub(super) enum Phase {
    /// Open, without a session.
    #[default]
    Opened,
    /// A token is being verified.
    Verifying,
    /// In session.
    Connected(Arc<Session>),
    /// Gone.
    Closed,
}

/// A packet whose attachments are still coming.
struct Partial {
    text: Box<str>,
    wanted: usize,
    attachments: Attachments,
}

impl Connection {
    /// Runs `change` on the phase.
    pub(super) fn phase<T>(&self, change: impl FnOnce(&mut Phase) -> T) -> T {
        change(&mut self.state.lock().phase)
    }

    /// Counts a refusal; `true` while further tries are welcome.
    pub(super) fn may_try_again(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed) + 1 < REFUSALS_MAX
    }

    pub(super) fn session(&self) -> Option<Arc<Session>> {
        match &self.state.lock().phase {
            Phase::Connected(session) => Some(Arc::clone(session)),
            Phase::Opened | Phase::Verifying | Phase::Closed => None,
        }
    }
}

/// The receiver of Engine.IO's callbacks.
#[derive(Clone)]
pub struct Engine {
    sockets: Sockets,
}

impl Engine {
    pub(super) fn new(sockets: Sockets) -> Self {
        Self { sockets }
    }

    fn guarded(
        &self,
        socket: &Arc<EngineSocket>,
        receive: impl FnOnce() -> Result<(), NotAPacket>,
    ) {
        match self
            .sockets
            .shared
            .supervisor
            .guard(Task::Connection, receive)
        {
            Some(Ok(())) => {}
            Some(Err(NotAPacket)) => {
                debug!(connection = ?socket.id(), "not a Socket.IO packet; closing");
                socket.close(Reason::Malformed);
            }
            None => {
                debug!(connection = ?socket.id(), "closing after a panic");
                socket.close(Reason::Unwanted);
            }
        }
    }

    fn receive_text(&self, text: &str, socket: &Arc<EngineSocket>) -> Result<(), NotAPacket> {
        let packet = Packet::parse(text)?;
        let wanted = packet.attachments;
        {
            let mut state = socket.data.state.lock();
            if state.partial.is_some() {
                return Err(NotAPacket);
            }
            if wanted > 0 {
                state.partial = Some(Partial {
                    text: text.into(),
                    wanted,
                    attachments: Attachments::new(),
                });
                return Ok(());
            }
        }
        self.receive(&packet, Attachments::new(), socket)
    }

    fn receive_binary(&self, bytes: Bytes, socket: &Arc<EngineSocket>) -> Result<(), NotAPacket> {
        let complete = {
            let mut state = socket.data.state.lock();
            let mut partial = state.partial.take().ok_or(NotAPacket)?;
            partial.attachments.push(bytes);
            if partial.attachments.len() < partial.wanted {
                state.partial = Some(partial);
                return Ok(());
            }
            partial
        };
        self.receive(
            &Packet::parse(&complete.text)?,
            complete.attachments,
            socket,
        )
    }

    fn receive(
        &self,
        packet: &Packet<'_>,
        attachments: Attachments,
        socket: &Arc<EngineSocket>,
    ) -> Result<(), NotAPacket> {
        let shared = &self.sockets.shared;
        match packet.kind {
            Kind::Connect => {
                handshake::begin(shared, packet, socket);
                Ok(())
            }
            Kind::Event | Kind::Disconnect | Kind::Ack if packet.namespace != "/" => {
                Err(NotAPacket)
            }
            Kind::Event => match socket.data.session() {
                Some(session) => requests::receive(shared, &session, packet, attachments),
                None => Err(NotAPacket),
            },
            Kind::Disconnect => {
                self.end_session(socket, Phase::Opened);
                Ok(())
            }
            Kind::Ack => Ok(()),
        }
    }

    fn end_session(&self, socket: &Arc<EngineSocket>, next: Phase) {
        let before = socket.data.phase(|phase| std::mem::replace(phase, next));
        if let Phase::Connected(session) = before {
            self.sockets.shared.forget(&session);
        }
    }
}

impl Door for Engine {
    type Data = Connection;

    fn opened(&self, socket: &Arc<EngineSocket>) {
        let counted_as = transport_name(socket);
        *socket.data.counted_as.lock() = counted_as;
        self.sockets.shared.metrics.connection_opened(counted_as);
        let full = {
            let mut registry = self.sockets.shared.registry.lock();
            registry.connections.insert(socket.id(), Arc::clone(socket));
            registry.connections.len() > self.sockets.shared.limits.sockets_max * 2
        };
        // Connections that never ask for a session must not crowd out those that do.
        if full {
            socket.close(Reason::Unwanted);
        }
    }

    fn wants_more(&self, socket: &Arc<EngineSocket>) -> bool {
        let state = socket.data.state.lock();
        match &state.phase {
            Phase::Connected(session) => !session.floods(),
            Phase::Opened | Phase::Verifying | Phase::Closed => true,
        }
    }

    fn pings_answered(&self, socket: &Arc<EngineSocket>) {
        if let Some(session) = socket.data.session() {
            session.budget.refusal_read();
        }
    }

    fn upgraded(&self, socket: &Arc<EngineSocket>) {
        let now = transport_name(socket);
        let before = std::mem::replace(&mut *socket.data.counted_as.lock(), now);
        self.sockets.shared.metrics.connection_closed(before);
        self.sockets.shared.metrics.connection_opened(now);
    }

    fn text(&self, text: &str, socket: &Arc<EngineSocket>) {
        self.guarded(socket, || self.receive_text(text, socket));
    }

    fn binary(&self, bytes: Bytes, socket: &Arc<EngineSocket>) {
        self.guarded(socket, || self.receive_binary(bytes, socket));
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.sockets.shared.supervisor.spawn(Task::Connection, task);
    }

    fn closed(&self, socket: &Arc<EngineSocket>, reason: Reason) {
        debug!(connection = ?socket.id(), ?reason, "connection closed");
        let shared = &self.sockets.shared;
        shared.registry.lock().connections.remove(&socket.id());
        self.end_session(socket, Phase::Closed);
        shared
            .metrics
            .connection_closed(*socket.data.counted_as.lock());
    }
}

fn transport_name(socket: &EngineSocket) -> metrics::Transport {
    match socket.carrier() {
        Carrier::Polling => metrics::Transport::Polling,
        Carrier::Websocket => metrics::Transport::Websocket,
    }
}
