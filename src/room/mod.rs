//! Live documents: one room per open document, which alone holds its CRDT.
//!
//! ```text
//! Rooms        which documents are open; opens each once, forgets the idle
//! Driver       the task of one room: inbox, timer, store, audiences; decides nothing
//! RoomCore     what the room decides: a pure function of its inputs and of the time
//!   OpenDocument  the document in memory, and how far its log is durable
//!   Members       who is in the room, who lags, who awaits a resync
//!   Commits       what is accepted but not yet durable, and whose ack waits for it
//!   Ownership     whose Yjs client ids may be advanced by whom
//! Audiences    the seats of each door in the room: each message is encoded once a door
//! ```
//! A room relays an update before it is durable and acknowledges it after:
//! whoever sees an edit holds it in a replica, so showing it early takes
//! nothing back. A room knows [`Peer`]s and [`Door`]s, not sockets, and no transport.
//! No lock is held across an await; nothing a room calls on a peer may block.

mod audiences;
mod awareness;
mod commits;
mod core;
mod driver;
mod durability;
mod edits;
mod effects;
mod interface;
mod join;
mod load;
mod members;
mod open_document;
mod ownership;
mod pace;
mod rooms;
mod rows;
mod seats;
mod shared;
mod snapshot;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    audiences::Audiences,
    rooms::Rooms,
    seats::{Delivery, Door},
    shared::RoomHandle,
};
use crate::{
    auth::User,
    bus::Published,
    error::Error,
    id::{DocumentId, Seq, SessionId, Timestamp},
    session::Identity,
};
use document::{Checked, StateVector, Visibility, awareness::Entry};

/// Whoever asks something of a room, made by the door through which they came.
///
/// Every method is called from the room's task: none may block or panic.
pub trait Peer: Send + Sync + 'static {
    /// Who asks.
    fn identity(&self) -> &Identity;

    /// Queues the ack of an update that is durable; [`flush`](Self::flush) sends
    /// it. As with an answer, one that cannot be queued ends the connection.
    fn accept(&self, ticket: Ticket, acked: Acked);

    /// Answers another request, or refuses one. An answer that cannot be queued
    /// ends the connection: the client asks again after it has reconnected.
    fn answer(&self, ticket: Ticket, answer: Answer);

    /// Notes what the peer's updates cost the room: time of a core, and memory
    /// that the document has taken for good, in bytes.
    fn charge(&self, cpu: Duration, memory_bytes: usize);

    /// Sends what is queued. It is one of `among` that are flushed now, so that the door
    /// can tell whether there is time to write here.
    fn flush(&self, among: usize);

    /// How many bytes wait to be written to it.
    fn queued_bytes(&self) -> usize;

    /// Closes its transport so that the client reconnects by itself.
    fn cut(&self, reason: &'static str);

    /// How it catches up after it fell behind.
    fn catching_up(&self) -> CatchingUp {
        CatchingUp::Asks
    }

    /// Takes a seat among those of its door. A peer that never joins takes none.
    fn sit(self: Arc<Self>, audiences: &mut Audiences);
}

/// How a client catches up that has missed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchingUp {
    /// It is told to synchronise, and asks for what it lacks.
    Asks,
    /// It cannot ask in the words of its protocol: the room remembers what it had, and sends the
    /// difference. It is still told to synchronise, for it may have what the document lacks since
    /// that was rebuilt; its door says that as it can.
    IsSent,
}

/// What the door wrote on a request to recognise its answer by. Rooms hand it back unread.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// The request's name on the wire.
    pub request: &'static str,
    /// The number under which the client waits, if it does.
    pub id: Option<u64>,
}

/// What the ack of an update says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// All that the document held up to this position is durable.
    pub seq: Seq,
    /// Whether everybody sees all of the update. Of one that is pending, the
    /// client is to synchronise and to send all that the server lacks.
    pub visibility: Visibility,
}

/// The answer to a request.
#[derive(Debug)]
pub enum Answer {
    /// To a join.
    Joined(Box<Joined>),
    /// To a sync.
    Synced(Synced),
    /// To requests that return nothing.
    Done,
    /// To any: refused.
    Refused(Error),
}

/// What a session learns when it joins.
#[derive(Debug)]
pub struct Joined {
    /// The document's present life.
    pub document: DocumentId,
    /// The newest durable position in its log.
    pub seq: Seq,
    /// What the server's replica holds.
    pub state_vector: Vec<u8>,
    /// What the client lacks, if it told what it has; everything otherwise.
    pub update: Bytes,
    /// The states of everybody present, as y-protocols awareness; `None` if nobody has one.
    pub awareness: Option<Bytes>,
    /// The people present, the joining one included, each once.
    pub members: Vec<Person>,
    /// Whether updates can be made durable at present.
    pub storage: StorageStatus,
}

/// The answer to a sync.
#[derive(Debug)]
pub struct Synced {
    /// What the client lacks.
    pub update: Bytes,
    /// What the server's replica holds.
    pub state_vector: Vec<u8>,
    /// The newest durable position in the log.
    pub seq: Seq,
}

/// A person in a room, however many tabs and devices they use.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person.
    pub user: User,
    /// When they were last heard of here.
    pub last_seen_at: Timestamp,
}

/// How the storage of one document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageStatus {
    /// What is written is kept.
    Ok,
    /// Nothing can be written at present.
    Unavailable,
    /// What is written is kept, but some of what was written before cannot be read.
    Damaged,
}

/// Why a client must synchronise anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncReason {
    /// It could not keep up.
    Lagging,
    /// The document was rebuilt from its log.
    Rebuilt,
}

/// A message from a room to its members.
#[derive(Clone, Debug)]
pub enum Message {
    /// An update of the document, Yjs v1.
    Update(Bytes),
    /// Awareness states, y-protocols encoding.
    Awareness(Bytes),
    /// Synchronise anew; no updates are sent before.
    Resync(ResyncReason),
    /// The storage went away, or is back.
    Storage(StorageStatus),
    /// Something happened that concerns the members.
    Event(Arc<Published>),
    /// The room is closed for this member.
    Closed(Error),
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Message::Update(bytes) | Message::Awareness(bytes) => bytes.len(),
            Message::Resync(_) | Message::Storage(_) | Message::Event(_) | Message::Closed(_) => 0,
        }
    }
}

/// Whether joining may bring a document into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The session may edit.
    Allowed,
    /// It may not: an unknown document is not found.
    Forbidden,
}

/// What a door asks of a room. Commands of one session are taken in the order in which they came.
///
/// `P` is a handle to the peer that asks; the room's core is told with others in its tests.
pub enum Command<P = Arc<dyn Peer>> {
    /// Becomes a member.
    Join {
        /// Who joins.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// Whether an unknown document may be created.
        creation: Creation,
        /// What the client has, if it told.
        state_vector: Option<StateVector>,
    },
    /// Stops being a member; also how a closed connection ends.
    Leave {
        /// Whose session.
        session: SessionId,
        /// The request to answer, and where; none where the connection is gone.
        answer: Option<(P, Ticket)>,
    },
    /// Asks for what the client lacks.
    Sync {
        /// Who asks.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// What the client has.
        state_vector: StateVector,
    },
    /// Changes the document. Boxed, as it is larger than the others and an inbox
    /// is made of slots of one size.
    Update(Box<Update<P>>),
    /// Changes awareness states.
    Awareness {
        /// Who changes them.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// The decoded states.
        entries: Vec<Entry>,
        /// Their size on the wire.
        bytes: usize,
    },
}

/// A change of the document.
pub struct Update<P = Arc<dyn Peer>> {
    /// Who changes it; the right was checked by the door.
    pub peer: P,
    /// The request.
    pub ticket: Ticket,
    /// The update, Yjs v1.
    pub bytes: Bytes,
    /// What validation found in it.
    pub checked: Checked,
    /// As what the peer writes.
    pub standing: Standing,
}

/// As what a peer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As a member: one that has not joined is refused.
    Member,
    /// As a member, in answer to being told to synchronise: it may bring what others wrote and
    /// left with it. For doors whose clients do not say beforehand what they have.
    Reply,
    /// Without a seat, as a request by HTTP does: the document is created if it is unknown, and
    /// the update may bring what others wrote, as whoever answers a synchronisation may.
    Author,
}

/// About what a command takes in an inbox, in bytes, besides what it carries.
const WEIGHT: usize = 128;
const UPDATE_WEIGHT: usize = WEIGHT + size_of::<Update>();

impl<P: Clone> Command<P> {
    /// Who waits for the answer, and to which request.
    fn reply_to(&self) -> Option<(P, Ticket)> {
        match self {
            Command::Join { peer, ticket, .. }
            | Command::Sync { peer, ticket, .. }
            | Command::Awareness { peer, ticket, .. } => Some((peer.clone(), *ticket)),
            Command::Update(update) => Some((update.peer.clone(), update.ticket)),
            Command::Leave { answer, .. } => answer.clone(),
        }
    }

    /// The bytes that count against the inbox's budget.
    fn weight(&self) -> usize {
        match self {
            Command::Update(update) => update.bytes.len() + UPDATE_WEIGHT,
            Command::Awareness { bytes, .. } => *bytes + WEIGHT,
            Command::Join { .. } | Command::Leave { .. } | Command::Sync { .. } => WEIGHT,
        }
    }
}
