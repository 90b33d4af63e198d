//! Socket.IO protocol 5: packets as text and binary attachments.
//!
//! Decoding borrows from the received frame and copies only names with escapes; payloads stay
//! raw JSON until a request reads their fields. Sources: the Socket.IO protocol specification,
//! revision 5, and the packets of socket.io-client 4.8.

use std::{borrow::Cow, fmt::Arguments, io::Write};

use bytes::Bytes;
use document::Visibility;
use engineio::Message;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use utoipa::ToSchema;

use crate::{id::Seq, room::Acked};

/// The most binary attachments that the packet of a request may have.
pub const ATTACHMENTS_MAX: usize = 4;

/// The most attachments of a packet that is answered with an error, instead of closing the
/// connection. Those beyond [`ATTACHMENTS_MAX`] are dropped when they arrive.
pub(super) const ATTACHMENTS_ANSWERED_MAX: usize = 64;

/// The initial capacity for a text with a payload, and for one without. Most texts fit.
const TEXT_BYTES: usize = 160;
const SHORT_TEXT_BYTES: usize = 48;

/// The binary attachments of one packet; most packets have one or none.
pub type Attachments = SmallVec<[Bytes; 1]>;

/// A packet from a client, without its attachments.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The kind of the packet.
    pub kind: Kind,
    /// The namespace; `/` if the packet names none.
    pub namespace: &'a str,
    /// The number that the ack has to carry; `None` if the sender expects no ack.
    pub ack: Option<u64>,
    /// How many binary frames follow.
    pub attachments: usize,
    /// The JSON behind the header; empty if there is none.
    pub json: &'a str,
}

/// The kinds of packet that a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks to join a namespace.
    Connect,
    /// Leaves the namespace.
    Disconnect,
    /// An event, with or without attachments.
    Event,
    /// An answer to an event of the server.
    Ack,
}

/// The frame is not a valid Socket.IO packet, so that the frames behind it cannot be assigned to
/// packets with certainty. The connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPacket;

impl<'a> Packet<'a> {
    /// Reads the header of `text`.
    ///
    /// # Errors
    /// [`NotAPacket`] for an invalid header, and for more than 64 attachments.
    pub fn parse(text: &'a str) -> Result<Self, NotAPacket> {
        let (kind, binary) = match text.as_bytes().first() {
            Some(b'0') => (Kind::Connect, false),
            Some(b'1') => (Kind::Disconnect, false),
            Some(b'2') => (Kind::Event, false),
            Some(b'3') => (Kind::Ack, false),
            Some(b'5') => (Kind::Event, true),
            Some(b'6') => (Kind::Ack, true),
            _ => return Err(NotAPacket),
        };
        let mut rest = &text[1..];
        let mut attachments = 0;
        if binary {
            let (count, tail) = number(rest).ok_or(NotAPacket)?;
            rest = tail.strip_prefix('-').ok_or(NotAPacket)?;
            attachments = usize::try_from(count).map_err(|_| NotAPacket)?;
            if attachments > ATTACHMENTS_ANSWERED_MAX {
                return Err(NotAPacket);
            }
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
        }
        let mut ack = None;
        if let Some((id, tail)) = number(rest) {
            (ack, rest) = (Some(id), tail);
        }
        Ok(Self {
            kind,
            namespace,
            ack,
            attachments,
            json: rest,
        })
    }
}

/// The number at the start of `text`, if any, and the rest. At most 15 digits are read, so that
/// the number fits.
fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take(15).take_while(u8::is_ascii_digit).count();
    let value = text[..digits].parse().ok()?;
    Some((value, &text[digits..]))
}

/// The name and the only argument of an event packet.
#[derive(Debug)]
pub struct EventBody<'a> {
    /// The event's name.
    pub name: Cow<'a, str>,
    /// Its first argument; further ones are ignored.
    pub argument: Option<&'a RawValue>,
}

impl<'a> EventBody<'a> {
    /// Reads `["name", argument…]`.
    ///
    /// # Errors
    /// [`NotAPacket`] if it is not such an array.
    pub fn parse(json: &'a str) -> Result<Self, NotAPacket> {
        serde_json::from_str(json).map_err(|_| NotAPacket)
    }
}

impl<'de> Deserialize<'de> for EventBody<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Body;
        impl<'de> Visitor<'de> for Body {
            type Value = EventBody<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array that starts with the event's name")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let Text(name) = seq
                    .next_element()?
                    .ok_or_else(|| serde::de::Error::missing_field("name"))?;
                let argument = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(EventBody { name, argument })
            }
        }
        deserializer.deserialize_seq(Body)
    }
}

/// Text that is borrowed if it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The index of a binary attachment, in the place of its bytes within JSON.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(as = Bytes, value_type = String, content_media_type = "application/octet-stream")]
pub struct Placeholder(pub usize);

impl Serialize for Placeholder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("_placeholder", &true)?;
        map.serialize_entry("num", &self.0)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Placeholder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            _placeholder: bool,
            num: usize,
        }
        let fields = Fields::deserialize(deserializer)?;
        Ok(Placeholder(fields.num))
    }
}

/// Encodes packets to clients, each once for any number of sockets.
pub struct Frame;

impl Frame {
    /// An event with one argument, `payload`, whose [`Placeholder`]s are indices into `attachments`.
    pub fn event(name: &str, payload: &impl Serialize, attachments: Attachments) -> Message {
        let mut text = engineio::message_text(TEXT_BYTES);
        match attachments.len() {
            0 => text.push_str("2"),
            count => write(&mut text, format_args!("5{count}-")),
        }
        write(&mut text, format_args!("[\"{name}\","));
        write_json(&mut text, payload);
        text.push_str("]");
        Message::new(text, attachments)
    }

    /// The ack of the request that carried the number `ack`.
    pub fn ack(ack: u64, payload: &impl Serialize, attachments: Attachments) -> Message {
        let mut text = engineio::message_text(TEXT_BYTES);
        match attachments.len() {
            0 => write(&mut text, format_args!("3{ack}[")),
            count => write(&mut text, format_args!("6{count}-{ack}[")),
        }
        write_json(&mut text, payload);
        text.push_str("]");
        Message::new(text, attachments)
    }

    /// The ack of an update that is durable. It is written without serde, because it is sent for
    /// every update of every client.
    pub fn accepted(ack: u64, Acked { seq, visibility }: Acked) -> Message {
        let Seq(seq) = seq;
        let pending = match visibility {
            Visibility::Visible => "",
            Visibility::Pending => ",\"pending\":true",
        };
        Self::plain(format_args!(
            "3{ack}[{{\"ok\":true,\"seq\":{seq}{pending}}}]"
        ))
    }

    /// Accepts a connection to the default namespace.
    pub fn connected(session: &str) -> Message {
        Self::plain(format_args!("0{{\"sid\":\"{session}\"}}"))
    }

    /// Refuses a connection to `namespace` with an error code as its message.
    pub fn refused(namespace: &str, code: &str) -> Message {
        match namespace {
            "/" => Self::plain(format_args!("4{{\"message\":\"{code}\"}}")),
            _ => Self::plain(format_args!("4{namespace},{{\"message\":\"{code}\"}}")),
        }
    }

    /// Disconnects the client from the default namespace; it does not reconnect by itself.
    pub fn disconnected() -> Message {
        Self::plain(format_args!("1"))
    }

    fn plain(text: Arguments<'_>) -> Message {
        let mut buffer = engineio::message_text(SHORT_TEXT_BYTES);
        write(&mut buffer, text);
        Message::new(buffer, [])
    }
}

pub(super) fn write(text: &mut engineio::Text, more: Arguments<'_>) {
    text.write_fmt(more)
        .expect("writing to memory does not fail");
}

pub(super) fn write_json(text: &mut engineio::Text, payload: &impl Serialize) {
    serde_json::to_writer(text, payload)
        .expect("payloads have text keys, and their parts do not fail");
}

#[cfg(test)]
#[path = "packet/reference.rs"]
mod reference;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

        #[test]
        fn texts_are_read_as_the_specification_defines_them(
            text in r#"[0-9]?[0-9]{0,3}-?(/[a-z?=é]{0,4},?)?[0-9]{0,17}(\[("[a-z\\\\"é]{0,6}"|[0-9]{1,3}|\{\}|,|\[){0,5}\]?)?"#,
        ) {
            reference::compare(&text);
        }
    }

    fn parsed(text: &str) -> (Kind, &str, Option<u64>, usize, &str) {
        let p = Packet::parse(text).expect(text);
        (p.kind, p.namespace, p.ack, p.attachments, p.json)
    }

    #[test]
    fn headers_are_parsed_as_the_specification_defines_them() {
        assert_eq!(parsed("0"), (Kind::Connect, "/", None, 0, ""));
        assert_eq!(
            parsed(r#"0/a,{"b":1}"#),
            (Kind::Connect, "/a", None, 0, r#"{"b":1}"#)
        );
        assert_eq!(parsed(r#"2["x"]"#), (Kind::Event, "/", None, 0, r#"["x"]"#));
        assert_eq!(
            parsed(r#"212["x"]"#),
            (Kind::Event, "/", Some(12), 0, r#"["x"]"#)
        );
        assert_eq!(
            parsed(r#"51-/a,7["x",1]"#),
            (Kind::Event, "/a", Some(7), 1, r#"["x",1]"#)
        );
        assert_eq!(parsed("1/a"), (Kind::Disconnect, "/a", None, 0, ""));
    }

    #[test]
    fn invalid_headers_are_refused() {
        for bad in [
            "",
            "9",
            "x",
            "5",
            "5[",
            "51",
            "565-[]",
            "5999999999999999999-[]",
            "é",
        ] {
            assert_eq!(Packet::parse(bad), Err(NotAPacket), "{bad:?}");
        }
    }

    #[test]
    fn an_event_without_a_name_is_refused() {
        let body = EventBody::parse(r#"["a\u0062",{"room":"r"},1]"#).expect("an event");
        assert_eq!(body.name, "ab");
        assert_eq!(body.argument.map(RawValue::get), Some(r#"{"room":"r"}"#));
        assert!(
            EventBody::parse(r#"["a"]"#)
                .expect("an event")
                .argument
                .is_none()
        );
        for bad in ["[]", "{}", "[1]", "", "[\"a\"", "null"] {
            assert!(EventBody::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn packets_are_encoded_as_clients_expect_them() {
        let text = |message: Message| match message.data_frames().next() {
            Some(engineio::DataFrame::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("{other:?} is not text"),
        };
        assert_eq!(
            text(Frame::event("a", &1, Attachments::new())),
            r#"42["a",1]"#
        );
        let attachments: Attachments = [Bytes::from_static(b"x")].into_iter().collect();
        assert_eq!(
            text(Frame::ack(3, &Placeholder(0), attachments)),
            r#"461-3[{"_placeholder":true,"num":0}]"#
        );
        assert_eq!(
            text(Frame::refused("/", "forbidden")),
            r#"44{"message":"forbidden"}"#
        );
    }
}
