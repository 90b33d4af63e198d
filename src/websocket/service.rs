//! From a request to a session, or to a refusal.
//!
//! The upgrade is answered at once, and nothing is read from the connection until the token was
//! verified, so that a stranger takes no memory. A refusal is a close code.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use engineio::{Answer, Limits, Opened, Receiver, Upgrade};
use http::{HeaderValue, Request, StatusCode, header};
use tracing::debug;

use super::{
    Shared,
    client::Client,
    close,
    connection::{Connection, Entered},
    hub::Hub,
    opening::Opening,
    reader::{Reader, Refused},
    request::Dialect,
    sitting::{Sitting, admit, verified},
    solo::Solo,
};
use crate::{
    error::{Error, Result},
    limits::{Occupant, Peer, Place, Subnet},
};

/// The HTTP service of one protocol of this door. Cheap to clone.
#[derive(Clone)]
pub struct WebSocketService {
    shared: Arc<Shared>,
    dialect: Dialect,
}

impl WebSocketService {
    pub(super) fn new(shared: &Arc<Shared>, dialect: Dialect) -> Self {
        Self {
            shared: Arc::clone(shared),
            dialect,
        }
    }

    fn respond<B>(&self, request: &mut Request<B>) -> Answer {
        let (shared, dialect) = (&self.shared, self.dialect);
        let peer = request.extensions().get::<Peer>();
        let place = match peer.map(take_place).transpose() {
            Ok(place) => place,
            Err(error) => return refusal(&error),
        };
        let opening = Opening::read(request.uri(), request.headers());
        let (mut answer, upgrade) = Upgrade::accept(request);
        let Some(upgrade) = upgrade else {
            return answer;
        };
        if let Some(subprotocol) = &opening.subprotocol {
            let name = header::SEC_WEBSOCKET_PROTOCOL;
            answer.headers_mut().insert(name, subprotocol.clone());
        }
        let owner = Arc::clone(shared);
        shared.spawn(place.clone(), async move {
            let Some(opened) = upgrade.opened().await else {
                return;
            };
            let entered = enter(&owner, dialect, place.clone());
            match dialect {
                Dialect::YWebsocket => begin(&owner, opened, opening, entered).await,
                Dialect::Hocuspocus => {
                    let hub = Hub::new(&owner, &entered.connection);
                    serve(&owner, opened, place, Reader::new(hub, entered));
                }
            }
        });
        answer
    }
}

impl<B> tower::Service<Request<B>> for WebSocketService {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        ready(Ok(self.respond(&mut request)))
    }
}

/// The place of the connection, which is the client's alone from now on.
fn take_place(peer: &Peer) -> Result<Arc<Place>> {
    let identified = peer.place.identify(Subnet::from(peer.address));
    identified.map_err(|_| Error::TooManyConnections)?;
    Ok(Arc::clone(&peer.place))
}

/// The answer where there is no place for the connection. Stock clients try again.
fn refusal(error: &Error) -> Answer {
    let body = serde_json::json!({ "error": error }).to_string();
    let mut answer = Answer::new(body.into());
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

impl Shared {
    /// Spawns a task of the connection that holds `place`.
    pub(super) fn spawn(
        &self,
        place: Option<Arc<Place>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let tracked = self.tasks.track_future(task);
        self.share.spawn(&self.supervisor, place, tracked);
    }
}

/// Makes a connection known that holds `place`.
fn enter(shared: &Arc<Shared>, dialect: Dialect, place: Option<Arc<Place>>) -> Entered {
    let entered = Entered::new(shared, Connection::new(shared, dialect, place));
    if let Some(place) = &entered.connection.place {
        let occupant: Weak<dyn Occupant> = Arc::<Connection>::downgrade(&entered.connection);
        place.occupy(occupant);
        place.touch();
    }
    entered
}

/// Serves a connection by a task of its own, which needs less memory than the one that has opened it.
fn serve(shared: &Shared, opened: Opened, place: Option<Arc<Place>>, receiver: impl Receiver) {
    let limits = Limits {
        partial_timeout: Duration::from_millis(shared.timing.message_timeout_ms),
        bare_frames_per_second: shared.limits.bare_frames_per_second,
        bare_frames_burst: shared.limits.bare_frames_burst,
    };
    shared.spawn(place, opened.serve(limits, receiver));
}

/// Begins the session of a connection of y-websocket, and serves it; or closes it.
async fn begin(shared: &Arc<Shared>, opened: Opened, opening: Opening, entered: Entered) {
    let place = entered.connection.place.clone();
    match start(shared, &entered.connection, opening).await {
        Ok(client) => {
            let reader = Reader::new(Solo::new(client), entered);
            serve(shared, opened, place, reader);
        }
        Err(error) => {
            debug!(code = error.code(), "session refused");
            shared.metrics.authentication_failed(error.code());
            close::because(&entered.connection.outbox, &error);
            serve(shared, opened, place, Refused(entered));
        }
    }
}

/// Verifies the token and begins the session.
async fn start(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    opening: Opening,
) -> Result<Arc<Client>> {
    let room = opening.room?;
    let claims = verified(shared, connection, opening.token.as_deref()).await?;
    admit(&claims, &room)?;
    let token = opening.token.unwrap_or_default().into();
    let sitting = Sitting::begin(shared, connection, claims, token)?;
    let dialect = Dialect::YWebsocket;
    Ok(Client::new(
        shared,
        &sitting,
        room,
        connection,
        dialect,
        &[],
    ))
}
