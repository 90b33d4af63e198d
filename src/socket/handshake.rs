//! Begins a session with a token, and renews a session with a fresh token.
//!
//! The verification of a token may have to fetch keys, and what the client has missed is read from
//! the database: what has to wait is spawned. Everything that a session needs is in place before the client is notified that the session has begun.

use std::{
    future::Future,
    sync::{Arc, Weak},
    task::{Context, Waker},
    time::Duration,
};

use engineio::{Reason, Sent};
use rand::Rng;
use serde::Deserialize;
use serde_json::Value;
use tokio::{task::AbortHandle, time::timeout};
use tracing::{Instrument, debug, info};

use super::{
    Shared,
    client::{Client, EngineSocket},
    connection::Phase,
    packet::{Frame, Packet},
    protocol::{
        self, ColoredUser, Connection, LimitsPayload, RefreshedPayload, Server, SessionPayload,
        event, request,
    },
    replay::Recovery,
};
use crate::{
    auth::Claims,
    error::{Error, Result},
    id::{EventId, Timestamp},
    limits::Role,
    session::{Link, verify},
    store::Receiver,
    supervise::{Supervisor, Task},
};

/// How long a client waits at most for the number of its unread notifications.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(2);

/// The `auth` of a CONNECT packet.
#[derive(Default, Deserialize)]
pub(super) struct Auth {
    token: Option<String>,
    since: Option<Value>,
}

/// Begins a session for the client that sent the CONNECT `packet`, or refuses it. A CONNECT during
/// another one, or in a session, is ignored.
pub(super) fn begin(shared: &Arc<Shared>, packet: &Packet<'_>, socket: &Arc<EngineSocket>) {
    if !socket.data.admit_attempt(&shared.limits) {
        shared.metrics.limit_applied("connects_per_minute");
        return send_refusal(socket, packet.namespace, "rate_limited");
    }
    if packet.namespace != "/" {
        return send_refusal(socket, packet.namespace, "not_found");
    }
    let Some(number) = socket.data.begin_attempt() else {
        return socket.ignore();
    };
    if let Some(place) = &socket.data.place {
        place.touch();
    }
    let auth: Auth = serde_json::from_str(packet.json).unwrap_or_default();
    let since = auth.since.as_ref().and_then(Value::as_i64).map(EventId);
    let token = token(auth, socket);
    let (shared, socket) = (Arc::clone(shared), Arc::clone(socket));
    let span = tracing::info_span!("begin session", connection = ?socket.id());
    let supervisor = shared.supervisor.clone();
    let connection = Arc::clone(&socket);
    let attempt = Guard(socket);
    let work = async move {
        let Guard(socket) = &attempt;
        let subnet = socket.data.place.as_ref().and_then(|it| it.subnet());
        let parts = (&shared.verifier, &shared.verifications);
        let begun = match verify(&shared.sessions, parts, token.as_deref(), subnet).await {
            Ok(claims) => start(&shared, claims, socket, since, number).await,
            Err(error) => Err(error),
        };
        if let Err(error) = begun {
            refuse(&shared, socket, number, &error);
        }
    };
    let Some(task) = run_or_spawn(&supervisor, work.instrument(span)) else {
        return;
    };
    connection.data.phase(|phase| match phase {
        Phase::Verifying(attempt) if attempt.number == number => attempt.task = Some(task),
        Phase::Verifying(_) | Phase::Opened | Phase::Connected(_) | Phase::Closed => {}
    });
}

/// A connection whose token is being verified. A panic closes it, since its client expects an answer.
struct Guard(Arc<EngineSocket>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close(Reason::Unwanted);
        }
    }
}

/// Runs `work` to its end if it does not have to wait, so that it is complete before the client's
/// next frame is read; otherwise spawns it, and returns a handle that ends it.
pub(super) fn run_or_spawn(
    supervisor: &Supervisor,
    work: impl Future<Output = ()> + Send + 'static,
) -> Option<AbortHandle> {
    let mut work = Box::pin(work);
    let mut context = Context::from_waker(Waker::noop());
    let pending = work.as_mut().poll(&mut context).is_pending();
    pending.then(|| supervisor.spawn(Task::Handshake, work).abort_handle())
}

fn refuse(shared: &Shared, socket: &EngineSocket, number: u32, error: &Error) {
    debug!(code = error.code(), "session refused");
    shared.metrics.authentication_failed(error.code());
    let present = socket.data.phase(|phase| {
        let present = is_present(phase, number);
        if present {
            *phase = Phase::Opened;
        }
        present
    });
    // The client has given up an attempt that is no longer the present one.
    if present {
        send_refusal(socket, "/", error.code());
    }
}

fn is_present(phase: &Phase<Client>, number: u32) -> bool {
    matches!(phase, Phase::Verifying(attempt) if attempt.number == number)
}

/// Sends the client the reason of a refusal. Closes the connection if its queue is full, or after
/// too many refusals.
pub(super) fn send_refusal(socket: &EngineSocket, namespace: &str, code: &str) {
    let queued = socket.send(Frame::refused(namespace, code)) == Sent::Queued;
    if !queued || !socket.data.count_refusal() {
        socket.close(Reason::Unwanted);
    }
}

/// The token of the CONNECT packet, or else of the HTTP request that opened the connection.
pub(super) fn token(auth: Auth, socket: &EngineSocket) -> Option<String> {
    auth.token.or_else(|| {
        let (scheme, token) = socket.authorization()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned())
    })
}

/// A client that is known to the server, and whose session has not begun yet. Unless it begins, the
/// client is forgotten.
struct Beginning<'a> {
    shared: &'a Shared,
    client: Arc<Client>,
    has_begun: bool,
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if !self.has_begun {
            self.client.socket().data.distrust();
            self.shared.forget(&self.client);
        }
    }
}

/// Begins the session: the client is told that it is connected, what it has missed since the event
/// `since`, and the session.
async fn start(
    shared: &Arc<Shared>,
    claims: Claims,
    socket: &Arc<EngineSocket>,
    since: Option<EventId>,
    number: u32,
) -> Result<()> {
    let budget = socket.data.budget.get().cloned();
    let session = shared.sessions.admit_again(claims, budget)?;
    socket
        .data
        .budget
        .get_or_init(|| Arc::clone(&session.budget));
    socket.data.trust();
    let client = Arc::new(Client::new(shared, session, Arc::clone(socket)));
    let session = &client.session;
    let link: Weak<dyn Link> = Arc::<Client>::downgrade(&client);
    session.connect(link);
    // Before the connection may be found closed, so that a departure comes after it.
    shared.presence.arrive(session);
    shared
        .clients
        .lock()
        .insert(session.id(), Arc::clone(&client));
    let mut beginning = Beginning {
        shared,
        client: Arc::clone(&client),
        has_begun: false,
    };
    let claims = session.claims();
    // From here on events are held back for the client.
    let receiver = Receiver::Person(&claims.user.id);
    let (store, comments) = (&shared.store, &shared.operations.comments);
    let (recovery, unread) = tokio::join!(
        Recovery::read(store, comments, &client, since, receiver),
        unread(shared, &claims),
    );
    beginning.has_begun = !session.has_ended()
        && socket.data.phase(|phase| {
            let open = is_present(phase, number);
            if open {
                *phase = Phase::Connected(Arc::clone(&client));
            }
            open
        });
    if !beginning.has_begun {
        return Ok(());
    }
    let id: String = public_id();
    client.send(Frame::connected(&id));
    recovery.send(&client);
    send_connection(shared, &client, &id, &recovery, unread);
    recovery.release(&client, &client.held);
    if let Some(suppressed) = shared.begun.admit() {
        info!(
            session = session.id().0,
            id,
            user = claims.user.id.as_str(),
            team = claims.team.as_str(),
            suppressed,
            "session began"
        );
    }
    Ok(())
}

/// How many notifications of the caller are unread; 0 where the database does not answer in time.
async fn unread(shared: &Shared, claims: &Claims) -> i64 {
    let unread = shared.operations.notifications.unread(claims);
    let unread = timeout(UNREAD_TIMEOUT, unread).await;
    unread.ok().and_then(Result::ok).unwrap_or_default()
}

/// Sends the event `connection`, with the session, its rights and the limits.
fn send_connection(shared: &Shared, client: &Client, id: &str, recovery: &Recovery, unread: i64) {
    let session = &client.session;
    let claims = session.claims();
    let limits = &shared.limits;
    let role = session.budget.role();
    let (requests_per_second, updates_per_second) = match role {
        Role::Person => (limits.requests_per_second, limits.updates_per_second),
        Role::Service => (
            limits.service_requests_per_second,
            limits.service_updates_per_second,
        ),
    };
    let connection = Connection {
        protocol: protocol::VERSION,
        server: Server {
            name: "realtime-server",
            version: env!("CARGO_PKG_VERSION"),
            instance: &shared.instance,
        },
        session: SessionPayload {
            id,
            expires_at: Timestamp::from_seconds(claims.expires_at),
        },
        user: ColoredUser {
            user: &claims.user,
            color: session.identity().color(),
        },
        team: claims.team.as_str(),
        roles: &claims.roles,
        rights: claims.rights().names(),
        limits: LimitsPayload {
            update_bytes: limits.update_bytes_max,
            awareness_bytes: limits.awareness_bytes_max,
            requests_per_second,
            updates_per_second,
            rooms: shared.rooms_per_socket(role),
            journal_bytes: limits.journal_bytes_max,
        },
        unread,
        last_event_id: recovery.head,
        recovered: recovery.recovered,
    };
    client.tell(event::CONNECTION, &connection);
}

/// Verifies a fresh token and continues the session with its rights. A refused token changes nothing.
pub(super) fn refresh(shared: &Arc<Shared>, client: &Arc<Client>, token: String, ack: Option<u64>) {
    let (shared, client) = (Arc::clone(shared), Arc::clone(client));
    let supervisor = shared.supervisor.clone();
    let work = async move {
        let verified = shared.verifier.verify_renewal(&token).await;
        let verified =
            verified.inspect_err(|error| shared.metrics.authentication_failed(error.code()));
        let renewed = verified.and_then(|claims| {
            let rights = claims.rights().names();
            let expires_at = Timestamp::from_seconds(claims.expires_at);
            client.session.renew(claims)?;
            client.apply_rights();
            Ok(RefreshedPayload {
                ok: true,
                expires_at,
                rights,
            })
        });
        match renewed {
            Ok(payload) => client.accept(ack, &payload),
            Err(error) => client.refuse(request::TOKEN_REFRESH, ack, &error),
        }
    };
    // A renewal is carried out even if the client does not wait for it.
    drop(run_or_spawn(&supervisor, work));
}

/// A random id for the client and for logs. The id of Engine.IO must stay secret, because requests
/// with that id act on the connection.
pub(super) fn public_id() -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 15]>())
}
