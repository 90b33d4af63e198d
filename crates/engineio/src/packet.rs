//! Engine.IO packets: those that this side sends, and those that a peer sends.

use std::sync::LazyLock;

use super::message::{Message, Text};

/// The packet that closes a connection.
pub(super) const CLOSE: &str = "1";
/// The packet that the peer has to answer with a pong.
pub(super) static PING: LazyLock<Message> = LazyLock::new(|| Message::text("2"));
/// The packet without a meaning: it is the body of a poll that ends without a message.
pub(super) const NOOP: &str = "6";

/// A packet that a peer may send at any time.
pub(super) enum Packet<'a> {
    Close,
    Pong,
    /// A text message.
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

/// A text that begins as a message packet of Engine.IO, with room for `capacity` more bytes.
pub fn message_text(capacity: usize) -> Text {
    let mut text = Text::with_capacity(1 + capacity);
    text.push_str("4");
    text
}
