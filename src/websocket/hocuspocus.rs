//! The wire protocol of Hocuspocus: several documents on one connection. Each frame is one message
//! that begins with the address of its document; the kinds 0, 1 and 3 are those of
//! [y-websocket](super::protocol).
//!
//! An address is the name of the document, which a NUL and an id of the provider may follow. Providers
//! look for frames by the exact address, so it is kept as its client wrote it.

use document::{
    Malformed,
    lib0::{Reader, write_var, write_var_string},
};
use engineio::Message;

use super::protocol;

/// Kinds of messages, beside those of y-websocket.
const AUTH: u64 = 2;
const STATELESS: u64 = 5;
const BROADCAST_STATELESS: u64 = 6;
const CLOSE: u64 = 7;
const SYNC_STATUS: u8 = 8;
/// The answer to a ping, without an address. The server sends no such pings, since provider 3 does not
/// know them.
pub(super) const PONG: &[u8] = &[10];

/// Kinds of authentication messages.
const TOKEN: u8 = 0;
const DENIED: u8 = 1;
const AUTHENTICATED: u8 = 2;

/// A frame of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incoming<'a> {
    /// The address as it is in the frame, with its length.
    pub(super) address: &'a [u8],
    /// The name of the document in it.
    pub(super) name: &'a str,
    pub(super) body: Body<'a>,
}

/// What a frame says about its document. Its content was not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// A token, with which the client wants to open the document or to go on with it.
    Token(&'a str),
    /// What the client says to the others.
    Stateless(&'a str),
    /// The client closes the document.
    Close,
    /// A message as in y-websocket, and the rest of the frame.
    Message(protocol::Incoming<'a>),
    /// A message that only servers may send.
    Forbidden,
}

/// Whether a write of the client was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncStatus {
    Applied,
    NotApplied,
}

/// What an authenticated client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    ReadWrite,
    ReadOnly,
}

impl<'a> Incoming<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// If it has no address and no kind, or its content is not complete.
    pub(super) fn read(frame: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame);
        let whole = reader.var_string()?;
        let rest = reader.rest();
        let address = &frame[..frame.len() - rest.len()];
        let name = whole.split('\0').next().unwrap_or_default();
        let body = match reader.var(u64::MAX)? {
            AUTH if reader.var(u64::MAX)? == u64::from(TOKEN) => Body::Token(reader.var_string()?),
            STATELESS => Body::Stateless(reader.var_string()?),
            BROADCAST_STATELESS => Body::Forbidden,
            CLOSE => Body::Close,
            _ => Body::Message(protocol::Incoming::read(rest)?.0),
        };
        Ok(Self {
            address,
            name,
            body,
        })
    }
}

/// The document is open for the client.
pub(super) fn authenticated(address: &[u8], scope: Scope) -> Message {
    let scope = match scope {
        Scope::ReadWrite => "read-write",
        Scope::ReadOnly => "readonly",
    };
    text(address, &[AUTH as u8, AUTHENTICATED], scope)
}

/// The document is not open for the client, or not any more.
pub(super) fn denied(address: &[u8], reason: &str) -> Message {
    text(address, &[AUTH as u8, DENIED], reason)
}

/// What another client says.
pub(super) fn stateless(address: &[u8], payload: &[u8]) -> Message {
    let mut prefix = [address, &[STATELESS as u8]].concat();
    write_var(&mut prefix, payload.len() as u64);
    Message::binary([&prefix, payload].concat().into())
}

/// Asks the client to send a fresh token.
pub(super) fn token_please(address: &[u8]) -> Message {
    Message::binary([address, &[AUTH as u8, TOKEN]].concat().into())
}

/// Whether a write was applied: one for each.
pub(super) fn sync_status(address: &[u8], status: SyncStatus) -> Message {
    let status = match status {
        SyncStatus::Applied => 1,
        SyncStatus::NotApplied => 0,
    };
    Message::binary([address, &[SYNC_STATUS, status]].concat().into())
}

fn text(address: &[u8], kind: &[u8], text: &str) -> Message {
    let mut out = [address, kind].concat();
    write_var_string(&mut out, text);
    Message::binary(out.into())
}

/// The address of the document `name` without an id of a provider.
pub(super) fn address(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 2);
    write_var(&mut out, name.len() as u64);
    out.extend_from_slice(name.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use engineio::DataFrame;

    use super::*;

    fn hex(message: &Message) -> String {
        let frames: Vec<_> = message.data_frames().collect();
        let [DataFrame::Binary(bytes)] = frames[..] else {
            panic!("one binary frame");
        };
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn frames_are_those_of_the_reference() {
        let a = address("a");
        assert_eq!(
            hex(&authenticated(&a, Scope::ReadWrite)),
            "01 61 02 02 0a 72 65 61 64 2d 77 72 69 74 65"
        );
        assert_eq!(hex(&protocol::step_1(&a, &[0])), "01 61 00 00 01 00");
        let nothing = Bytes::from_static(protocol::NOTHING);
        assert_eq!(hex(&protocol::step_2(&a, nothing)), "01 61 00 01 02 00 00");
        assert_eq!(hex(&sync_status(&a, SyncStatus::Applied)), "01 61 08 01");
        assert_eq!(hex(&sync_status(&a, SyncStatus::NotApplied)), "01 61 08 00");
        assert_eq!(hex(&token_please(&a)), "01 61 02 00");
        assert_eq!(hex(&denied(&a, "no")), "01 61 02 01 02 6e 6f");
    }

    #[test]
    fn a_frame_has_an_address_and_a_message() {
        let read = |frame: &'static [u8]| Incoming::read(frame).expect("a frame");
        let token = read(b"\x01a\x02\x00\x02to\x054.8.0");
        assert_eq!((token.address, token.name), (&b"\x01a"[..], "a"));
        assert_eq!(token.body, Body::Token("to"));
        let session = read(b"\x03a\0x\x00\x00\x01\x00");
        assert_eq!((session.address, session.name), (&b"\x03a\0x"[..], "a"));
        let step = protocol::Incoming::Step1(&[0]);
        assert_eq!(session.body, Body::Message(step));
        assert_eq!(read(b"\x01a\x07").body, Body::Close);
        assert_eq!(read(b"\x01a\x06\x01x").body, Body::Forbidden);
        assert_eq!(read(b"\x01a\x05\x01x").body, Body::Stateless("x"));
        let unknown = protocol::Incoming::Unknown(b"\x0b\x01x");
        assert_eq!(read(b"\x01a\x0b\x01x").body, Body::Message(unknown));
        for bad in [
            &b""[..],
            b"\x01",
            b"\x01a",
            b"\x02a\x00",
            b"\x01a\x02\x00\x09to",
            b"\x01a\x05\x09x",
            b"\x01\xff\x07",
        ] {
            assert!(Incoming::read(bad).is_err(), "{bad:?}");
        }
    }
}
