//! Writers without a seat: requests by HTTP, restored versions, programs that write.
//!
//! An author is in nobody's list of members. It sends an update, or has the room make one of an
//! [`Edit`], and waits until it is durable.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Acked, Answer, Audiences, Command, Edit, Peer, RoomHandle, Rooms, Standing, Ticket, Update,
};
use crate::{
    error::{Error, Result},
    id::DocumentKey,
    session::{Caller, Identity},
    supervise::{Supervisor, Task},
};
use document::Checked;

/// How long an update may take to be durable before its author is told to repeat it.
const DURABLE_TIMEOUT: Duration = Duration::from_secs(30);

const TICKET: Ticket = Ticket {
    request: "author",
    id: None,
};

/// Someone who writes without a seat.
#[derive(Clone)]
pub struct Author {
    /// The person, with a session id that nobody else has
    /// ([`Sessions::next_id`](crate::session::Sessions::next_id)).
    pub identity: Identity,
    /// Whose budget pays for it.
    pub caller: Arc<Caller>,
}

impl Rooms {
    /// Applies an update of `author`, and returns when it is durable. An unknown document is
    /// created. The right to edit was checked by the caller.
    ///
    /// # Errors
    /// As an update of a member; [`Error::StorageUnavailable`] also after 30 s, when the update may
    /// still be written: to repeat it does no harm.
    pub async fn write(
        &self,
        key: &DocumentKey,
        author: &Author,
        bytes: Bytes,
        checked: Checked,
    ) -> Result<Acked> {
        let room = self.open(key)?;
        self.write_to(&room, author, bytes, checked).await
    }

    /// Makes an update of `edit`, under a client id of its own, applies it, and returns when it is
    /// durable. Others may edit meanwhile: the update is merged with theirs.
    ///
    /// # Errors
    /// As [`write`](Self::write); [`Error::Invalid`] for an edit that cannot be made of the
    /// document, [`Error::Conflict`] for a state that is not an earlier one of it. Nothing has
    /// changed then.
    pub async fn edit(&self, key: &DocumentKey, author: &Author, edit: Edit) -> Result<Acked> {
        let room = self.open(key)?;
        let (request, reply) = Request::new(author);
        room.send(Command::Edit {
            peer: request,
            ticket: TICKET,
            edit: Box::new(edit),
        })?;
        let bytes = match reply.wait(self.supervisor()).await? {
            Reply::Made(bytes) => bytes,
            Reply::Durable(_) => return Err(Error::Internal),
        };
        let validated = self.supervisor().blocking(Task::Validation, move || {
            document::validate(&bytes).map(|checked| (bytes, checked))
        });
        let validated = validated.await.ok_or(Error::Internal)?;
        let (bytes, checked) = validated.map_err(|_| Error::Internal)?;
        self.write_to(&room, author, bytes, checked).await
    }

    async fn write_to(
        &self,
        room: &RoomHandle,
        author: &Author,
        bytes: Bytes,
        checked: Checked,
    ) -> Result<Acked> {
        let (request, reply) = Request::new(author);
        room.send(Command::Update(Box::new(Update {
            peer: request,
            ticket: TICKET,
            bytes,
            checked,
            standing: Standing::Author,
        })))?;
        match reply.wait(self.supervisor()).await? {
            Reply::Durable(acked) => Ok(acked),
            Reply::Made(_) => Err(Error::Internal),
        }
    }
}

/// What a room replies to an author.
enum Reply {
    /// The update is durable.
    Durable(Acked),
    /// The update that was made of an edit.
    Made(Bytes),
}

/// The receiver of a reply.
struct Replied(oneshot::Receiver<Result<Reply>>);

impl Replied {
    async fn wait(self, supervisor: &Supervisor) -> Result<Reply> {
        let replied = tokio::select! {
            biased;
            // Nothing is written any more. This arm is first, because then the room ends too,
            // without an answer.
            _ = supervisor.losing() => return Err(Error::StorageUnavailable),
            replied = timeout(DURABLE_TIMEOUT, self.0) => replied,
        };
        match replied {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err(Error::Internal),
            // The update waits in the journal and may still be written.
            Err(_) => Err(Error::StorageUnavailable),
        }
    }
}

/// One request of an author, which receives only its reply.
struct Request {
    author: Author,
    /// The sender of the reply. Only the first reply counts.
    reply: Mutex<Option<oneshot::Sender<Result<Reply>>>>,
}

impl Request {
    fn new(author: &Author) -> (Arc<Self>, Replied) {
        let (reply, replied) = oneshot::channel();
        let request = Self {
            author: author.clone(),
            reply: Mutex::new(Some(reply)),
        };
        (Arc::new(request), Replied(replied))
    }

    fn settle(&self, reply: Result<Reply>) {
        if let Some(sender) = self.reply.lock().take() {
            // This fails if the author no longer waits.
            let _ = sender.send(reply);
        }
    }
}

impl Peer for Request {
    fn identity(&self) -> &Identity {
        &self.author.identity
    }

    fn accept(&self, _: Ticket, acked: Acked) {
        self.settle(Ok(Reply::Durable(acked)));
    }

    fn answer(&self, _: Ticket, answer: Answer) {
        match answer {
            Answer::Made(bytes) => self.settle(Ok(Reply::Made(bytes))),
            Answer::Refused(error) => self.settle(Err(error)),
            Answer::Joined(_)
            | Answer::Synced(_)
            | Answer::StateVector(_)
            | Answer::Gone(_)
            | Answer::Done => {}
        }
    }

    fn charge(&self, cpu: Duration, memory_bytes: usize) {
        self.author.caller.budget.charge(cpu, memory_bytes);
    }

    fn cut(&self, _: &'static str) {
        self.settle(Err(Error::Overloaded));
    }

    fn sit(self: Arc<Self>, _: &mut Audiences) {}
}
