//! The messages of the WebSocket: Socket.IO 5 in Engine.IO 4, those of [stock clients](crate::stock), and the bare framing of the relay
//! that uses neither.
//!
//! y-socket.io has the same packets as Socket.IO, in a namespace for each room and with names of its own.
//!
//! A bare message is binary: its first byte is the kind (`b'j'`, `b'u'`, `b'a'`), the rest is the
//! room's name or the Yjs bytes.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::stock;

/// The place of the first attachment in the JSON of a packet.
const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Socket.IO.
    SocketIo,
    /// y-socket.io.
    YSocketIo,
    /// y-websocket.
    YWebsocket,
    /// Hocuspocus.
    Hocuspocus,
    /// The bare framing.
    Bare,
}

impl Wire {
    /// Whether the packets are those of Socket.IO.
    pub const fn is_socket_io(self) -> bool {
        matches!(self, Self::SocketIo | Self::YSocketIo)
    }

    /// Whether each update is acknowledged.
    pub const fn acknowledges(self) -> bool {
        matches!(self, Self::SocketIo | Self::Hocuspocus)
    }
}

/// The namespace of a room of y-socket.io.
pub fn namespace(room: &str) -> String {
    format!("/yjs|{room},")
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
    const fn event(self, wire: Wire) -> &'static str {
        match (self, wire) {
            (Kind::Update, Wire::YSocketIo) => "sync-update",
            (Kind::Cursor, Wire::YSocketIo) => "awareness-update",
            (Kind::Update, _) => "document_update",
            (Kind::Cursor, _) => "awareness_update",
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
    /// The first update of this client that was not saved before is saved.
    Saved,
    /// The server asks for what it lacks, and expects an answer with this number.
    Question(u64),
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
    /// What precedes each message of y-websocket and Hocuspocus.
    address: Vec<u8>,
    /// The namespace of y-socket.io.
    namespace: String,
    /// The text after the number of a `document_update`.
    update: String,
    cursor: Utf8Bytes,
}

impl Encoder {
    /// An encoder for `room`.
    pub fn new(wire: Wire, room: &str) -> Self {
        let namespace = match wire {
            Wire::YSocketIo => namespace(room),
            _ => String::new(),
        };
        let event = |kind: Kind| {
            let name = kind.event(wire);
            match wire {
                Wire::YSocketIo => format!(r#"["{name}",{PLACEHOLDER}]"#),
                _ => format!(r#"["{name}",{{"room":"{room}","update":{PLACEHOLDER}}}]"#),
            }
        };
        Self {
            wire,
            room: room.to_owned(),
            address: match wire {
                Wire::Hocuspocus => stock::address(room),
                _ => Vec::new(),
            },
            update: event(Kind::Update),
            cursor: Utf8Bytes::from(format!("451-{namespace}{}", event(Kind::Cursor))),
            namespace,
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
            (Wire::YSocketIo, Kind::Update) => {
                let text = format!("451-{}{}", self.namespace, self.update);
                send(Message::Text(Utf8Bytes::from(text)));
                send(Message::Binary(bytes));
            }
            (Wire::SocketIo | Wire::YSocketIo, Kind::Cursor) => {
                send(Message::Text(self.cursor.clone()));
                send(Message::Binary(bytes));
            }
            (Wire::YWebsocket | Wire::Hocuspocus, kind) => {
                send(stock::data(&self.address, kind, &bytes));
            }
            (Wire::Bare, kind) => {
                let mut framed = BytesMut::with_capacity(bytes.len() + 1);
                framed.put_u8(kind.byte());
                framed.put_slice(&bytes);
                send(Message::Binary(framed.freeze()));
            }
        }
    }

    /// Encodes the answer to a question of the server: it lacks nothing.
    pub fn answer(&self, id: u64, mut send: impl FnMut(Message)) {
        match self.wire {
            Wire::YSocketIo => {
                let text = format!("461-{}{id}[{PLACEHOLDER}]", self.namespace);
                send(Message::Text(Utf8Bytes::from(text)));
                send(Message::Binary(Bytes::from_static(stock::NOTHING)));
            }
            _ => send(stock::step_2(&self.address, stock::NOTHING)),
        }
    }

    /// Encodes a request with a state vector: `join_room` or `document_sync`.
    pub fn request(&self, name: &str, id: u64, state_vector: Bytes, mut send: impl FnMut(Message)) {
        let room = &self.room;
        match self.wire {
            Wire::SocketIo => {
                let text = format!(
                    r#"451-{id}["{name}",{{"room":"{room}","state_vector":{PLACEHOLDER}}}]"#
                );
                send(Message::Text(Utf8Bytes::from(text)));
                send(Message::Binary(state_vector));
            }
            Wire::YSocketIo => {
                let namespace = &self.namespace;
                let text = format!(r#"451-{namespace}{id}["sync-step-1",{PLACEHOLDER}]"#);
                send(Message::Text(Utf8Bytes::from(text)));
                send(Message::Binary(state_vector));
            }
            Wire::YWebsocket | Wire::Hocuspocus => {
                send(stock::step_1(&self.address, &state_vector));
            }
            Wire::Bare => send(Message::Binary(Bytes::from(format!("j{room}")))),
        }
    }
}

/// Decodes received messages, and joins packets with their attachments.
#[derive(Debug)]
pub struct Decoder {
    wire: Wire,
    /// How many bytes precede each message of Hocuspocus.
    address_bytes: usize,
    partial: Option<Partial>,
}

#[derive(Debug)]
enum Partial {
    Data(Kind),
    Answer { answer: Answer, wanted: usize },
    Question(u64),
    Other,
}

impl Decoder {
    /// A decoder for what is sent to a client in `room`.
    pub fn new(wire: Wire, room: &str) -> Self {
        Self {
            wire,
            address_bytes: match wire {
                Wire::Hocuspocus => stock::address(room).len(),
                _ => 0,
            },
            partial: None,
        }
    }

    /// Decodes a message; `None` where it is only a part.
    pub fn take(&mut self, message: Message) -> Result<Option<Incoming>> {
        match (self.wire, message) {
            (Wire::SocketIo, Message::Text(text)) => self.text(&text),
            (Wire::YSocketIo, Message::Text(text)) => self.text(&without_namespace(&text)),
            (Wire::SocketIo | Wire::YSocketIo, Message::Binary(bytes)) => self.binary(bytes),
            (Wire::YWebsocket | Wire::Hocuspocus, Message::Binary(bytes)) => {
                stock::read(&bytes, self.address_bytes)
            }
            (Wire::YWebsocket | Wire::Hocuspocus, Message::Text(_)) => bail!("text"),
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
            self.partial = Some(if rest.starts_with(Kind::Update.event(self.wire)) {
                Partial::Data(Kind::Update)
            } else if rest.starts_with(Kind::Cursor.event(self.wire)) {
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
            [b'4', b'5', ..] if self.wire == Wire::YSocketIo => {
                let (_, rest) = text.split_once('-').context("no count")?;
                self.partial = Some(Partial::Question(numbered(rest)?.0));
                return Ok(None);
            }
            [b'4', b'6', ..] => {
                let (wanted, rest) = text[2..].split_once('-').context("no count")?;
                let (id, json) = numbered(rest)?;
                let json = match self.wire {
                    Wire::YSocketIo => stock::ANSWER,
                    _ => json,
                };
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
            Partial::Question(id) => Ok(Some(Incoming::Question(id))),
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

/// A packet of y-socket.io without its namespace.
fn without_namespace(text: &str) -> Cow<'_, str> {
    let parts = text
        .split_once("/yjs|")
        .and_then(|(head, rest)| Some((head, rest.split_once(',')?.1)));
    match parts {
        Some((head, rest)) => Cow::Owned(format!("{head}{rest}")),
        None => Cow::Borrowed(text),
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
mod tests;
