//! An outgoing message: encoded once, sent to any number of connections.
//!
//! It holds its WebSocket frames in their wire form. Headers and small payloads are
//! in one buffer; a large payload is not copied but written from its own buffer.
//! Sending a message to one more connection increments a reference count.

use std::{io, sync::Arc};

use bytes::Bytes;
use smallvec::SmallVec;

use super::frame::{
    CONTROL_BYTES_MAX, Opcode, SERVER_HEADER_MAX, read_server_header, server_header,
};

/// Payloads up to this size are copied behind their header; larger ones never are.
const COPIED_BYTES_MAX: usize = 4096;

/// A buffer for the text of a message. The bytes written to it have to be UTF-8.
pub struct Text {
    /// Begins with room for the frame's header.
    bytes: Vec<u8>,
}

impl Text {
    /// An empty text with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(SERVER_HEADER_MAX + capacity);
        bytes.extend_from_slice(&[0; SERVER_HEADER_MAX]);
        Self { bytes }
    }

    /// Appends `text`.
    pub fn push_str(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A text frame with the binary frames that follow it, or a control frame. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Message(Arc<Encoded>);

#[derive(Debug)]
struct Encoded {
    /// The frames from `start` on, without the payloads in `large`.
    small: Vec<u8>,
    start: usize,
    /// Large payloads, each with the position in `small` at which it belongs.
    large: SmallVec<[(usize, Bytes); 1]>,
    wire_bytes: usize,
}

/// A piece of a message's wire form.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// Small enough to be copied.
    Small(&'a [u8]),
    /// Written from its own buffer.
    Large(&'a Bytes),
}

impl Piece<'_> {
    /// The bytes of the piece.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Piece::Small(bytes) => bytes,
            Piece::Large(bytes) => bytes,
        }
    }
}

/// One of the WebSocket data frames of a [`Message`]. It is a whole WebSocket message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFrame<'a> {
    /// A text frame.
    Text(&'a [u8]),
    /// A binary frame.
    Binary(&'a [u8]),
}

impl Message {
    /// `text`, followed by each of `attachments` as a binary frame.
    pub fn new(text: Text, attachments: impl IntoIterator<Item = Bytes>) -> Self {
        let mut small = text.bytes;
        let length = small.len() - SERVER_HEADER_MAX;
        let (header, used) = server_header(Opcode::Text, length);
        let start = SERVER_HEADER_MAX - used;
        small[start..SERVER_HEADER_MAX].copy_from_slice(&header[..used]);
        let mut large = SmallVec::new();
        for bytes in attachments {
            push(&mut small, &mut large, Opcode::Binary, bytes);
        }
        Self::encoded(small, start, large)
    }

    /// A text message.
    pub fn text(text: &str) -> Self {
        let mut buffer = Text::with_capacity(text.len());
        buffer.push_str(text);
        Self::new(buffer, [])
    }

    /// A binary message.
    pub fn binary(bytes: Bytes) -> Self {
        let (mut small, mut large) = (Vec::new(), SmallVec::new());
        push(&mut small, &mut large, Opcode::Binary, bytes);
        Self::encoded(small, 0, large)
    }

    /// A binary message of `prefix` and `bytes`, one behind the other. The bytes are shared with all
    /// other messages of them, as those of [`binary`](Self::binary) are. It cannot be polled: only a
    /// WebSocket carries it, and [`data_frames`](Self::data_frames) does not show its bytes in one
    /// piece.
    pub fn prefixed(prefix: &[u8], bytes: Bytes) -> Self {
        let (header, used) = server_header(Opcode::Binary, prefix.len() + bytes.len());
        let copied = match bytes.len() <= COPIED_BYTES_MAX {
            true => bytes.len(),
            false => 0,
        };
        let mut small = Vec::with_capacity(used + prefix.len() + copied);
        small.extend_from_slice(&header[..used]);
        small.extend_from_slice(prefix);
        let mut large = SmallVec::new();
        match copied == bytes.len() {
            true => small.extend_from_slice(&bytes),
            false => large.push((small.len(), bytes)),
        }
        Self::encoded(small, 0, large)
    }

    /// A ping without content. The peer answers it when it has read everything before it.
    pub fn ping() -> Self {
        Self::control(Opcode::Ping, &[])
    }

    /// The answer to a ping.
    pub(super) fn pong(payload: &[u8]) -> Self {
        let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
        Self::control(Opcode::Pong, payload)
    }

    /// The close frame, which is the last of a connection. A `reason` that is too long is left out.
    pub(super) fn close(code: Option<u16>, reason: &str) -> Self {
        let Some(code) = code else {
            return Self::control(Opcode::Close, &[]);
        };
        let code = code.to_be_bytes();
        match code.len() + reason.len() <= CONTROL_BYTES_MAX {
            true => Self::control(Opcode::Close, &[&code, reason.as_bytes()].concat()),
            false => Self::control(Opcode::Close, &code),
        }
    }

    fn control(opcode: Opcode, payload: &[u8]) -> Self {
        let (header, used) = server_header(opcode, payload.len());
        let small = [&header[..used], payload].concat();
        Self::encoded(small, 0, SmallVec::new())
    }

    fn encoded(small: Vec<u8>, start: usize, large: SmallVec<[(usize, Bytes); 1]>) -> Self {
        let payloads: usize = large.iter().map(|(_, bytes)| bytes.len()).sum();
        let wire_bytes = small.len() - start + payloads;
        Self(Arc::new(Encoded {
            small,
            start,
            large,
            wire_bytes,
        }))
    }

    /// Its length on the wire, in bytes.
    pub fn wire_bytes(&self) -> usize {
        self.0.wire_bytes
    }

    /// A number that it shares with its clones only, as long as one of them exists.
    pub(super) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// The pieces of its wire form, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let Encoded {
            small,
            start,
            large,
            ..
        } = &*self.0;
        let begins = std::iter::once(*start).chain(large.iter().map(|(at, _)| *at));
        let ends = large.iter().map(|(at, _)| *at);
        begins
            .zip(ends.chain([small.len()]))
            .map(|(begin, end)| Piece::Small(&small[begin..end]))
            .zip(
                large
                    .iter()
                    .map(|(_, bytes)| Some(Piece::Large(bytes)))
                    .chain([None]),
            )
            .flat_map(|(small, large)| std::iter::once(small).chain(large))
    }

    /// Its data frames, in order. A control frame has none.
    pub fn data_frames(&self) -> impl Iterator<Item = DataFrame<'_>> {
        let Encoded {
            small,
            start,
            large,
            ..
        } = &*self.0;
        let mut at = *start;
        let mut large = large.iter().peekable();
        let frames = std::iter::from_fn(move || {
            let (opcode, length, header) = read_server_header(small.get(at..)?)?;
            at += header;
            let payload = match large.next_if(|(place, _)| *place == at) {
                Some((_, bytes)) => bytes,
                None => {
                    at += length;
                    small.get(at - length..at)?
                }
            };
            Some((opcode, payload))
        });
        frames.filter_map(|(opcode, payload)| match opcode {
            Opcode::Text => Some(DataFrame::Text(payload)),
            Opcode::Binary => Some(DataFrame::Binary(payload)),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => None,
        })
    }
}

fn push(
    small: &mut Vec<u8>,
    large: &mut SmallVec<[(usize, Bytes); 1]>,
    opcode: Opcode,
    bytes: Bytes,
) {
    let (header, used) = server_header(opcode, bytes.len());
    small.extend_from_slice(&header[..used]);
    if bytes.len() <= COPIED_BYTES_MAX {
        small.extend_from_slice(&bytes);
    } else {
        large.push((small.len(), bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(message: &Message) -> Vec<u8> {
        let pieces = message.pieces().map(|piece| match piece {
            Piece::Small(bytes) => bytes.to_vec(),
            Piece::Large(bytes) => bytes.to_vec(),
        });
        pieces.collect::<Vec<_>>().concat()
    }

    fn text(text: &str) -> Text {
        let mut buffer = Text::with_capacity(0);
        buffer.push_str(text);
        buffer
    }

    #[test]
    fn a_text_and_its_attachments_are_frames_in_a_row() {
        let bytes = ["one", "two"].map(|text| Bytes::from_static(text.as_bytes()));
        let message = Message::new(text("4hello"), bytes);
        let expected = b"\x81\x064hello\x82\x03one\x82\x03two";
        assert_eq!(wire(&message), expected);
        assert_eq!(message.wire_bytes(), expected.len());
    }

    #[test]
    fn large_payloads_are_not_copied_and_keep_their_order() {
        let large = Bytes::from(vec![7; COPIED_BYTES_MAX + 1]);
        let small = Bytes::from_static(b"small");
        let attachments = [small.clone(), large.clone(), small.clone(), large.clone()];
        let message = Message::new(text(&"t".repeat(70_000)), attachments);
        let by_reference = message.pieces().filter(|piece| match piece {
            Piece::Large(bytes) => bytes.as_ptr() == large.as_ptr(),
            Piece::Small(_) => false,
        });
        assert_eq!(by_reference.count(), 2);
        let copied = Message::new(text(&"t".repeat(70_000)), []);
        assert!(wire(&message).starts_with(&wire(&copied)));
        assert_eq!(wire(&message).len(), message.wire_bytes());
        let frames: Vec<_> = message.data_frames().collect();
        let binary = |bytes| DataFrame::Binary(bytes);
        assert_eq!(
            frames[1..],
            [&small, &large, &small, &large].map(|bytes| binary(bytes))
        );
        assert!(matches!(frames[0], DataFrame::Text(text) if text.len() == 70_000));
    }

    #[test]
    fn an_empty_attachment_is_a_frame_too() {
        let message = Message::new(text("x"), [Bytes::new()]);
        assert_eq!(wire(&message), b"\x81\x01x\x82\x00");
        assert_eq!(message.data_frames().count(), 2);
        assert_eq!(Message::binary(Bytes::new()).data_frames().count(), 1);
    }

    #[test]
    fn control_frames_are_no_data_frames() {
        assert_eq!(wire(&Message::close(Some(1001), "")), b"\x88\x02\x03\xE9");
        assert_eq!(
            wire(&Message::close(Some(4401), "no")),
            b"\x88\x04\x11\x31no"
        );
        let too_long = "x".repeat(CONTROL_BYTES_MAX);
        assert_eq!(wire(&Message::close(Some(1001), &too_long)).len(), 4);
        assert_eq!(wire(&Message::pong(b"hi")), b"\x8A\x02hi");
        assert_eq!(wire(&Message::ping()), b"\x89\x00");
        assert_eq!(Message::close(None, "").data_frames().count(), 0);
    }

    #[test]
    fn a_prefix_and_the_bytes_behind_it_are_one_frame() {
        let small = Message::prefixed(b"ab", Bytes::from_static(b"cd"));
        assert_eq!(wire(&small), b"\x82\x04abcd");
        assert_eq!(small.data_frames().count(), 1);
        let bytes = Bytes::from(vec![7; COPIED_BYTES_MAX + 1]);
        let large = Message::prefixed(b"ab", bytes.clone());
        let expected = [b"\x82\x7E\x10\x03ab", bytes.as_ref()].concat();
        assert_eq!(wire(&large), expected);
        assert_eq!(large.wire_bytes(), expected.len());
        let shares = |piece: Piece<'_>| piece.as_bytes().as_ptr() == bytes.as_ptr();
        assert!(large.pieces().any(shares), "the bytes are not copied");
        assert_eq!(large.data_frames().count(), 0);
    }
}
