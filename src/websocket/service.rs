//! From a request to a session, or to a refusal.
//!
//! The upgrade is answered at once, and nothing is read from the connection until the token was
//! verified, so that a stranger takes no memory. A refusal is a close code.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use engineio::{Answer, Limits, Opened, Upgrade};
use http::{HeaderValue, Request, StatusCode, header};
use tracing::{debug, info};

use super::{
    Shared,
    client::Client,
    close,
    connection::{Connection, Entered},
    opening::Opening,
    reader::{Reader, Refused},
};
use crate::{
    auth::Right,
    error::{Error, Result},
    limits::{Occupant, Peer, Place, Subnet},
    session::{Link, verify},
};

/// The HTTP service of this door. Cheap to clone.
#[derive(Clone)]
pub struct YjsService(Arc<Shared>);

impl YjsService {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    fn respond<B>(&self, request: &mut Request<B>) -> Answer {
        let shared = &self.0;
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
            if let Some(opened) = upgrade.opened().await {
                begin(&owner, opened, opening, place).await;
            }
        });
        answer
    }
}

impl<B> tower::Service<Request<B>> for YjsService {
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
    fn spawn(&self, place: Option<Arc<Place>>, task: impl Future<Output = ()> + Send + 'static) {
        let tracked = self.tasks.track_future(task);
        self.share.spawn(&self.supervisor, place, tracked);
    }
}

/// Begins the session of a connection, and serves it until it ends; or closes it.
async fn begin(shared: &Arc<Shared>, opened: Opened, opening: Opening, place: Option<Arc<Place>>) {
    let entered = Entered::new(shared, Connection::new(shared, place.clone()));
    let connection = Arc::clone(&entered.connection);
    if let Some(place) = &place {
        let occupant: Weak<dyn Occupant> = Arc::<Connection>::downgrade(&connection);
        place.occupy(occupant);
        place.touch();
    }
    let limits = Limits {
        partial_timeout: std::time::Duration::from_millis(shared.timing.message_timeout_ms),
        bare_frames_per_second: shared.limits.bare_frames_per_second,
        bare_frames_burst: shared.limits.bare_frames_burst,
    };
    // A separate task serves it, which needs less memory than this one.
    match start(shared, &connection, opening).await {
        Ok(client) => {
            let reader = Reader::new(client, entered);
            shared.spawn(place, opened.serve(limits, reader));
        }
        Err(error) => {
            debug!(code = error.code(), "session refused");
            shared.metrics.authentication_failed(error.code());
            close::because(&connection.outbox, &error);
            shared.spawn(place, opened.serve(limits, Refused(entered)));
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
    let subnet = connection.place.as_ref().and_then(|it| it.subnet());
    let parts = (&shared.verifier, &shared.verifications);
    let claims = verify(&shared.sessions, parts, opening.token.as_deref(), subnet).await?;
    claims.rights_in(&room).require(Right::View)?;
    let session = shared.sessions.admit(claims)?;
    if let Some(place) = &connection.place {
        place.trust();
    }
    let client = Client::new(shared, session, room, connection);
    let session = &client.session;
    let link: Weak<dyn Link> = Arc::<Client>::downgrade(&client);
    session.connect(link);
    shared.presence.arrive(session);
    if let Some(suppressed) = shared.begun.admit() {
        let claims = session.claims();
        info!(
            session = session.id().0,
            user = claims.user.id.as_str(),
            team = claims.team.as_str(),
            suppressed,
            "session of a stock client began"
        );
    }
    Ok(client)
}
