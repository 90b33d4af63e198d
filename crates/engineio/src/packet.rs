//! The packets of Engine.IO that have a meaning of their own.

use std::sync::LazyLock;

use super::message::{Message, Text};

/// The packet that closes.
pub(super) const CLOSE: &str = "1";
/// The packet that asks whether the peer is there.
pub(super) static PING: LazyLock<Message> = LazyLock::new(|| Message::text("2"));
/// The packet that says nothing: it only ends a poll.
pub(super) const NOOP: &str = "6";

/// A packet that a peer may send at any time.
pub(super) enum Packet<'a> {
    Close,
    Pong,
    Message(&'a str),
}

impl<'a> Packet<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'4' => Some(Packet::Message(&text[1..])),
            b'3' => Some(Packet::Pong),
            b'1' => Some(Packet::Close),
            _ => None,
        }
    }
}

/// The beginning of a message to an Engine.IO peer, with room for `capacity` bytes.
pub fn message_text(capacity: usize) -> Text {
    let mut text = Text::with_capacity(1 + capacity);
    text.push_str("4");
    text
}
