//! Live documents: one room for each open document. The room alone holds the document's CRDT.
//!
//! A door (a way into the server with a wire protocol of its own) sends a room [`Command`]s: join,
//! leave, sync, update, awareness. Each comes from a [`Peer`], which the door made for the
//! client that asks. A peer that joins becomes a *member* of the room, and its door gives it a
//! *seat*, through which it receives the room's [`Message`]s. All seats of one door in a room are
//! the door's *audience*: a message is encoded once for each audience. A room knows no sockets
//! and no transports.
//!
//! An accepted update is *relayed* to the other members at once and appended to the document's
//! *log* in the database, where it gets its position, the *seq*. The *ack* goes to its sender
//! once it is durable. Relaying first is safe, because whoever sees an edit has it in a replica.
//! A member whose queue is full is *lagging*: it gets nothing until the queue has drained, and
//! then has to *resync*, which gives it the one difference that it lacks.
//!
//! ```text
//! Rooms           the open documents; opens each once, unloads idle ones
//! Driver          the task of one room; decides nothing. One pass over its inbox is a turn
//! Effects         carries out what the core decided: seats, log, database
//! RoomCore        what the room decides: a pure function of its inputs and of the time
//!   OpenDocument  the document in memory, and up to which position of its log it is durable
//!   Members       who is in the room, who lags, who has to resync
//!   Commits       accepted updates that are not durable yet, and their acks
//!   Ownership     which user may advance which Yjs client id
//!   Colors        which colour each person in the room has
//! Audiences       the seats of each door in the room
//! ```
//! No lock is held across an await, and no method of a peer that a room calls may block.
//!
//! Read this file first, then `interface.rs`, `core.rs` and `driver.rs`.

mod anchors;
mod answer;
mod audiences;
mod author;
mod awareness;
mod colors;
mod commits;
mod core;
mod driver;
mod durability;
mod edits;
mod effects;
mod heads;
mod heavy;
mod interface;
mod join;
mod lacking;
mod lifecycle;
mod load;
mod members;
mod metadata;
mod notices;
mod open_document;
mod ownership;
mod pace;
mod rewind;
mod rooms;
mod rows;
mod seats;
mod shared;
mod snapshot;
mod turn;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    answer::{
        Acked, Answer, Deletions, Joined, Lacking, Person, ResyncReason, StorageStatus, Synced,
    },
    audiences::Audiences,
    author::Author,
    rooms::Rooms,
    seats::{Delivery, Door},
    shared::RoomHandle,
};
use crate::{bus::Published, error::Error, id::SessionId, session::Identity};
use document::{Checked, DeletionsHash, StateVector, awareness::Entry, edit::Operation};

pub use document::{Anchor, RelativePosition};

/// A client that sends commands to a room, as its door represents it.
///
/// Every method is called from the room's task: none may block or panic.
pub trait Peer: Send + Sync + 'static {
    /// The session and the person of this client.
    fn identity(&self) -> &Identity;

    /// Queues the ack of an update that is durable; [`flush`](Self::flush) sends
    /// it. As with an answer, an ack that cannot be queued ends the connection.
    fn accept(&self, ticket: Ticket, acked: Acked);

    /// Answers a request other than an update, or refuses any request. An answer that cannot be
    /// queued ends the connection: the client asks again after it has reconnected.
    fn answer(&self, ticket: Ticket, answer: Answer);

    /// Charges the client for its updates: processor time, and memory that the
    /// document has permanently grown by, in bytes.
    fn charge(&self, cpu: Duration, memory_bytes: usize);

    /// Sends everything that is queued. `among` is the number of peers that are flushed at this
    /// moment, by which the door decides whether it can afford to write in the room's task.
    /// A door that queues nothing does nothing here.
    fn flush(&self, among: usize) {
        let _ = among;
    }

    /// How many bytes are queued for the client and not written yet.
    /// A door that queues nothing leaves it at 0.
    fn queued_bytes(&self) -> usize {
        0
    }

    /// Closes the client's transport so that the client reconnects by itself.
    fn cut(&self, reason: &'static str);

    /// How the client catches up after it has lagged.
    fn catching_up(&self) -> CatchingUp {
        CatchingUp::Asks
    }

    /// Takes a seat in the audience of its door. It is called when the peer joins.
    fn sit(self: Arc<Self>, audiences: &mut Audiences);
}

/// How a client that has missed messages catches up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchingUp {
    /// It is told to resync, and asks for what it lacks.
    Asks,
    /// Its protocol has no such request: the room remembers what the client had, and sends the
    /// difference. The client is told to resync all the same, because it may have content that the
    /// document lost when it was rebuilt; its door says so as far as its protocol can.
    IsSent,
}

/// Identifies a request to its door. A room returns it with the answer, and does not read it.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// The request's name on the wire.
    pub request: &'static str,
    /// The number that the answer must carry; `None` if the client expects no answer.
    pub id: Option<u64>,
}

/// A message from a room to its members.
#[derive(Clone, Debug)]
pub enum Message {
    /// An update of the document, Yjs v1.
    Update(Bytes),
    /// Awareness states, y-protocols encoding.
    Awareness(Bytes),
    /// What a member says to the others by a [stateless message](Command::Stateless).
    Stateless(Bytes),
    /// The client has to resync; no updates are sent before it has.
    Resync(ResyncReason),
    /// The state of the storage has changed.
    Storage(StorageStatus),
    /// Something happened that concerns the members.
    Event(Arc<Published>),
    /// The room is closed for this member.
    Closed(Error),
}

impl Message {
    /// How many bytes of content it carries.
    fn bytes(&self) -> usize {
        match self {
            Message::Update(bytes) | Message::Awareness(bytes) | Message::Stateless(bytes) => {
                bytes.len()
            }
            Message::Resync(_) | Message::Storage(_) | Message::Event(_) | Message::Closed(_) => 0,
        }
    }
}

/// Whether a join may create the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It may, because the session may edit.
    Allowed,
    /// It may not: joining an unknown document is refused with `not_found`.
    Forbidden,
}

/// What a client has of a document, as far as it says.
#[derive(Clone, Debug, Default)]
pub struct Has {
    /// Its state vector.
    pub state_vector: StateVector,
    /// The hash of all its deletions, if it sent one.
    pub deletions: Option<DeletionsHash>,
}

impl From<StateVector> for Has {
    fn from(state_vector: StateVector) -> Self {
        Self {
            state_vector,
            deletions: None,
        }
    }
}

/// A request to a room. Commands of one session are carried out in the order in which they were
/// sent.
///
/// `P` is a handle to the peer that asks; the tests of the room's core use another type.
pub enum Command<P = Arc<dyn Peer>> {
    /// Becomes a member.
    Join {
        /// The peer that joins.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// Whether an unknown document may be created.
        creation: Creation,
        /// What the client has, if it says so.
        has: Option<Has>,
    },
    /// Stops being a member. Doors also send it for a closed connection.
    Leave {
        /// The session that leaves.
        session: SessionId,
        /// The peer and the request to answer; `None` if the connection is closed.
        answer: Option<(P, Ticket)>,
    },
    /// Asks for what the client lacks.
    Sync {
        /// The peer that asks.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// What the client has.
        has: Has,
    },
    /// Asks for the state vector of the room's replica, from which the client's door asks the client for
    /// what the room lacks.
    StateVector {
        /// The peer that asks.
        peer: P,
        /// The request.
        ticket: Ticket,
    },
    /// Changes the document. It is boxed because it is much larger than the other variants.
    Update(Box<Update<P>>),
    /// Asks for the update that an edit is, as the document is now. The document is not changed.
    Edit {
        /// The peer that asks.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// The edit.
        edit: Box<Edit>,
    },
    /// Asks which of these texts are gone from the document.
    Anchors {
        /// The peer that asks.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// The anchors of the texts.
        of: Vec<Anchor>,
    },
    /// Changes awareness states.
    Awareness {
        /// The peer that changes them.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// The decoded states.
        entries: Vec<Entry>,
        /// Their size on the wire, in bytes.
        bytes: usize,
    },
    /// Says something to the other members of the same door, behind the updates that were accepted before. The room keeps
    /// nothing of it, and who is lagging or on another instance does not hear it.
    Stateless {
        /// The peer that says it.
        peer: P,
        /// The request.
        ticket: Ticket,
        /// What it says.
        payload: Bytes,
    },
}

/// A change of the document that the server makes itself.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Operations, in their order.
    Operations(Vec<Operation>),
    /// Gives the document the content that it had in this earlier state of it (an update, Yjs v1).
    ReplaceWith(Bytes),
}

impl Edit {
    /// About how many bytes it takes in an inbox.
    fn bytes(&self) -> usize {
        match self {
            Edit::Operations(operations) => operations.len() * size_of::<Operation>(),
            Edit::ReplaceWith(state) => state.len(),
        }
    }
}

/// A change of the document.
pub struct Update<P = Arc<dyn Peer>> {
    /// The sender; its door has checked that it may edit.
    pub peer: P,
    /// The request.
    pub ticket: Ticket,
    /// The update, Yjs v1.
    pub bytes: Bytes,
    /// The result of its validation.
    pub checked: Checked,
    /// In which role the peer writes.
    pub standing: Standing,
}

/// The role in which a peer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member; a peer that has not joined is refused.
    Member,
    /// A member that answers a resync: it may bring content of other authors that only it still
    /// has. For doors whose clients do not send their state vector beforehand.
    Reply,
    /// A member that may not edit, and synchronises: an update that would change anything is refused.
    Reader,
    /// An author without a seat, such as an HTTP request. An unknown document is created, and the
    /// update may bring content of other authors, as in [`Reply`](Self::Reply).
    Author,
}

/// About how many bytes a command takes in an inbox, besides its content.
const WEIGHT: usize = 128;
const UPDATE_WEIGHT: usize = WEIGHT + size_of::<Update>();

impl<P: Clone> Command<P> {
    /// The peer and the request to answer.
    fn reply_to(&self) -> Option<(P, Ticket)> {
        match self {
            Command::Join { peer, ticket, .. }
            | Command::Sync { peer, ticket, .. }
            | Command::StateVector { peer, ticket }
            | Command::Edit { peer, ticket, .. }
            | Command::Anchors { peer, ticket, .. }
            | Command::Awareness { peer, ticket, .. }
            | Command::Stateless { peer, ticket, .. } => Some((peer.clone(), *ticket)),
            Command::Update(update) => Some((update.peer.clone(), update.ticket)),
            Command::Leave { answer, .. } => answer.clone(),
        }
    }

    /// How many bytes it counts for in the limit of the inbox.
    fn weight(&self) -> usize {
        match self {
            Command::Update(update) => update.bytes.len() + UPDATE_WEIGHT,
            Command::Edit { edit, .. } => edit.bytes() + WEIGHT,
            Command::Anchors { of, .. } => of.len() * size_of::<Anchor>() + WEIGHT,
            Command::Awareness { bytes, .. } => *bytes + WEIGHT,
            Command::Stateless { payload, .. } => payload.len() + WEIGHT,
            Command::Join { .. }
            | Command::Leave { .. }
            | Command::Sync { .. }
            | Command::StateVector { .. } => WEIGHT,
        }
    }
}
