//! The messages of the stock Yjs clients that use a plain WebSocket: y-websocket and Hocuspocus.
//!
//! A message is one frame: a number for its kind, and its content in the encoding of lib0. In Hocuspocus the address of the document
//! stands before that, in y-websocket it is empty. Source: y-protocols 1.0.7, y-websocket 3.1.0, @hocuspocus/provider 4.8.0.

use anyhow::{Result, bail};
use bytes::Bytes;
use document::lib0::{Reader, SAFE_INTEGER_MAX as MAX, write_var, write_var_string};
use tokio_tungstenite::tungstenite::Message;

use crate::wire::{Answer, Incoming, Kind};

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTHENTICATION: u64 = 2;
const SYNC_STATUS: u64 = 8;

const STEP_1: u64 = 0;
const STEP_2: u64 = 1;
const UPDATE: u64 = 2;

const TOKEN: u64 = 0;
const AUTHENTICATED: u64 = 2;

/// An update without content.
pub const NOTHING: &[u8] = &[0, 0];

/// The answer to a step 1 as the answer to a request of Socket.IO.
pub const ANSWER: &str = r#"[{"ok":true,"update":{"_placeholder":true,"num":0}}]"#;

/// The address of a document of Hocuspocus.
pub fn address(room: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_var_string(&mut out, room);
    out
}

/// Shows `token` for the document at `address`.
pub fn token(address: &[u8], token: &str) -> Message {
    let mut out = address.to_vec();
    write_var(&mut out, AUTHENTICATION);
    write_var(&mut out, TOKEN);
    write_var_string(&mut out, token);
    Message::Binary(out.into())
}

/// Asks for what the client lacks, who has `state_vector`.
pub fn step_1(address: &[u8], state_vector: &[u8]) -> Message {
    framed(address, &[SYNC, STEP_1], state_vector)
}

/// The answer to a step 1 of the server.
pub fn step_2(address: &[u8], update: &[u8]) -> Message {
    framed(address, &[SYNC, STEP_2], update)
}

/// Yjs bytes of `kind`.
pub fn data(address: &[u8], kind: Kind, bytes: &[u8]) -> Message {
    match kind {
        Kind::Update => framed(address, &[SYNC, UPDATE], bytes),
        Kind::Cursor => framed(address, &[AWARENESS], bytes),
    }
}

fn framed(address: &[u8], kinds: &[u64], content: &[u8]) -> Message {
    let mut out = Vec::with_capacity(address.len() + content.len() + 8);
    out.extend_from_slice(address);
    kinds.iter().for_each(|kind| write_var(&mut out, *kind));
    write_var(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    Message::Binary(out.into())
}

/// Reads a message of the server that begins behind an address of this length; `None` if it means nothing to the benchmark.
pub fn read(frame: &Bytes, address_bytes: usize) -> Result<Option<Incoming>> {
    let mut reader = Reader::new(frame.get(address_bytes..).unwrap_or_default());
    let kind = reader.var(MAX)?;
    let kinds = match kind {
        SYNC | AUTHENTICATION | SYNC_STATUS => (kind, reader.var(MAX)?),
        _ => (kind, 0),
    };
    Ok(Some(match kinds {
        (SYNC, STEP_1) => Incoming::Question(0),
        (SYNC, STEP_2) => Incoming::Answer(Answer {
            id: 0,
            json: ANSWER.to_owned(),
            attachments: vec![frame.slice_ref(reader.var_bytes()?)],
        }),
        (SYNC, UPDATE) => Incoming::Data(Kind::Update, frame.slice_ref(reader.var_bytes()?)),
        (AWARENESS, _) => Incoming::Data(Kind::Cursor, frame.slice_ref(reader.var_bytes()?)),
        (AUTHENTICATION, AUTHENTICATED) => Incoming::Connected,
        (SYNC_STATUS, 1) => Incoming::Saved,
        (SYNC_STATUS, _) => bail!("a write was not applied"),
        (AUTHENTICATION, _) => Incoming::Refused(format!("{frame:?}")),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_behind_their_address() {
        for address in [Vec::new(), address("a room")] {
            for kind in [Kind::Update, Kind::Cursor] {
                let Message::Binary(frame) = data(&address, kind, b"yjs") else {
                    panic!("it is binary");
                };
                let read = read(&frame, address.len()).unwrap();
                assert_eq!(read, Some(Incoming::Data(kind, Bytes::from_static(b"yjs"))));
            }
        }
    }

    #[test]
    fn the_frames_of_a_server_of_hocuspocus_are_known() {
        // As @hocuspocus/server 4.7.0 sends them.
        let frame = |bytes: &'static [u8]| read(&Bytes::from_static(bytes), 2).unwrap();
        assert_eq!(
            frame(b"\x01a\x02\x02\x0aread-write"),
            Some(Incoming::Connected)
        );
        assert_eq!(frame(b"\x01a\x00\x00\x01\x00"), Some(Incoming::Question(0)));
        let answer = frame(b"\x01a\x00\x01\x02\x00\x00");
        let Some(Incoming::Answer(answer)) = answer else {
            panic!("no answer: {answer:?}");
        };
        assert!(answer.ok());
        assert_eq!(answer.field("update").unwrap().unwrap(), NOTHING);
        assert_eq!(frame(b"\x01a\x08\x01"), Some(Incoming::Saved));
        assert!(read(&Bytes::from_static(b"\x01a\x08\x00"), 2).is_err());
    }
}
