//! The callbacks of Engine.IO: a connection has opened, received a message, or closed.
//!
//! The callbacks run in the connection's reader, in order. After a panic there the reader would
//! be gone while the client still believes itself connected, so a panic is caught and ends the
//! connection.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use engineio::{Answer, Busy, Carrier, Door, Reason};
use http::{Extensions, HeaderValue, StatusCode, header};
use tracing::debug;

use super::{
    Shared, Sockets,
    client::{Client, EngineSocket},
    connection::{Connection, Frame, Phase},
    handshake,
    packet::{Attachments, Kind, NotAPacket, Packet},
    requests, yjs,
};
use crate::{
    error::Error,
    limits::{Full, Occupant, Peer, Queue, Subnet},
    metrics::{self, Metrics},
    supervise::Task,
};

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
        match socket.data.take_text(text, packet.attachments)? {
            true => self.receive(&packet, Attachments::new(), socket),
            false => Ok(()),
        }
    }

    fn receive_binary(&self, bytes: Bytes, socket: &Arc<EngineSocket>) -> Result<(), NotAPacket> {
        match socket.data.take_attachment(bytes)? {
            Some(complete) => {
                let packet = Packet::parse(&complete.text)?;
                self.receive(&packet, complete.attachments, socket)
            }
            None => Ok(()),
        }
    }

    /// Pauses a connection: what arrives waits. Spawns the task that carries it out, in its order, behind the
    /// events of clients that came too fast.
    pub(super) fn pause(shared: &Arc<Shared>, socket: &Arc<EngineSocket>) {
        if socket.data.pause() {
            let shared = Arc::clone(shared);
            let engine = Self::new(Sockets { shared });
            let supervisor = engine.sockets.shared.supervisor.clone();
            supervisor.spawn(Task::Connection, engine.resume(Arc::clone(socket)));
        }
    }

    async fn resume(self, socket: Arc<EngineSocket>) {
        loop {
            yjs::resume(&socket).await;
            match socket.data.next_waiting() {
                Some(Frame::Text(text)) => {
                    self.guarded(&socket, || self.receive_text(&text, &socket));
                }
                Some(Frame::Binary(bytes)) => {
                    self.guarded(&socket, || self.receive_binary(bytes, &socket));
                }
                None => return,
            }
        }
    }

    fn receive(
        &self,
        packet: &Packet<'_>,
        attachments: Attachments,
        socket: &Arc<EngineSocket>,
    ) -> Result<(), NotAPacket> {
        let shared = &self.sockets.shared;
        match packet.kind {
            Kind::Connect if yjs::has(packet.namespace) => {
                yjs::begin(shared, packet, socket);
                Ok(())
            }
            Kind::Connect => {
                handshake::begin(shared, packet, socket);
                Ok(())
            }
            _ if yjs::has(packet.namespace) => yjs::receive(packet, attachments, socket),
            Kind::Event | Kind::Disconnect | Kind::Ack if packet.namespace != "/" => {
                Err(NotAPacket)
            }
            Kind::Event => match socket.data.client() {
                Some(client) => requests::receive(shared, &client, packet, attachments),
                None => Err(NotAPacket),
            },
            Kind::Disconnect => {
                if !socket.data.is_known() {
                    socket.ignore();
                }
                self.end_session(socket, Phase::Opened);
                Ok(())
            }
            Kind::Ack => {
                socket.ignore();
                Ok(())
            }
        }
    }

    fn end_session(&self, socket: &Arc<EngineSocket>, next: Phase<Client>) {
        let before = socket.data.phase(|phase| std::mem::replace(phase, next));
        match before {
            Phase::Connected(client) => {
                socket.data.distrust();
                client.leave_all();
                self.sockets.shared.forget(&client);
            }
            Phase::Verifying(attempt) => {
                if let Some(task) = attempt.task {
                    task.abort();
                }
            }
            Phase::Opened | Phase::Closed => {}
        }
    }
}

impl Door for Engine {
    type Data = Connection<Client>;

    fn admit(&self, carrier: Carrier, extensions: &Extensions) -> Result<Self::Data, Box<Answer>> {
        // An answer of HTTP, after which stock clients try again by themselves; after the refusal of a
        // session they would not.
        self.sockets
            .shared
            .sessions
            .check_open()
            .map_err(|error| Box::new(refusal(&error)))?;
        let Some(peer) = extensions.get::<Peer>() else {
            return Ok(Connection::new(None));
        };
        let subnet = Subnet::from(peer.address);
        let place = match carrier {
            Carrier::Polling => self.sockets.shared.places.take(subnet, None),
            // The connection is the client's alone from now on.
            Carrier::Websocket => peer
                .place
                .identify(subnet)
                .map(|()| Arc::clone(&peer.place)),
        };
        place
            .map(|place| Connection::new(Some(place)))
            .map_err(|Full(_)| Box::new(refusal(&Error::TooManyConnections)))
    }

    fn requested(&self, extensions: &Extensions, socket: &Arc<EngineSocket>) {
        let peer = extensions.get::<Peer>();
        if let (Some(peer), Some(place)) = (peer, &socket.data.place)
            && place.is_trusted()
        {
            peer.place.trust();
        }
    }

    fn opened(&self, socket: &Arc<EngineSocket>) {
        let counted_as = transport_name(socket);
        *socket.data.counted_as.lock() = counted_as;
        self.sockets.shared.metrics.connection_opened(counted_as);
        let mut connections = self.sockets.shared.connections.lock();
        connections.insert(socket.id(), Arc::clone(socket));
        drop(connections);
        if let Some(place) = &socket.data.place {
            let occupant: Weak<dyn Occupant> = Arc::<EngineSocket>::downgrade(socket);
            place.occupy(occupant);
            place.touch();
        }
    }

    fn knows(&self, socket: &Arc<EngineSocket>) -> bool {
        socket.data.is_known()
    }

    fn awaits_more(&self, socket: &Arc<EngineSocket>) -> bool {
        socket.data.is_partial()
    }

    fn busy(&self, socket: &Arc<EngineSocket>) -> Option<Busy> {
        if let Some(resumed) = socket.data.resumed() {
            return Some(Box::pin(resumed.cancelled_owned()));
        }
        if let Some(room) = yjs::busy_room(socket) {
            return Some(Box::pin(async move { room.becomes_free().await }));
        }
        let room = socket.data.client()?.busy_room()?;
        Some(Box::pin(async move { room.becomes_free().await }))
    }

    fn pings_answered(&self, socket: &Arc<EngineSocket>) {
        if let Some(client) = socket.data.client() {
            client.session.budget.refusal_read();
        }
    }

    fn upgraded(&self, socket: &Arc<EngineSocket>) {
        let now = transport_name(socket);
        let before = std::mem::replace(&mut *socket.data.counted_as.lock(), now);
        self.sockets.shared.metrics.connection_closed(before);
        self.sockets.shared.metrics.connection_opened(now);
    }

    fn text(&self, text: &str, socket: &Arc<EngineSocket>) {
        if !socket.data.holds(|| Frame::Text(text.into())) {
            self.guarded(socket, || self.receive_text(text, socket));
        }
    }

    fn binary(&self, bytes: Bytes, socket: &Arc<EngineSocket>) {
        if !socket.data.holds(|| Frame::Binary(bytes.clone())) {
            self.guarded(socket, || self.receive_binary(bytes, socket));
        }
    }

    fn spawn(
        &self,
        socket: Option<&EngineSocket>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let shared = &self.sockets.shared;
        let tracked = shared.transports.track_future(task);
        let place = match socket {
            Some(socket) => socket.data.place.clone(),
            None => Peer::present().map(|peer| peer.place),
        };
        shared.share.spawn(&shared.supervisor, place, tracked);
    }

    fn closed(&self, socket: &Arc<EngineSocket>, reason: Reason) {
        debug!(connection = ?socket.id(), ?reason, "connection closed");
        let shared = &self.sockets.shared;
        let limit = match reason {
            Reason::TooLarge if !socket.data.is_known() => Some("stranger_bytes_max"),
            Reason::Incomplete => Some("message_timeout"),
            Reason::Flooding => Some("bare_frames_per_second"),
            _ => None,
        };
        if let Some(limit) = limit {
            shared.metrics.limit_applied(limit);
        }
        shared.connections.lock().remove(&socket.id());
        self.end_session(socket, Phase::Closed);
        yjs::leave_all(socket);
        shared
            .metrics
            .connection_closed(*socket.data.counted_as.lock());
    }
}

impl Occupant for EngineSocket {
    fn evict(&self) {
        self.cut(Reason::Unwanted);
    }
}

impl Queue for EngineSocket {
    fn for_each_held(&self, each: &mut dyn FnMut(usize, usize)) {
        engineio::Connection::for_each_held(self, each);
    }

    fn cut(&self, reason: &'static str, metrics: &Metrics) {
        match self.data.client() {
            Some(client) => client.cut(reason),
            None => {
                metrics.socket_cut(reason);
                engineio::Connection::cut(self, Reason::Unwanted);
            }
        }
    }
}

/// The answer to a request for which there is no connection.
fn refusal(error: &Error) -> Answer {
    let body = serde_json::json!({ "error": error }).to_string();
    let mut answer = Answer::new(body.into());
    *answer.status_mut() = match error {
        Error::Draining => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::TOO_MANY_REQUESTS,
    };
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn transport_name(socket: &EngineSocket) -> metrics::Transport {
    match socket.carrier() {
        Carrier::Polling => metrics::Transport::Polling,
        Carrier::Websocket => metrics::Transport::Websocket,
    }
}
