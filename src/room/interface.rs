//! What goes into a room's core, and what comes out of it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Answer, Command, Message, Ticket,
    commits::Ack,
    open_document::Opened,
    seats::{AwarenessChange, AwarenessShown, Gate},
};
use crate::{
    bus::Published,
    error::{Error, Result},
    id::{DocumentId, Seq, SessionId, Timestamp, UserId},
    limits::Pressure,
    store::{AppendError, Availability, Damage, DocumentRecord, Loaded, NewRows, Reservation},
};

/// The time of an input, by two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// By a clock that nobody sets; what the room reckons with.
    pub(super) instant: Instant,
    /// By the clock on the wall; what people are shown.
    pub(super) time: Timestamp,
}

/// What happens to a room.
pub(super) enum Input<P> {
    /// A door asks something.
    Command(Command<P>, Resources),
    /// All that came together has been put in; so much memory is taken.
    EndOfTurn(Pressure),
    /// What was asked for last has come.
    Fetched(Box<Fetched>),
    /// The oldest append under way is settled.
    Appended(Result<Seq, AppendError>),
    /// The snapshot under way is settled; on success, the position that it holds.
    SnapshotPut(Option<Seq>),
    /// Something happened that concerns the members.
    Happened(Arc<Published>),
    /// The database went away, or is back.
    Storage(Availability),
    /// The queue of a session was full for what it was just told: its seat is shut.
    Full(SessionId),
    /// The queue of a session that was full has drained.
    Drained(SessionId),
    /// Whether somebody is yet to be shown the newest cursors.
    AwarenessShown(AwarenessShown),
    /// Somebody has just asked for the room: it is not forgotten.
    UnloadRefused,
    /// The server stops: what was accepted is to be written, then the room ends.
    Drain,
}

/// With what a command can be carried out.
pub(super) struct Resources {
    /// For an update: a claim on the log's journal; `None` where that is full.
    pub(super) reservation: Option<Reservation>,
    /// How much memory is taken.
    pub(super) pressure: Pressure,
    /// For who asks for the document: how much waits to be written to them, in bytes.
    pub(super) queued_bytes: usize,
}

/// What came from the database.
pub(super) enum Fetched {
    /// What [`Fetch::Document`] asked for; nothing where nobody has written it.
    Document(Result<Option<(DocumentRecord, Opened)>>),
    /// What [`Fetch::Create`] asked for, with what it holds if somebody else has made it meanwhile.
    Created(Result<(DocumentRecord, Option<Opened>)>),
    /// What [`Fetch::Reload`] asked for.
    Reloaded(Result<Opened>),
    /// What [`Fetch::Log`] asked for.
    Log(Result<Loaded>),
}

/// What is wanted from the database.
#[derive(Debug)]
pub(super) enum Fetch {
    /// The document, for the first time.
    Document,
    /// Brings the document into being.
    Create { by: UserId, at: Timestamp },
    /// The document anew, and what is not in its log yet on top. It is tried until it works, unless
    /// the document is gone or the server stops.
    Reload {
        document: DocumentId,
        unwritten: Vec<Bytes>,
    },
    /// The document as it lies in the log.
    Log { document: DocumentId },
}

/// What is to be done, in this order.
pub(super) enum Output<P> {
    /// Answer a request.
    Answer(P, Ticket, Answer),
    /// Tell senders that what they sent is durable.
    Acks(Vec<(Ack<P>, Seq)>),
    /// Charge somebody for an update.
    Charge {
        peer: P,
        memory_bytes: usize,
        work: Work,
    },
    /// Give somebody a seat, open.
    AddSeat(P),
    /// Take a seat away.
    RemoveSeat(SessionId),
    /// Open or shut a seat.
    SetGate(SessionId, Gate),
    /// Tell every open seat but one; an update holds `updates` of them.
    Tell {
        message: Message,
        except: Option<SessionId>,
        updates: u64,
    },
    /// Tell one seat, open or not.
    TellOne(SessionId, Message),
    /// Show the open seats which cursors moved.
    RelayAwareness(AwarenessChange),
    /// Tell every seat, open or not.
    Announce(Message),
    /// Close somebody's transport.
    Cut(P, &'static str),
    /// Write rows.
    Append(DocumentId, NewRows),
    /// Write a snapshot that holds everything up to `seq`.
    PutSnapshot {
        document: DocumentId,
        seq: Seq,
        state: Bytes,
    },
    /// Move rows aside that cannot be used.
    SetAside(DocumentId, Vec<Damage>),
    /// Get something from the database, and put it in next.
    Fetch(Fetch),
    /// Forget the room if nobody asks for it; otherwise [`Input::UnloadRefused`] is next.
    Unload,
    /// End the room: whatever is asked of it from now on is refused with this.
    End(Error),
}

/// Whether an input was so much work that its time is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It was within what each update has free.
    Free,
    /// The time that the core took is charged.
    Timed,
}
