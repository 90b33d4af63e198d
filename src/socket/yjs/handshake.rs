//! Begins a session of y-socket.io: a token is verified, the client joins the room that the namespace
//! names, and only then it is told that it is connected.
//!
//! socket.io-client keeps what is sent before that, and sends it in order afterwards. A refusal, also one
//! by the room, is the answer to the CONNECT packet. Nothing is created for a client that is not admitted.

use std::sync::{Arc, Weak};

use engineio::Reason;
use tracing::{Instrument, debug};

use super::{
    client::Client,
    namespaces::Occupant,
    packets::{CONNECT, PREFIX},
};
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::RoomName,
    limits::Role,
    room::{Command, Creation, Ticket},
    session::{Link, verify},
    socket::{
        Shared,
        client::EngineSocket,
        handshake::{Auth, run_or_spawn, send_refusal, token},
        packet::Packet,
    },
};

/// The attempt of one client to connect to a namespace.
struct Attempt {
    shared: Arc<Shared>,
    socket: Arc<EngineSocket>,
    room: RoomName,
    number: u32,
}

/// Begins a session for the client that sent the CONNECT `packet` in a namespace of y-socket.io, or refuses
/// it. A CONNECT during another one in the same namespace, or in a session there, is ignored.
pub(in crate::socket) fn begin(
    shared: &Arc<Shared>,
    packet: &Packet<'_>,
    socket: &Arc<EngineSocket>,
) {
    let name = packet.namespace;
    if let Err(error) = admit(shared, packet, socket) {
        return send_refusal(socket, name, error.code());
    }
    let room = match RoomName::parse(&name[PREFIX.len()..]) {
        Ok(room) => room,
        Err(error) => return send_refusal(socket, name, error.code()),
    };
    let Some(number) = socket.data.namespaces(|namespaces| namespaces.begin(name)) else {
        return socket.ignore();
    };
    if let Some(place) = &socket.data.place {
        place.touch();
    }
    let auth: Auth = serde_json::from_str(packet.json).unwrap_or_default();
    let token = token(auth, socket);
    let attempt = Attempt {
        shared: Arc::clone(shared),
        socket: Arc::clone(socket),
        room,
        number,
    };
    let span = tracing::info_span!("begin session", connection = ?socket.id());
    let work = async move {
        if let Err(error) = attempt.start(token).await {
            attempt.refuse(&error);
        }
    };
    if let Some(task) = run_or_spawn(&shared.supervisor, work.instrument(span)) {
        socket
            .data
            .namespaces(|namespaces| namespaces.attach(number, task));
    }
}

/// Charges the client for the attempt. A connection with a session pays for a request, so that a client
/// that reconnects may enter many namespaces at once.
fn admit(shared: &Shared, packet: &Packet<'_>, socket: &EngineSocket) -> Result<()> {
    if let Some(budget) = socket.data.budget.get().filter(|_| socket.data.is_known()) {
        return budget.admit_request(packet.json.len());
    }
    if socket.data.admit_attempt(&shared.limits) {
        return Ok(());
    }
    let limit = "connects_per_minute";
    shared.metrics.limit_applied(limit);
    Err(Error::RateLimited {
        limit,
        retry_after_ms: 1000,
    })
}

impl Attempt {
    async fn start(&self, token: Option<String>) -> Result<()> {
        let shared = &self.shared;
        let subnet = self.socket.data.place.as_ref().and_then(|it| it.subnet());
        let parts = (&shared.verifier, &shared.verifications);
        let claims = verify(&shared.sessions, parts, token.as_deref(), subnet).await?;
        self.join(claims)
    }

    /// Admits the session, and sends its join to the room, which answers it.
    fn join(&self, claims: Claims) -> Result<()> {
        let (shared, socket) = (&self.shared, &self.socket);
        let rights = claims.rights_in(&self.room);
        rights.require(Right::View)?;
        self.admit_room(Role::of(claims.rights()))?;
        let budget = socket.data.budget.get().cloned();
        let session = shared.sessions.admit_again(claims, budget)?;
        let admitted = session.budget.admit_join(0);
        let handle = match admitted.and_then(|()| shared.rooms.open(&session.key(&self.room))) {
            Ok(handle) => handle,
            Err(error) => {
                shared.sessions.forget(&session);
                return Err(error);
            }
        };
        let budget = Arc::clone(&session.budget);
        socket.data.budget.get_or_init(|| budget);
        let client = Client::new(shared, session, rights, handle, socket);
        let link: Weak<dyn Link> = Arc::<Client>::downgrade(&client);
        client.session.connect(link);
        // Before the connection may be found closed, so that a departure comes after it.
        shared.presence.arrive(&client.session);
        let has_entered = socket
            .data
            .namespaces(|namespaces| namespaces.enter(self.number, Arc::clone(&client) as _));
        if !has_entered {
            client.forget();
            return Ok(());
        }
        socket.data.trust();
        let creation = match rights.allows(Right::Edit) {
            true => Creation::Allowed,
            false => Creation::Forbidden,
        };
        let sent = client.handle.send(Command::Join {
            peer: Arc::clone(&client) as _,
            ticket: Ticket {
                request: CONNECT,
                id: None,
            },
            creation,
            has: None,
        });
        if let Err(error) = sent {
            client.refuse_connection(&error);
        }
        Ok(())
    }

    /// Checks that the connection may be in one more room.
    fn admit_room(&self, role: Role) -> Result<()> {
        let limit = self.shared.rooms_per_socket(role);
        let native = self.socket.data.client();
        let joined = native.map_or(0, |client| client.rooms.lock().len());
        // The namespace of this attempt is among the open ones.
        if joined + self.socket.data.open_namespaces() <= limit {
            return Ok(());
        }
        self.shared.metrics.limit_applied(match role {
            Role::Person => "rooms_per_socket",
            Role::Service => "service_rooms_per_socket",
        });
        Err(Error::TooManyRooms { limit })
    }

    fn refuse(&self, error: &Error) {
        debug!(code = error.code(), "session refused");
        self.shared.metrics.authentication_failed(error.code());
        let number = self.number;
        // Otherwise the client has given the attempt up.
        if self
            .socket
            .data
            .namespaces(|namespaces| namespaces.refuse(number))
        {
            let name = format!("{PREFIX}{}", self.room.as_str());
            send_refusal(&self.socket, &name, error.code());
        }
    }
}

impl Drop for Attempt {
    /// A panic closes the connection, since its client expects an answer.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.socket.close(Reason::Unwanted);
        }
    }
}
