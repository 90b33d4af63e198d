//! A second reading of the packets of Socket.IO, to compare the first one with: by the specification alone, without
//! care for speed. The fuzz target `packets` uses it as well.

use super::{ATTACHMENTS_MAX, EventBody, Kind, Packet};

/// The digits at the start of `text`, and the rest. No more than 15 are a number, which JavaScript reads exactly.
fn digits(text: &str) -> (&str, &str) {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(count.min(15))
}

/// `<type>[<attachments>-][<namespace>,][<ack>][JSON]`.
fn read(text: &str) -> Option<(Kind, usize, &str, Option<u64>, &str)> {
    let mut characters = text.chars();
    let (kind, binary) = match characters.next()? {
        '0' => (Kind::Connect, false),
        '1' => (Kind::Disconnect, false),
        '2' => (Kind::Event, false),
        '3' => (Kind::Ack, false),
        '5' => (Kind::Event, true),
        '6' => (Kind::Ack, true),
        _ => return None,
    };
    let (mut rest, mut attachments) = (characters.as_str(), 0);
    if binary {
        let (count, tail) = digits(rest);
        attachments = count.parse().ok()?;
        rest = tail.strip_prefix('-')?;
        if attachments > ATTACHMENTS_MAX {
            return None;
        }
    }
    let mut namespace = "/";
    if rest.starts_with('/') {
        (namespace, rest) = match rest.find(',') {
            Some(comma) => (&rest[..comma], &rest[comma + 1..]),
            None => (rest, ""),
        };
    }
    let (ack, json) = digits(rest);
    Some((kind, attachments, namespace, ack.parse().ok(), json))
}

/// Reads `text` both ways.
pub(crate) fn compare(text: &str) {
    let packet = Packet::parse(text).ok();
    let seen = packet
        .as_ref()
        .map(|it| (it.kind, it.attachments, it.namespace, it.ack, it.json));
    assert_eq!(seen, read(text), "{text:?}");
    let Some(packet) = packet else { return };
    let body = EventBody::parse(packet.json).ok();
    // Numbers stay texts, since one that is too large for Rust is none for JavaScript.
    let Ok(array) = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(packet.json) else {
        assert!(body.is_none(), "{text:?} has no array");
        return;
    };
    let name = array
        .first()
        .and_then(|name| serde_json::from_str::<String>(name.get()).ok());
    let argument = array.get(1).map(|argument| argument.get());
    let read = body.map(|body| (body.name.into_owned(), body.argument.map(|it| it.get())));
    assert_eq!(read, name.map(|name| (name, argument)), "{text:?}");
}
