//! From a token to a session, and from a fresh token to its new rights.
//!
//! Verifying may have to fetch keys; only then is it spawned. Everything that
//! a session needs is in place before the client is told that it has one.

use std::{
    future::Future,
    sync::{Arc, Weak},
    task::{Context, Waker},
};

use engineio::{Reason, Sent};
use rand::Rng;
use serde::Deserialize;
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
};
use crate::{
    auth::Claims,
    error::{Error, Result},
    id::Timestamp,
    limits::Role,
    session::Link,
    supervise::{Supervisor, Task},
};

/// The `auth` of a CONNECT packet.
#[derive(Default, Deserialize)]
struct Auth {
    token: Option<String>,
}

/// Begins a session for whoever sent the CONNECT `packet`, or refuses it.
pub(super) fn begin(shared: &Arc<Shared>, packet: &Packet<'_>, socket: &Arc<EngineSocket>) {
    if packet.namespace != "/" {
        return tell_refusal(socket, packet.namespace, "not_found");
    }
    let verifying = socket.data.phase(|phase| match phase {
        Phase::Opened => {
            *phase = Phase::Verifying;
            true
        }
        Phase::Verifying | Phase::Connected(_) | Phase::Closed => false,
    });
    if !verifying {
        return;
    }
    let token = token(packet.json, socket);
    let (shared, socket) = (Arc::clone(shared), Arc::clone(socket));
    let span = tracing::info_span!("begin session", connection = ?socket.id());
    let supervisor = shared.supervisor.clone();
    let attempt = Attempt(socket);
    let work = async move {
        let Attempt(socket) = &attempt;
        let begun = match verify(&shared, token).await {
            Ok(claims) => start(&shared, claims, socket),
            Err(error) => Err(error),
        };
        if let Err(error) = begun {
            refuse(&shared, socket, &error);
        }
    };
    now_or_spawned(&supervisor, work.instrument(span));
}

/// A connection whose token is being verified. Where that panics it is closed, since its
/// client waits for an answer.
struct Attempt(Arc<EngineSocket>);

impl Drop for Attempt {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close(Reason::Unwanted);
        }
    }
}

/// Runs `work` to its end at once if it does not have to wait, so that what
/// the client sent behind it finds it done; spawns it otherwise.
fn now_or_spawned(supervisor: &Supervisor, work: impl Future<Output = ()> + Send + 'static) {
    let mut work = Box::pin(work);
    let mut context = Context::from_waker(Waker::noop());
    if work.as_mut().poll(&mut context).is_pending() {
        supervisor.spawn(Task::Handshake, work);
    }
}

fn refuse(shared: &Shared, socket: &EngineSocket, error: &Error) {
    debug!(code = error.code(), "session refused");
    shared.metrics.authentication_failed(error.code());
    socket.data.phase(|phase| {
        if matches!(phase, Phase::Verifying) {
            *phase = Phase::Opened;
        }
    });
    tell_refusal(socket, "/", error.code());
}

/// Tells the client why, and closes on one that neither reads nor gives up.
fn tell_refusal(socket: &EngineSocket, namespace: &str, code: &str) {
    let told = socket.send(Frame::refused(namespace, code)) == Sent::Queued;
    if !told || !socket.data.may_try_again() {
        socket.close(Reason::Unwanted);
    }
}

/// The token of the CONNECT packet, else of the request that opened the connection.
fn token(json: &str, socket: &EngineSocket) -> Option<String> {
    let auth: Auth = serde_json::from_str(json).unwrap_or_default();
    auth.token.or_else(|| {
        let (scheme, token) = socket.authorization()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned())
    })
}

async fn verify(shared: &Shared, token: Option<String>) -> Result<Claims> {
    shared.sessions.check_open()?;
    let token = token.ok_or(Error::Unauthorized {
        reason: "a token is required",
    })?;
    shared.verifier.verify(&token).await
}

/// Puts the session in place and tells the client.
fn start(shared: &Arc<Shared>, claims: Claims, socket: &Arc<EngineSocket>) -> Result<()> {
    let session = shared.sessions.admit(claims)?;
    let client = Arc::new(Client::new(shared, session, Arc::clone(socket)));
    let session = &client.session;
    let link: Weak<dyn Link> = Arc::<Client>::downgrade(&client);
    session.connect(link);
    shared
        .clients
        .lock()
        .insert(session.id(), Arc::clone(&client));
    let open = socket.data.phase(|phase| {
        let open = matches!(phase, Phase::Verifying);
        if open {
            *phase = Phase::Connected(Arc::clone(&client));
        }
        open
    });
    if !open {
        shared.forget(&client);
        return Ok(());
    }
    let id: String = public_id();
    client.send(Frame::connected(&id));
    greet(shared, &client, &id);
    let claims = session.claims();
    info!(
        session = session.id().0,
        id,
        user = claims.user.id.as_str(),
        team = claims.team.as_str(),
        "session began"
    );
    Ok(())
}

fn greet(shared: &Shared, client: &Client, id: &str) {
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
            color: session.identity().color,
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
        unread: 0,
        last_event_id: 0,
    };
    client.tell(event::CONNECTION, &connection);
}

/// Verifies a fresh token and goes on with its rights. A refused one changes nothing.
pub(super) fn refresh(shared: &Arc<Shared>, client: &Arc<Client>, token: String, ack: Option<u64>) {
    let (shared, client) = (Arc::clone(shared), Arc::clone(client));
    let supervisor = shared.supervisor.clone();
    now_or_spawned(&supervisor, async move {
        let verified = shared.verifier.verify(&token).await;
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
    });
}

/// An id that says nothing: the one of Engine.IO opens the connection to whoever knows it.
fn public_id() -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 15]>())
}
