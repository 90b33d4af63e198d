//! The messages of the WebSocket: Socket.IO 5 in Engine.IO 4, and the bare framing of the relay
//! that uses neither.
//!
//! A bare message is binary: its first byte is the kind (`b'j'`, `b'u'`, `b'a'`), the rest is the
//! room's name or the Yjs bytes.

use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Socket.IO.
    SocketIo,
    /// The bare framing.
    Bare,
}

/// The kinds of Yjs bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `document_update`
    Update,
    /// `awareness_update`
    Cursor,
}

impl Kind {
    const fn event(self) -> &'static str {
        match self {
            Kind::Update => "document_update",
            Kind::Cursor => "awareness_update",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Kind::Update => b'u',
            Kind::Cursor => b'a',
        }
    }
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The Engine.IO handshake.
    Opened,
    /// An Engine.IO ping.
    Ping,
    /// The Socket.IO session has begun.
    Connected,
    /// The Socket.IO session was refused, with this packet.
    Refused(String),
    /// Yjs bytes that another client sent.
    Data(Kind, Bytes),
    /// The answer to a request.
    Answer(Answer),
    /// Another event, as JSON.
    Event(String),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number of the request.
    pub id: u64,
    /// The JSON array of the answer.
    pub json: String,
    /// The binary fields.
    pub attachments: Vec<Bytes>,
}

impl Answer {
    /// Whether the request succeeded.
    pub fn ok(&self) -> bool {
        self.json.contains(r#""ok":true"#)
    }

    /// The binary field `name`.
    pub fn field(&self, name: &str) -> Result<Option<Bytes>> {
        let json: serde_json::Value = serde_json::from_str(&self.json)?;
        let Some(number) = json[0][name]["num"].as_u64() else {
            return Ok(None);
        };
        let bytes = self.attachments.get(usize::try_from(number)?);
        Ok(Some(bytes.context("an attachment is missing")?.clone()))
    }
}

/// Encodes the messages of one client to one room.
#[derive(Debug)]
pub struct Encoder {
    wire: Wire,
    room: String,
    /// The text after the number of a `document_update`.
    update: String,
    cursor: Utf8Bytes,
}

impl Encoder {
    /// An encoder for `room`.
    pub fn new(wire: Wire, room: &str) -> Self {
        let event = |kind: Kind| {
            let name = kind.event();
            format!(r#"["{name}",{{"room":"{room}","update":{{"_placeholder":true,"num":0}}}}]"#)
        };
        Self {
            wire,
            room: room.to_owned(),
            update: event(Kind::Update),
            cursor: Utf8Bytes::from(format!("451-{}", event(Kind::Cursor))),
        }
    }

    /// Encodes Yjs bytes of `kind`; an update asks for an answer with the number `id`.
    pub fn data(&self, kind: Kind, id: u64, bytes: Bytes, mut send: impl FnMut(Message)) {
        match (self.wire, kind) {
            (Wire::SocketIo, Kind::Update) => {
                let mut text = String::with_capacity(self.update.len() + 16);
                text.push_str("451-");
                text.push_str(&id.to_string());
                text.push_str(&self.update);
                send(Message::Text(Utf8Bytes::from(text)));
                send(Message::Binary(bytes));
            }
            (Wire::SocketIo, Kind::Cursor) => {
                send(Message::Text(self.cursor.clone()));
                send(Message::Binary(bytes));
            }
            (Wire::Bare, kind) => {
                let mut framed = BytesMut::with_capacity(bytes.len() + 1);
                framed.put_u8(kind.byte());
                framed.put_slice(&bytes);
                send(Message::Binary(framed.freeze()));
            }
        }
    }

    /// Encodes a request with a state vector: `join_room` or `document_sync`.
    pub fn request(&self, name: &str, id: u64, state_vector: Bytes, mut send: impl FnMut(Message)) {
        let room = &self.room;
        match self.wire {
            Wire::SocketIo => {
                let text = format!(
                    r#"451-{id}["{name}",{{"room":"{room}","state_vector":{{"_placeholder":true,"num":0}}}}]"#
                );
                send(Message::Text(Utf8Bytes::from(text)));
                send(Message::Binary(state_vector));
            }
            Wire::Bare => send(Message::Binary(Bytes::from(format!("j{room}")))),
        }
    }
}

/// Decodes received messages, and joins packets with their attachments.
#[derive(Debug)]
pub struct Decoder {
    wire: Wire,
    partial: Option<Partial>,
}

#[derive(Debug)]
enum Partial {
    Data(Kind),
    Answer { answer: Answer, wanted: usize },
    Other,
}

impl Decoder {
    /// A decoder for `wire`.
    pub fn new(wire: Wire) -> Self {
        Self {
            wire,
            partial: None,
        }
    }

    /// Decodes a message; `None` where it is only a part.
    pub fn take(&mut self, message: Message) -> Result<Option<Incoming>> {
        match (self.wire, message) {
            (Wire::SocketIo, Message::Text(text)) => self.text(&text),
            (Wire::SocketIo, Message::Binary(bytes)) => self.binary(bytes),
            (Wire::Bare, Message::Binary(bytes)) => bare(&bytes).map(Some),
            (Wire::Bare, Message::Text(_)) => bail!("text on the bare wire"),
            (_, Message::Close(_)) => bail!("the connection was closed"),
            (_, Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(None),
        }
    }

    fn text(&mut self, text: &str) -> Result<Option<Incoming>> {
        if self.partial.is_some() {
            bail!("text where binary was expected");
        }
        // Most messages are one event with one attachment.
        if let Some(rest) = text.strip_prefix("451-[\"") {
            self.partial = Some(if rest.starts_with(Kind::Update.event()) {
                Partial::Data(Kind::Update)
            } else if rest.starts_with(Kind::Cursor.event()) {
                Partial::Data(Kind::Cursor)
            } else {
                Partial::Other
            });
            return Ok(None);
        }
        Ok(Some(match text.as_bytes() {
            [b'0', ..] => Incoming::Opened,
            [b'2', ..] => Incoming::Ping,
            [b'4', b'0', ..] => Incoming::Connected,
            [b'4', b'4', ..] => Incoming::Refused(text.to_owned()),
            [b'4', b'2', ..] => Incoming::Event(text[2..].to_owned()),
            [b'4', b'3', ..] => {
                let (id, json) = numbered(&text[2..])?;
                Incoming::Answer(Answer {
                    id,
                    json: json.to_owned(),
                    attachments: Vec::new(),
                })
            }
            [b'4', b'6', ..] => {
                let (wanted, rest) = text[2..].split_once('-').context("no count")?;
                let (id, json) = numbered(rest)?;
                let answer = Answer {
                    id,
                    json: json.to_owned(),
                    attachments: Vec::new(),
                };
                let wanted = wanted.parse()?;
                self.partial = Some(Partial::Answer { answer, wanted });
                return Ok(None);
            }
            _ => bail!(
                "not understood: {}",
                text.chars().take(80).collect::<String>()
            ),
        }))
    }

    fn binary(&mut self, bytes: Bytes) -> Result<Option<Incoming>> {
        match self.partial.take().context("unexpected binary")? {
            Partial::Data(kind) => Ok(Some(Incoming::Data(kind, bytes))),
            Partial::Other => Ok(None),
            Partial::Answer { mut answer, wanted } => {
                answer.attachments.push(bytes);
                if answer.attachments.len() == wanted {
                    return Ok(Some(Incoming::Answer(answer)));
                }
                self.partial = Some(Partial::Answer { answer, wanted });
                Ok(None)
            }
        }
    }
}

fn bare(bytes: &Bytes) -> Result<Incoming> {
    let rest = bytes.slice(1.min(bytes.len())..);
    match bytes.first() {
        Some(b'u') => Ok(Incoming::Data(Kind::Update, rest)),
        Some(b'a') => Ok(Incoming::Data(Kind::Cursor, rest)),
        Some(b'j') => Ok(Incoming::Answer(Answer {
            id: 0,
            json: r#"[{"ok":true}]"#.to_owned(),
            attachments: Vec::new(),
        })),
        _ => bail!("a bare message of no known kind"),
    }
}

fn numbered(text: &str) -> Result<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Ok((
        text[..digits].parse().context("no number")?,
        &text[digits..],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Message {
        Message::Text(Utf8Bytes::from(text))
    }

    #[test]
    fn events_come_back_on_both_wires() {
        for wire in [Wire::SocketIo, Wire::Bare] {
            for kind in [Kind::Update, Kind::Cursor] {
                let mut frames = Vec::new();
                let encoder = Encoder::new(wire, "room-1");
                encoder.data(kind, 7, Bytes::from_static(b"yjs"), |frame| {
                    frames.push(frame)
                });
                if let Some(Message::Text(header)) = frames.first()
                    && kind == Kind::Update
                {
                    let wanted = r#"451-7["document_update",{"room":"room-1","update":{"_placeholder":true,"num":0}}]"#;
                    assert_eq!(header.as_str(), wanted);
                    frames[0] = text(&wanted.replacen("451-7", "451-", 1));
                }
                let mut decoder = Decoder::new(wire);
                let read: Vec<_> = frames
                    .into_iter()
                    .filter_map(|frame| decoder.take(frame).unwrap())
                    .collect();
                assert_eq!(
                    read,
                    [Incoming::Data(kind, Bytes::from_static(b"yjs"))],
                    "{wire:?}"
                );
            }
        }
    }

    #[test]
    fn an_answer_waits_for_its_attachments() {
        let mut decoder = Decoder::new(Wire::SocketIo);
        let json = r#"[{"ok":true,"update":{"_placeholder":true,"num":1}}]"#;
        assert_eq!(decoder.take(text(&format!("462-12{json}"))).unwrap(), None);
        assert!(
            decoder
                .take(Message::Binary(Bytes::from_static(b"a")))
                .unwrap()
                .is_none()
        );
        let last = decoder
            .take(Message::Binary(Bytes::from_static(b"b")))
            .unwrap();
        let Some(Incoming::Answer(answer)) = last else {
            panic!("no answer: {last:?}");
        };
        assert_eq!(answer.id, 12);
        assert!(answer.ok());
        assert_eq!(answer.field("update").unwrap().unwrap(), "b");
        assert_eq!(answer.field("awareness").unwrap(), None);
    }

    #[test]
    fn the_small_packets_are_known() {
        let mut decoder = Decoder::new(Wire::SocketIo);
        let mut read = |packet: &str| decoder.take(text(packet));
        assert_eq!(read(r#"0{"sid":"x"}"#).unwrap(), Some(Incoming::Opened));
        assert_eq!(read("2").unwrap(), Some(Incoming::Ping));
        assert_eq!(read(r#"40{"sid":"x"}"#).unwrap(), Some(Incoming::Connected));
        assert!(matches!(
            read(r#"44{"message":"unauthorized"}"#),
            Ok(Some(Incoming::Refused(_)))
        ));
        assert!(matches!(
            read(r#"42["connection",{}]"#),
            Ok(Some(Incoming::Event(_)))
        ));
        let refused = read(r#"433[{"ok":false,"error":{"code":"invalid"}}]"#).unwrap();
        assert!(
            matches!(refused, Some(Incoming::Answer(answer)) if answer.id == 3 && !answer.ok())
        );
        assert!(read("nonsense").is_err());
        assert!(decoder.take(Message::Binary(Bytes::new())).is_err());
    }
}
