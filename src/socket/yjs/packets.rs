//! The packets of y-socket.io: Socket.IO events of one namespace, each with at most one binary attachment.
//! Source: y-socket.io 1.1.3, whose `SocketIOProvider` every packet here is written for.

use std::borrow::Cow;

use bytes::Bytes;
use engineio::Message;
use serde::Serialize;

use crate::{
    id::RoomName,
    socket::packet::{
        ATTACHMENTS_MAX, Attachments, EventBody, NotAPacket, Packet, Placeholder, write, write_json,
    },
};

/// What the name of a namespace of y-socket.io begins with; the room's name follows.
pub(in crate::socket) const PREFIX: &str = "/yjs|";

/// Asks for what the sender lacks, by its state vector. The ack is the update.
pub(super) const SYNC_STEP_1: &str = "sync-step-1";
/// An update of the document.
pub(super) const SYNC_UPDATE: &str = "sync-update";
/// Awareness states.
pub(super) const AWARENESS_UPDATE: &str = "awareness-update";

/// The requests to a room that clients do not name: to join, to apply the answer to a step 1 of the
/// server, and for the state vector with which the server asks.
pub(super) const CONNECT: &str = "connect";
pub(super) const SYNC_STEP_2: &str = "sync-step-2";
pub(super) const STATE_VECTOR: &str = "state-vector";

/// The arguments of an event whose only one is the first attachment, as socket.io-client writes them.
const ATTACHMENT_ONLY: &str = r#"",{"_placeholder":true,"num":0}]"#;

/// The initial capacity of a text, without the room's name.
const TEXT_BYTES: usize = 80;

/// What a client sends in its namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Asks for what it lacks, with the number of the ack.
    Step1 {
        /// Its state vector, which was not checked.
        state_vector: Bytes,
        /// `None` if the client expects no ack; then it gets no answer.
        ack: Option<u64>,
    },
    /// An update, which was not checked.
    Update(Bytes),
    /// The answer to a step 1 of the server, with its number.
    Step2 {
        /// All that the server lacks, which was not checked.
        update: Bytes,
        /// The number of the step 1.
        ack: u64,
    },
    /// Awareness states, which were not checked.
    Awareness(Bytes),
    /// An event of this protocol without its bytes.
    Malformed(&'static str),
    /// An event that this protocol does not have.
    Unknown {
        /// Its name.
        name: Box<str>,
        /// The number of the ack, if one is expected.
        ack: Option<u64>,
    },
}

impl Event {
    /// Reads an event packet.
    ///
    /// # Errors
    /// [`NotAPacket`] if its JSON is not an event.
    pub(super) fn parse(packet: &Packet<'_>, attachments: Attachments) -> Result<Self, NotAPacket> {
        let (name, bytes) = match recognise(packet.json).zip(attachments.first()) {
            Some((name, bytes)) if packet.attachments == 1 => (Cow::Borrowed(name), Some(bytes)),
            _ => {
                let EventBody { name, argument } = EventBody::parse(packet.json)?;
                let place = argument.and_then(|json| serde_json::from_str(json.get()).ok());
                let bytes = place.and_then(|Placeholder(place)| attachments.get(place));
                (name, bytes)
            }
        };
        let bytes = bytes
            .filter(|_| packet.attachments <= ATTACHMENTS_MAX)
            .cloned();
        let ack = packet.ack;
        Ok(match (&*name, bytes) {
            (SYNC_STEP_1, Some(state_vector)) => Self::Step1 { state_vector, ack },
            (SYNC_UPDATE, Some(update)) => Self::Update(update),
            (AWARENESS_UPDATE, Some(states)) => Self::Awareness(states),
            (SYNC_STEP_1, None) => Self::Malformed(SYNC_STEP_1),
            (SYNC_UPDATE, None) => Self::Malformed(SYNC_UPDATE),
            (AWARENESS_UPDATE, None) => Self::Malformed(AWARENESS_UPDATE),
            (name, _) => Self::Unknown {
                name: name.into(),
                ack,
            },
        })
    }

    /// Reads an ack packet, which answers a step 1 of the server.
    ///
    /// # Errors
    /// [`NotAPacket`] if it has no number.
    pub(super) fn parse_ack(
        packet: &Packet<'_>,
        attachments: &Attachments,
    ) -> Result<Self, NotAPacket> {
        let ack = packet.ack.ok_or(NotAPacket)?;
        let answer: Option<(Placeholder,)> = serde_json::from_str(packet.json).ok();
        let update = answer.and_then(|(Placeholder(place),)| attachments.get(place));
        Ok(match update {
            Some(update) => Self::Step2 {
                update: update.clone(),
                ack,
            },
            None => Self::Malformed(SYNC_STEP_1),
        })
    }
}

/// The name of an event whose only argument is the first attachment, read without a JSON parser.
fn recognise(json: &str) -> Option<&'static str> {
    let event_on = json.strip_prefix("[\"")?;
    let events = [SYNC_UPDATE, AWARENESS_UPDATE, SYNC_STEP_1];
    let event = events
        .into_iter()
        .find(|event| event_on.starts_with(event))?;
    (&event_on[event.len()..] == ATTACHMENT_ONLY).then_some(event)
}

/// Writes the packets of one namespace.
#[derive(Clone, Copy)]
pub(super) struct Namespace<'a>(pub(super) &'a RoomName);

impl Namespace<'_> {
    /// Accepts the connection to the namespace.
    pub(super) fn connected(self, session: &str) -> Message {
        self.packet(
            "0",
            None,
            |text| write(text, format_args!("{{\"sid\":\"{session}\"}}")),
            [],
        )
    }

    /// Disconnects the client from the namespace; it does not reconnect by itself.
    pub(super) fn disconnected(self) -> Message {
        self.packet("1", None, |_| {}, [])
    }

    /// An event with `payload` as its argument.
    pub(super) fn event(self, name: &str, payload: &impl Serialize) -> Message {
        let write_event = |text: &mut engineio::Text| {
            write(text, format_args!("[\"{name}\","));
            write_json(text, payload);
            text.push_str("]");
        };
        self.packet("2", None, write_event, [])
    }

    /// The event `name` with `bytes` as its argument.
    pub(super) fn bytes(self, name: &str, bytes: Bytes) -> Message {
        self.attached("51-", None, name, bytes)
    }

    /// Asks the client for what the server lacks, whose state vector this is. The ack has `number`.
    pub(super) fn step_1(self, state_vector: Bytes, number: u64) -> Message {
        self.attached("51-", Some(number), SYNC_STEP_1, state_vector)
    }

    /// The ack of the step 1 that carried the number `ack`.
    pub(super) fn step_2(self, ack: u64, update: Bytes) -> Message {
        let write_ack = |text: &mut engineio::Text| {
            text.push_str("[");
            write_json(text, &Placeholder(0));
            text.push_str("]");
        };
        self.packet("61-", Some(ack), write_ack, [update])
    }

    /// The ack of another request that carried the number `ack`.
    pub(super) fn ack(self, ack: u64, payload: &impl Serialize) -> Message {
        let write_ack = |text: &mut engineio::Text| {
            text.push_str("[");
            write_json(text, payload);
            text.push_str("]");
        };
        self.packet("3", Some(ack), write_ack, [])
    }

    fn attached(self, kind: &str, number: Option<u64>, name: &str, bytes: Bytes) -> Message {
        let write_event = |text: &mut engineio::Text| {
            write(text, format_args!("[\"{name}\","));
            write_json(text, &Placeholder(0));
            text.push_str("]");
        };
        self.packet(kind, number, write_event, [bytes])
    }

    fn packet<const N: usize>(
        self,
        kind: &str,
        number: Option<u64>,
        payload: impl FnOnce(&mut engineio::Text),
        attachments: [Bytes; N],
    ) -> Message {
        let room = self.0.as_str();
        let mut text = engineio::message_text(TEXT_BYTES + room.len());
        text.push_str(kind);
        text.push_str(PREFIX);
        text.push_str(room);
        text.push_str(",");
        if let Some(number) = number {
            write(&mut text, format_args!("{number}"));
        }
        payload(&mut text);
        Message::new(text, attachments)
    }
}

#[cfg(test)]
mod tests {
    use engineio::DataFrame;

    use super::*;
    use crate::socket::packet::Frame;

    const STATE_VECTOR: &[u8] = &[0];
    const EMPTY_UPDATE: &[u8] = &[0, 0];

    fn room() -> RoomName {
        RoomName::parse("a").expect("a room")
    }

    fn frames(message: &Message) -> Vec<Vec<u8>> {
        let frames = message.data_frames().map(|frame| match frame {
            DataFrame::Text(bytes) | DataFrame::Binary(bytes) => bytes.to_vec(),
        });
        frames.collect()
    }

    fn texts(message: &Message) -> String {
        String::from_utf8(frames(message).remove(0)).expect("UTF-8")
    }

    /// What the event in the packet `text`, with these attachments, is.
    fn read(text: &str, attached: &[&'static [u8]]) -> Event {
        let packet = Packet::parse(text).expect("a packet");
        assert_eq!(packet.namespace, "/yjs|a");
        let attachments = attached.iter().map(|it| Bytes::from_static(it)).collect();
        Event::parse(&packet, attachments).expect("an event")
    }

    // The packets of the library `socket.io-parser` 4.2, without the `4` of Engine.IO, which the transport adds to what is sent.

    #[test]
    fn packets_are_written_as_socket_io_writes_them() {
        let room = room();
        let namespace = Namespace(&room);
        assert_eq!(texts(&namespace.connected("x")), r#"40/yjs|a,{"sid":"x"}"#);
        assert_eq!(
            texts(&Frame::refused("/yjs|a", "forbidden")),
            r#"44/yjs|a,{"message":"forbidden"}"#
        );
        assert_eq!(texts(&namespace.disconnected()), "41/yjs|a,");
        assert_eq!(
            texts(&namespace.event(
                "session_ended",
                &serde_json::json!({ "code": "token_expired" })
            )),
            r#"42/yjs|a,["session_ended",{"code":"token_expired"}]"#
        );
        let step_1 = namespace.step_1(Bytes::from_static(STATE_VECTOR), 0);
        let text = r#"451-/yjs|a,0["sync-step-1",{"_placeholder":true,"num":0}]"#;
        assert_eq!(frames(&step_1), [text.as_bytes(), STATE_VECTOR]);
        let step_2 = namespace.step_2(0, Bytes::from_static(EMPTY_UPDATE));
        let text = r#"461-/yjs|a,0[{"_placeholder":true,"num":0}]"#;
        assert_eq!(frames(&step_2), [text.as_bytes(), EMPTY_UPDATE]);
        let update = namespace.bytes(SYNC_UPDATE, Bytes::from_static(EMPTY_UPDATE));
        let text = r#"451-/yjs|a,["sync-update",{"_placeholder":true,"num":0}]"#;
        assert_eq!(frames(&update), [text.as_bytes(), EMPTY_UPDATE]);
    }

    #[test]
    fn packets_are_read_as_socket_io_client_writes_them() {
        let state_vector = Bytes::from_static(STATE_VECTOR);
        assert_eq!(
            read(
                r#"51-/yjs|a,0["sync-step-1",{"_placeholder":true,"num":0}]"#,
                &[STATE_VECTOR]
            ),
            Event::Step1 {
                state_vector,
                ack: Some(0)
            }
        );
        let update = Bytes::from_static(EMPTY_UPDATE);
        assert_eq!(
            read(
                r#"51-/yjs|a,["sync-update",{"_placeholder":true,"num":0}]"#,
                &[EMPTY_UPDATE]
            ),
            Event::Update(update.clone())
        );
        // The same, written in another way.
        assert_eq!(
            read(
                r#"51-/yjs|a,["sync-update", {"num":0,"_placeholder":true}]"#,
                &[EMPTY_UPDATE]
            ),
            Event::Update(update.clone())
        );
        assert_eq!(
            read(
                r#"51-/yjs|a,["awareness-update",{"_placeholder":true,"num":0}]"#,
                &[EMPTY_UPDATE]
            ),
            Event::Awareness(update.clone())
        );
        let packet =
            Packet::parse(r#"61-/yjs|a,3[{"_placeholder":true,"num":0}]"#).expect("a packet");
        let attachments: Attachments = [update.clone()].into_iter().collect();
        assert_eq!(
            Event::parse_ack(&packet, &attachments),
            Ok(Event::Step2 { update, ack: 3 })
        );
    }

    #[test]
    fn an_event_without_its_bytes_is_malformed() {
        for json in [
            r#"["sync-update"]"#,
            r#"["sync-update","AAA="]"#,
            r#"["sync-update",{"_placeholder":true,"num":7}]"#,
        ] {
            assert_eq!(
                read(&format!("2/yjs|a,{json}"), &[]),
                Event::Malformed(SYNC_UPDATE),
                "{json}"
            );
        }
        let text = r#"52-/yjs|a,["sync-update",{"_placeholder":true,"num":1}]"#;
        assert_eq!(
            read(text, &[STATE_VECTOR, EMPTY_UPDATE]),
            Event::Update(Bytes::from_static(EMPTY_UPDATE))
        );
        let name = "sync-updates".into();
        assert_eq!(
            read(r#"2/yjs|a,7["sync-updates"]"#, &[]),
            Event::Unknown { name, ack: Some(7) }
        );
        for ack in ["3/yjs|a,1[]", "3/yjs|a,1", r#"3/yjs|a,1["x"]"#] {
            let packet = Packet::parse(ack).expect("a packet");
            let read = Event::parse_ack(&packet, &Attachments::new());
            assert_eq!(read, Ok(Event::Malformed(SYNC_STEP_1)), "{ack}");
        }
    }
}
