//! The inputs and the outputs of a room's core.
//!
//! The driver gives the core one [`Input`] at a time and then carries out the [`Output`]s that the
//! core returns, in their order. A turn is a sequence of inputs that ends with
//! [`Input::EndOfTurn`].

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
    auth::User,
    bus::Published,
    error::{Error, Result},
    id::{DocumentId, Seq, SessionId, Timestamp},
    limits::Pressure,
    store::{AppendError, Availability, Damage, Lineage, Loaded, Metadata, NewRows, Reservation},
};

/// The time of an input, from two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// From a monotonic clock; the room computes with it.
    pub(super) instant: Instant,
    /// From the wall clock; it is shown to people.
    pub(super) time: Timestamp,
}

/// An event that the core reacts to.
pub(super) enum Input<P> {
    /// A command of a door.
    Command(Command<P>, Resources),
    /// The turn is over. Carries how much of the memory budget is used.
    EndOfTurn(Pressure),
    /// The result of the last [`Output::Fetch`].
    Fetched(Box<Fetched>),
    /// The result of the oldest unsettled append.
    Appended(Result<Seq, AppendError>),
    /// The result of the last [`Output::PutSnapshot`]: the position up to which it holds the log,
    /// or `None` if it was not written.
    SnapshotPut(Option<Seq>),
    /// Something happened that concerns the members.
    Happened(Arc<Published>),
    /// The newest position of the document's log was seen in the database; `None` if there is no such document any more.
    HeadSeen(Option<Seq>),
    /// The database may have lost rows: its present lineage.
    LineageEnded(Lineage),
    /// The database has become unavailable or available.
    Storage(Availability),
    /// The queue of a session was full for the message just sent: its seat is shut.
    Full(SessionId),
    /// The queue of a lagging session has drained.
    Drained(SessionId),
    /// Whether all seats were shown the newest awareness states.
    AwarenessShown(AwarenessShown),
    /// The room was not unloaded, because somebody holds a handle to it.
    UnloadRefused,
    /// The server stops: the room writes its accepted updates and then ends.
    Drain,
}

/// What a command may use, and what the driver measured for it.
pub(super) struct Resources {
    /// For an update: space in the log's journal; `None` if the journal is full.
    pub(super) reservation: Option<Reservation>,
    /// How much of the memory budget is used.
    pub(super) pressure: Pressure,
    /// For a join or a sync: how many bytes are queued for the client and not written yet.
    pub(super) queued_bytes: usize,
}

/// The result of a [`Fetch`].
pub(super) enum Fetched {
    /// Of [`Fetch::Document`]: `None` if the document does not exist.
    Document(Result<Option<(Arc<Metadata>, Opened)>>),
    /// Of [`Fetch::Create`]: with the content if another instance has created the document
    /// meanwhile.
    Created(Result<(Arc<Metadata>, Option<Opened>)>),
    /// Of [`Fetch::Reload`].
    Reloaded(Result<Opened>),
    /// Of [`Fetch::Log`].
    Log(Result<Loaded>),
}

/// A read of the database; only `Create` writes.
#[derive(Debug)]
pub(super) enum Fetch {
    /// Find the document and load it.
    Document,
    /// Create the document.
    Create { by: User, at: Timestamp },
    /// Load the document again and add the updates that are not in its log yet. It is retried until
    /// it succeeds, unless the document is deleted or the server stops. If its creation was lost, it is created again.
    Reload {
        metadata: Arc<Metadata>,
        unwritten: Vec<Bytes>,
    },
    /// Read the rows of the document's log after `since`; if the log no longer has all of them, the snapshot and the rows
    /// after it.
    Log { document: DocumentId, since: Seq },
}

/// Something for the driver to do. Outputs are carried out in their order.
pub(super) enum Output<P> {
    /// Answer a request.
    Answer(P, Ticket, Answer),
    /// Send acks, each with the position up to which the log is durable.
    Acks(Vec<(Ack<P>, Seq)>),
    /// Charge a peer for updates.
    Charge {
        peer: P,
        memory_bytes: usize,
        work: Work,
    },
    /// Give a peer a seat, which is open.
    AddSeat(P),
    /// Remove a seat.
    RemoveSeat(SessionId),
    /// Open or shut a seat.
    SetGate(SessionId, Gate),
    /// Tell every open seat but one. `updates` is how many updates were merged into the message.
    Tell {
        message: Message,
        except: Option<SessionId>,
        updates: u64,
    },
    /// Tell one seat, whether it is open or shut.
    TellOne(SessionId, Message),
    /// Relay changed awareness states to the open seats.
    RelayAwareness(AwarenessChange),
    /// Tell every seat, whether it is open or shut.
    Announce(Message),
    /// Close a peer's transport.
    Cut(P, &'static str),
    /// Append rows to the log.
    Append(DocumentId, NewRows),
    /// Tell the team that the document was edited at this time, and record that these people edit
    /// it. How long to wait before the next
    /// notice is reported to [`RoomCore::next_edit_notice_after`](super::core::RoomCore).
    NoticeEdit(Arc<Metadata>, Timestamp, Vec<User>),
    /// Write a snapshot that holds the log up to `seq`.
    PutSnapshot {
        document: DocumentId,
        lineage: Lineage,
        seq: Seq,
        state: Bytes,
    },
    /// Move rows that cannot be applied out of the log, for repair by hand.
    SetAside(DocumentId, Vec<Damage>),
    /// Read the database; [`Input::Fetched`] is the next input.
    Fetch(Fetch),
    /// Unload the room if nobody holds a handle to it; otherwise [`Input::UnloadRefused`] is the
    /// next input.
    Unload,
    /// End the room: all further commands are refused with this error.
    End(Error),
}

/// Whether the processor time of an input is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It is not: the input was cheap.
    Free,
    /// It is: the time that the core took.
    Timed,
}
