//! The server's side of the differential fuzz: rooms behind a pipe.
//!
//! A request is its length (u32, little endian like all numbers here), the
//! number of a room (u32), the kind of the request (one byte) and its argument; an answer
//! is its length and its content, in the order of the requests.
//!
//! | request | argument | answer |
//! |---|---|---|
//! | 0: forget the room | | |
//! | 1: take a turn | updates, each with its length (u32) in front | see below |
//! | 2: the document | | 1 and the update, or 0 and the error |
//! | 3: the document after a restart | | likewise |
//! | 4: the update for a client | its state vector | likewise |
//! | 5: restart | | 1, or 0 and the error |
//! | 6: compact the log and restart | | likewise |
//! | 7: make an edit | its client id (u64) and operations, as JSON | 1 and the update, or 0 and the error |
//! | 8: make the edit that returns to a state | its client id (u64) and the state | likewise |
//!
//! A turn answers for each update the first letter of its outcome
//! (`New`, `Pending`, `known`, `Refused`, `Broken`), the microseconds that it
//! took (u32) and a reason with its length (u32) in front; then the messages to the members,
//! each with its length (u32) in front.

mod room;

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use self::room::{Answer, Room};

/// As in the server, for recursion over a document.
const STACK_BYTES: usize = 256 << 20;

fn main() -> io::Result<()> {
    hide_caught_panics();
    let serving = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(serve)?;
    serving
        .join()
        .map_err(|_| io::Error::other("the replica panicked"))?
}

/// Silences the panics of yrs, which are caught and told as `Broken`. Any value of `FUZZ_PANICS`
/// has them printed.
#[expect(
    clippy::disallowed_methods,
    reason = "this is no part of the server, and has no settings"
)]
fn hide_caught_panics() {
    if std::env::var_os("FUZZ_PANICS").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
}

fn serve() -> io::Result<()> {
    let mut requests = BufReader::with_capacity(1 << 20, io::stdin());
    let mut answers = BufWriter::with_capacity(1 << 20, io::stdout());
    let mut rooms = HashMap::new();
    while !requests.fill_buf()?.is_empty() {
        let len = read_u32(&mut requests)?;
        let mut request = vec![0; len as usize];
        requests.read_exact(&mut request)?;
        let answer = answer(&mut rooms, &request)?;
        answers.write_all(&(answer.len() as u32).to_le_bytes())?;
        answers.write_all(&answer)?;
        if requests.buffer().is_empty() {
            answers.flush()?;
        }
    }
    Ok(())
}

fn answer(rooms: &mut HashMap<u32, Room>, mut request: &[u8]) -> io::Result<Vec<u8>> {
    let number = read_u32(&mut request)?;
    let mut kind = [0];
    request.read_exact(&mut kind)?;
    let room = rooms.entry(number).or_default();
    Ok(match kind[0] {
        0 => {
            rooms.remove(&number);
            Vec::new()
        }
        1 => turn(room, request)?,
        2 => outcome(room.diff(&[0])),
        3 => outcome(room.replayed().and_then(|room| room.diff(&[0]))),
        4 => outcome(room.diff(request)),
        5 => replace(room, Room::replayed),
        6 => replace(room, Room::compacted),
        7 => {
            let client = read_u64(&mut request)?;
            let operations = serde_json::from_slice::<Vec<_>>(request)?;
            outcome(room.edit(client, &operations))
        }
        8 => {
            let client = read_u64(&mut request)?;
            outcome(room.replace_with(client, request))
        }
        _ => return Err(io::Error::other("an unknown request")),
    })
}

fn turn(room: &mut Room, mut request: &[u8]) -> io::Result<Vec<u8>> {
    let mut updates = Vec::new();
    while !request.is_empty() {
        let len = read_u32(&mut request)? as usize;
        let (update, rest) = request
            .split_at_checked(len)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        updates.push(update);
        request = rest;
    }
    let (outcomes, messages) = room.turn(&updates);
    let mut answer = Vec::new();
    for outcome in outcomes {
        let (letter, reason) = match &outcome.answer {
            Answer::New => (b'N', ""),
            Answer::Pending => (b'P', ""),
            Answer::Nothing => (b'k', ""),
            Answer::Refused(reason) => (b'R', reason.as_str()),
            Answer::Broken => (b'B', ""),
        };
        answer.push(letter);
        answer.extend_from_slice(&(outcome.took.as_micros() as u32).to_le_bytes());
        write_bytes(&mut answer, reason.as_bytes());
    }
    messages
        .iter()
        .for_each(|update| write_bytes(&mut answer, update));
    Ok(answer)
}

fn replace(room: &mut Room, by: impl Fn(&Room) -> Result<Room, String>) -> Vec<u8> {
    let replaced = by(room).map(|new| {
        *room = new;
        Vec::new()
    });
    outcome(replaced)
}

fn outcome(outcome: Result<Vec<u8>, String>) -> Vec<u8> {
    match outcome {
        Ok(bytes) => [&[1], bytes.as_slice()].concat(),
        Err(error) => [&[0], error.as_bytes()].concat(),
    }
}

fn read_u32(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_u64(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn write_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    to.extend_from_slice(bytes);
}
