//! Live documents: one task per open document, which alone holds its CRDT.
//!
//! ```text
//! Rooms        which documents are open; opens each once, forgets the idle
//! Room         the task: takes its inbox in turns (entry, edits, cursors)
//! LiveDocument the document in memory, and how far its log is durable
//! Members      who sits in the room, who lags, who awaits a resync
//! Commits      what is accepted but not yet durable, and whose ack waits for it
//! Ownership    whose Yjs client ids may be advanced by whom
//! ```
//! A room relays an update before it is durable and acknowledges it after:
//! whoever sees an edit holds it in a replica, so showing it early takes
//! nothing back. A room knows [`Seat`]s, not sockets, and no transport. No
//! lock is held across an await; nothing a room calls on a seat may block.

mod commits;
mod cursors;
mod durability;
mod edits;
mod entry;
mod live;
mod load;
mod members;
mod ownership;
mod rooms;
mod task;
mod turn;

use std::{any::Any, cell::RefCell, sync::Arc, time::Duration};

use bytes::Bytes;
use document::{Checked, StateVector, Visibility, awareness::Entry};
use smallvec::SmallVec;

pub use self::rooms::{RoomHandle, Rooms};
use crate::{
    auth::User,
    error::Error,
    id::{DocumentId, Seq, SessionId, Timestamp},
};

/// Who takes part in a room: a session, and the person that its token names.
#[derive(Clone, Debug)]
pub struct Participant {
    /// The session.
    pub session: SessionId,
    /// The person, from the token.
    pub user: User,
    /// The colour that the server chose for the person, as `#rrggbb`.
    pub color: &'static str,
}

/// One session's place in one room, made by the door through which it came.
///
/// Every method is called from the room's task: none may block or panic.
pub trait Seat: Send + Sync + 'static {
    /// Who sits here.
    fn participant(&self) -> &Participant;

    /// Queues a message for the session; [`flush`](Self::flush) sends it.
    fn deliver(&self, outgoing: &Outgoing) -> Delivery;

    /// Queues the ack of an update that is durable; [`flush`](Self::flush) sends
    /// it. As with an answer, one that cannot be queued ends the connection.
    fn accept(&self, ticket: Ticket, acked: Acked);

    /// Notes what the session's update cost the room: time of a core, and memory
    /// that its document has taken for good, in bytes.
    fn charge(&self, cpu: Duration, memory_bytes: usize);

    /// Sends what is queued, in one write.
    fn flush(&self, extent: Extent);

    /// Answers one of the session's requests. An answer that cannot be queued
    /// ends the connection: the client asks again after it has reconnected.
    fn answer(&self, ticket: Ticket, answer: Answer);

    /// How many bytes wait to be written to the session's transport.
    fn queued_bytes(&self) -> usize;

    /// Closes the session's transport so that the client reconnects by itself.
    fn cut(&self, reason: &'static str);
}

/// Among how many seats a seat is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So few that the room's task may write to each itself.
    Few,
    /// So many that it must not.
    Many,
}

impl Extent {
    /// A write takes some 10 µs, and other rooms wait meanwhile.
    const FEW: usize = 32;

    fn of(seats: usize) -> Self {
        match seats > Self::FEW {
            true => Self::Many,
            false => Self::Few,
        }
    }
}

/// What became of a message to a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is queued.
    Queued,
    /// The queue is full: the session lags.
    Full,
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
    pub members: Vec<Member>,
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
pub struct Member {
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
    /// The room is closed for this member.
    Closed(Error),
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Message::Update(bytes) | Message::Awareness(bytes) => bytes.len(),
            Message::Resync(_) | Message::Storage(_) | Message::Closed(_) => 0,
        }
    }
}

/// A message on its way to many seats: each door encodes it once, however many of its seats get it.
pub struct Outgoing {
    /// What is sent.
    pub message: Message,
    wires: RefCell<SmallVec<[Box<dyn Any>; 1]>>,
}

impl Outgoing {
    /// A message that no door has encoded yet.
    pub fn new(message: Message) -> Self {
        Self {
            message,
            wires: RefCell::default(),
        }
    }

    /// The message as a door writes it: `encode` runs for the first seat of
    /// each type `W`, the others get a clone.
    pub fn wire<W: Clone + 'static>(&self, encode: impl FnOnce(&Message) -> W) -> W {
        let mut wires = self.wires.borrow_mut();
        if let Some(wire) = wires.iter().find_map(|wire| wire.downcast_ref::<W>()) {
            return wire.clone();
        }
        let wire = encode(&self.message);
        wires.push(Box::new(wire.clone()));
        wire
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
pub enum Command {
    /// Takes a seat.
    Join {
        /// The seat.
        seat: Arc<dyn Seat>,
        /// The request.
        ticket: Ticket,
        /// Whether an unknown document may be created.
        creation: Creation,
        /// What the client has, if it told.
        state_vector: Option<StateVector>,
    },
    /// Gives the seat up; also how a closed connection ends.
    Leave {
        /// Whose seat.
        session: SessionId,
        /// The request to answer, and where; none where the connection is gone.
        answer: Option<(Arc<dyn Seat>, Ticket)>,
    },
    /// Asks for what the client lacks.
    Sync {
        /// Who asks.
        seat: Arc<dyn Seat>,
        /// The request.
        ticket: Ticket,
        /// What the client has.
        state_vector: StateVector,
    },
    /// Changes the document. Boxed, as it is larger than the others and an inbox
    /// is made of slots of one size.
    Update(Box<Update>),
    /// Changes awareness states.
    Awareness {
        /// Who changes them.
        seat: Arc<dyn Seat>,
        /// The request.
        ticket: Ticket,
        /// The decoded states.
        entries: Vec<Entry>,
        /// Their size on the wire.
        bytes: usize,
    },
    /// Something that a room told itself.
    Own(Event),
}

/// A change of the document.
pub struct Update {
    /// Who changes it; the right was checked by the door.
    pub seat: Arc<dyn Seat>,
    /// The request.
    pub ticket: Ticket,
    /// The update, Yjs v1.
    pub bytes: Bytes,
    /// What validation found in it.
    pub checked: Checked,
}

/// What a room hears from the work that it started.
pub enum Event {
    /// The oldest append under way is settled.
    Appended(Result<Seq, crate::store::AppendError>),
    /// The snapshot under way is settled; on success, the position that it holds.
    SnapshotPut(Option<Seq>),
    /// Finish: write what was accepted, then end.
    Drain,
}

/// About what a command takes in an inbox, in bytes, besides what it carries.
const WEIGHT: usize = 128;
const UPDATE_WEIGHT: usize = WEIGHT + size_of::<Update>();

impl Command {
    /// The bytes that count against the inbox's budget.
    fn weight(&self) -> usize {
        match self {
            Command::Update(update) => update.bytes.len() + UPDATE_WEIGHT,
            Command::Awareness { bytes, .. } => *bytes + WEIGHT,
            Command::Join { .. } | Command::Leave { .. } | Command::Sync { .. } => WEIGHT,
            Command::Own(_) => 0,
        }
    }
}
