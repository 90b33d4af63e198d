//! Payloads: several packets as one body of a polling request or its answer.
//!
//! The packets are separated by `\x1e`; a binary packet is `b` and base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::message::{DataFrame, Message};

/// The separator between packets.
pub(super) const SEPARATOR: char = '\x1e';

/// An upper bound of the length of `message` in a payload, in bytes.
pub(super) fn payload_bytes(message: &Message) -> usize {
    let lengths = message.data_frames().map(|frame| match frame {
        DataFrame::Text(text) => text.len() + 1,
        DataFrame::Binary(bytes) => bytes.len().div_ceil(3) * 4 + 2,
    });
    lengths.sum()
}

/// The body that carries `messages`.
pub(super) fn payload(messages: &[Message]) -> String {
    let mut body = String::with_capacity(messages.iter().map(payload_bytes).sum());
    for frame in messages.iter().flat_map(Message::data_frames) {
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        match frame {
            DataFrame::Text(text) => body.push_str(&String::from_utf8_lossy(text)),
            DataFrame::Binary(bytes) => {
                body.push('b');
                STANDARD.encode_string(bytes, &mut body);
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::Text;

    #[test]
    fn a_payload_holds_texts_and_bytes_in_order() {
        let mut buffer = Text::with_capacity(0);
        buffer.push_str("4hello");
        let messages = [
            Message::new(buffer, [Bytes::from_static(&[1, 2, 3, 4])]),
            Message::close(None, ""),
            Message::text("2"),
        ];
        let body = payload(&messages);
        assert_eq!(body, "4hello\x1ebAQIDBA==\x1e2");
        assert!(messages.iter().map(payload_bytes).sum::<usize>() >= body.len());
    }
}
