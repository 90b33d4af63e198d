//! Handles one message of a client: charges it to the budget, checks the rights, and puts it into
//! the room's inbox. Nothing here waits.

use bytes::Bytes;
use document::{
    StateVector,
    awareness::{self, Entry},
    lib0::Reader,
};
use engineio::Message;

use super::{
    client::{Client, request, ticket},
    protocol::{self, Incoming},
};
use crate::{
    auth::Right,
    error::{Error, Result},
    id::Timestamp,
    room::{Command, Standing, Update},
};

/// The place of the message with which a stock client that has connected shows its own state: behind
/// the one that asks for what it lacks, and before it can have received anything.
const GREETING: usize = 1;

/// Handles the first message in `frame`, which has this `place` among all of the connection, and returns
/// its length. Messages after the end of the session are ignored.
///
/// # Errors
/// [`Error::RateLimited`]: nothing was done, and the message is to be handled again later. Every other
/// error ends the connection.
pub(super) fn receive(client: &Client, frame: &Bytes, place: usize) -> Result<usize> {
    let (message, length) = Incoming::read(frame).map_err(|_| malformed("is not complete"))?;
    if client.session.has_ended() {
        return Ok(length);
    }
    let budget = &client.session.budget;
    match message {
        Incoming::Step1(state_vector) => {
            budget.admit_join(length)?;
            step_1(client, state_vector)?;
        }
        Incoming::Step2(bytes) => {
            budget.admit_update(length)?;
            // The client sends what the server lacks, which may be edits of other people: it was asked for that.
            let standing = match client.take_answer() {
                true => Standing::Reply,
                false => Standing::Member,
            };
            update(client, frame.slice_ref(bytes), standing)?;
        }
        Incoming::Update(bytes) => {
            budget.admit_update(length)?;
            update(client, frame.slice_ref(bytes), Standing::Member)?;
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
        Incoming::Echo(whole) => {
            budget.admit_request(length)?;
            client.try_send(Message::binary(frame.slice_ref(whole)));
        }
        Incoming::Unknown(_) => budget.admit_request(length)?,
    }
    client.session.seen(Timestamp::now());
    Ok(length)
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

/// An update. That of a client who may not edit is dropped: stock clients send what their copy has, and
/// would not come back if the connection were closed. The protocol could say that permission is denied, but
/// stock clients then write their address to the console, and it may hold the token.
fn update(client: &Client, bytes: Bytes, standing: Standing) -> Result<()> {
    if *bytes == *protocol::NOTHING {
        return Ok(());
    }
    if !client.session.rights_in(&client.room).allows(Right::Edit) {
        return Ok(());
    }
    client.shared.sessions.check_open()?;
    let limit = client.shared.limits.update_bytes_max;
    if bytes.len() > limit {
        return Err(Error::TooLarge { limit });
    }
    let checked = document::validate(&bytes).map_err(|_| malformed("has no Yjs update"))?;
    client.join(None)?;
    let (Some(room), Some(peer)) = (client.joined(), client.peer()) else {
        return Ok(());
    };
    room.send(Command::Update(Box::new(Update {
        peer,
        ticket: ticket(request::UPDATE),
        bytes,
        checked,
        standing,
    })))
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
        [own] if place == GREETING => renewal(own),
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
    }
    Ok(())
}

/// A message after which a stock client shows its `own` state anew, with the next clock: that the state is
/// gone, which it does not accept of its own. Whoever saw it leave, as everybody does when it connects
/// again, ignores its state with the clock that it had then, and would see it only when it is renewed.
fn renewal(own: &Entry) -> Option<Message> {
    own.state.as_ref()?;
    let gone = Entry {
        state: None,
        ..own.clone()
    };
    Some(protocol::awareness(awareness::encode(&[gone]).into()))
}

fn malformed(reason: &'static str) -> Error {
    Error::Invalid {
        field: "message",
        reason,
    }
}
