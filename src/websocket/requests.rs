//! Handles one message of a client: charges it to the budget, checks the rights, and puts it into
//! the room's inbox. Nothing here waits.

use bytes::Bytes;
use document::{
    Checked, StateVector,
    awareness::{self, Entry},
    lib0::Reader,
};
use engineio::Message;

use super::{
    acks::Acks,
    client::Client,
    hocuspocus::SyncStatus,
    protocol::{self, Incoming},
    request::{self, Dialect, Question, ticket},
};
use crate::{
    auth::{Right, Rights},
    error::{Error, Result},
    id::Timestamp,
    room::{Command, Standing, Update},
};

/// The place of the message with which a stock client that has connected shows its own state: behind
/// the one that asks for what it lacks, and before it can have received anything.
const GREETING: usize = 1;

/// Handles `message`, which is in `frame`, takes `length` bytes, and has this `place` among all of its client.
/// Messages after the end of the session are ignored.
///
/// # Errors
/// [`Error::RateLimited`]: nothing was done, and the message is to be handled again later. Every other
/// error ends the client.
pub(super) fn receive(
    client: &Client,
    message: Incoming<'_>,
    (frame, length): (&Bytes, usize),
    place: usize,
) -> Result<()> {
    if client.session.has_ended() || client.has_left() {
        return Ok(());
    }
    let budget = &client.session.budget;
    match message {
        Incoming::Step1(state_vector) => {
            budget.admit_join(length)?;
            client.acks(Acks::step_1);
            step_1(client, state_vector)?;
        }
        Incoming::Step2(bytes) => {
            budget.admit_update(length)?;
            let write = match client.take_question() {
                // The client sends what the server lacks, which may be edits of other people.
                Some(Question::Synchronisation) => Write::Synchronisation,
                Some(Question::Missing) => Write::Answer,
                None => Write::Unasked,
            };
            update(client, frame.slice_ref(bytes), write)?;
        }
        Incoming::Update(bytes) => {
            budget.admit_update(length)?;
            update(client, frame.slice_ref(bytes), Write::Update)?;
        }
        Incoming::Awareness(bytes) => {
            budget.admit_update(length)?;
            change_awareness(client, bytes, place)?;
        }
        Incoming::QueryAwareness => {
            budget.admit_join(length)?;
            match client.joined() {
                Some(_) => client.sync(request::QUERY_AWARENESS, client.has())?,
                // The answer to a join has the states.
                None => client.join(None)?,
            }
        }
        Incoming::Echo(whole) if client.dialect == Dialect::YWebsocket => {
            budget.admit_request(length)?;
            client.try_send(Message::binary(frame.slice_ref(whole)));
        }
        Incoming::Echo(_) | Incoming::Unknown(_) => budget.admit_request(length)?,
    }
    client.session.seen(Timestamp::now());
    Ok(())
}

/// The kind of a change of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// A step 2 with which the client synchronises.
    Synchronisation,
    /// A step 2 for which the server has asked by itself.
    Answer,
    /// A step 2 for which nobody has asked.
    Unasked,
    Update,
}

impl Write {
    /// As what the room is to take the write; `None` if it is dropped.
    ///
    /// A write of a client who may not edit is dropped: stock clients send what their copy has, and would
    /// not come back if the connection were closed. The protocol of y-websocket could say that permission is
    /// denied, but stock clients then write their address to the console, and it may hold the token.
    ///
    /// Where such a client of Hocuspocus synchronises and brings no content, the room tells whether it has
    /// deleted anything, and when everything is durable if it has not: each step 2 has all deletions.
    fn standing(
        self,
        dialect: Dialect,
        rights: Rights,
        (bytes, checked): (&[u8], &Checked),
    ) -> Option<Standing> {
        match (self, dialect) {
            (Write::Synchronisation | Write::Answer, _) if rights.allows(Right::Edit) => {
                Some(Standing::Reply)
            }
            (Write::Unasked | Write::Update, _) if rights.allows(Right::Edit) => {
                Some(Standing::Member)
            }
            (Write::Update, _) | (_, Dialect::YWebsocket) => None,
            (_, Dialect::Hocuspocus) if bytes == protocol::NOTHING => Some(Standing::Reply),
            (_, Dialect::Hocuspocus) => checked.advances.is_empty().then_some(Standing::Reader),
        }
    }

    fn request(self) -> &'static str {
        match self {
            Write::Answer => request::ANSWER,
            Write::Synchronisation => request::STEP_2,
            Write::Unasked | Write::Update => request::UPDATE,
        }
    }
}

/// The client asks for what it lacks: the first time by joining the room.
fn step_1(client: &Client, state_vector: &[u8]) -> Result<()> {
    client.shared.sessions.check_open()?;
    let has = StateVector::decode(state_vector);
    let has = has.map_err(|_| malformed("has no Yjs state vector"))?;
    match client.joined() {
        Some(_) => client.sync(request::STEP_1, has.into()),
        None => client.join(Some(has.into())),
    }
}

/// A change of the document.
fn update(client: &Client, bytes: Bytes, write: Write) -> Result<()> {
    let is_acknowledged = client.dialect == Dialect::Hocuspocus;
    if !is_acknowledged && *bytes == *protocol::NOTHING {
        return Ok(());
    }
    client.shared.sessions.check_open()?;
    let limit = client.shared.limits.update_bytes_max;
    let checked = match bytes.len() > limit {
        true => Err(Error::TooLarge { limit }),
        false => document::validate(&bytes).map_err(|_| malformed("has no Yjs update")),
    };
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) if is_acknowledged => {
            client.shared.metrics.refused(error.code());
            not_applied(client, write);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let rights = client.session.rights_in(&client.room);
    let Some(standing) = write.standing(client.dialect, rights, (&bytes, &checked)) else {
        if is_acknowledged {
            not_applied(client, write);
        }
        return Ok(());
    };
    client.join(None)?;
    let (Some(room), Some(peer)) = (client.joined(), client.peer()) else {
        return Ok(());
    };
    room.send(Command::Update(Box::new(Update {
        peer,
        ticket: ticket(write.request()),
        bytes,
        checked,
        standing,
    })))
}

/// Tells the client that a write was not applied.
fn not_applied(client: &Client, write: Write) {
    if write == Write::Synchronisation {
        client.acks(Acks::step_2_refused);
    }
    client.acknowledge(SyncStatus::NotApplied);
}

/// A change of awareness states. One that is too large is dropped: stock clients send on all that they
/// have received, whose size they do not choose.
fn change_awareness(client: &Client, bytes: &[u8], place: usize) -> Result<()> {
    if bytes.len() > client.shared.limits.awareness_bytes_max {
        client.shared.metrics.limit_applied("awareness_bytes_max");
        return Ok(());
    }
    let count = Reader::new(bytes).count();
    if count.is_ok_and(|count| count > awareness::ENTRIES_MAX) {
        return Ok(());
    }
    let entries = awareness::decode(bytes).map_err(|_| malformed("has no awareness states"))?;
    if entries.is_empty() {
        return Ok(());
    }
    client.join(None)?;
    let (Some(room), Some(peer)) = (client.joined(), client.peer()) else {
        return Ok(());
    };
    let renewal = match &entries[..] {
        [own] if place == GREETING => renewal(&client.address, own),
        _ => None,
    };
    room.send(Command::Awareness {
        peer,
        ticket: ticket(request::AWARENESS),
        entries,
        bytes: bytes.len(),
    })?;
    if let Some(renewal) = renewal {
        client.send(renewal);
        if client.dialect == Dialect::Hocuspocus {
            client.send(protocol::query_awareness(&client.address));
        }
    }
    Ok(())
}

/// Says `payload` to the others in the document, if the client may edit it; `length` are the bytes of its message. The protocol has
/// no refusal of it, so one that is too large, or that the client may not say, is dropped.
///
/// # Errors
/// [`Error::RateLimited`]: nothing was done, and the message is to be handled again later. Every other
/// error ends the client.
pub(super) fn say(client: &Client, payload: Bytes, length: usize) -> Result<()> {
    client.session.budget.admit_update(length)?;
    client.session.seen(Timestamp::now());
    if payload.len() > client.shared.limits.awareness_bytes_max {
        client.shared.metrics.limit_applied("awareness_bytes_max");
        return Ok(());
    }
    let rights = client.session.rights_in(&client.room);
    if let Err(error) = rights.require(Right::Edit) {
        client.shared.metrics.refused(error.code());
        return Ok(());
    }
    let (Some(room), Some(peer)) = (client.joined(), client.peer()) else {
        return Ok(());
    };
    room.send(Command::Stateless {
        peer,
        ticket: ticket(request::STATELESS),
        payload,
    })
}

/// A message after which a stock client shows its `own` state anew, with the next clock: that the state is
/// gone, which it does not accept of its own. Whoever saw it leave, as everybody does when it connects
/// again, ignores its state with the clock that it had then, and would see it only when it is renewed.
///
/// Provider 4 of Hocuspocus takes the next clock too, but sends nothing because of what it was sent, so it has
/// to be asked for its state afterwards.
fn renewal(address: &[u8], own: &Entry) -> Option<Message> {
    own.state.as_ref()?;
    let gone = Entry {
        state: None,
        ..own.clone()
    };
    Some(protocol::awareness(
        address,
        awareness::encode(&[gone]).into(),
    ))
}

/// The error of a message that is not what it has to be.
pub(super) fn malformed(reason: &'static str) -> Error {
    Error::Invalid {
        field: "message",
        reason,
    }
}
