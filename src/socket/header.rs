//! The headers of updates as socket.io-client writes them, recognised without a JSON parser: that takes nearly half of the time that is
//! spent on a small update before it reaches its room.

use super::protocol::request;

/// What precedes the room's name, after the event's.
const BEFORE_ROOM: &str = r#"",{"room":""#;
/// What follows it: the update is the only attachment.
const AFTER_ROOM: &str = r#"","update":{"_placeholder":true,"num":0}}]"#;

/// The header of an update whose bytes are the only attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpdateHeader<'a> {
    /// The event's name: `document_update` or `awareness_update`.
    pub(super) event: &'static str,
    /// The room's name, which was not checked.
    pub(super) room: &'a str,
}

impl<'a> UpdateHeader<'a> {
    /// Recognises `["EVENT",{"room":"ROOM","update":{"_placeholder":true,"num":0}}]`, without white space and without escapes.
    /// `None` for everything else, also for another way to write the same: that is read as JSON.
    pub(super) fn recognise(json: &'a str) -> Option<Self> {
        let event_on = json.strip_prefix("[\"")?;
        let events = [request::DOCUMENT_UPDATE, request::AWARENESS_UPDATE];
        let event = events
            .into_iter()
            .find(|event| event_on.starts_with(event))?;
        let room_on = event_on[event.len()..].strip_prefix(BEFORE_ROOM)?;
        let room = room_on.strip_suffix(AFTER_ROOM)?;
        let is_literal = |byte: u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
        room.bytes().all(is_literal).then_some(Self { event, room })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::socket::{
        fields::Fields,
        packet::{Attachments, EventBody},
    };

    /// What the JSON parser makes of a header: the event, the room, and whether the update is the first attachment.
    fn parsed(json: &str) -> Option<(String, String, bool)> {
        let body = EventBody::parse(json).ok()?;
        let attachments: Attachments = [Bytes::from_static(b"x")].into_iter().collect();
        let fields = Fields::parse(body.argument, attachments).ok()?;
        let room = fields.text("room").ok()?.into_owned();
        Some((body.name.into_owned(), room, fields.bytes("update").is_ok()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

        #[test]
        fn a_recognised_header_means_what_the_json_parser_reads(
            event in "(document|awareness)_(update|sync|updates)",
            room in r#"[ -~éあ\u{1}\u{7f}"\\]{0,8}"#,
            end in r#"(","update":\{"_placeholder":true,"num":[01]\}\}\]| \}\])"#,
        ) {
            let json = format!("[\"{event}{BEFORE_ROOM}{room}{end}");
            if let Some(header) = UpdateHeader::recognise(&json) {
                let expected = (header.event.to_owned(), header.room.to_owned(), true);
                prop_assert_eq!(parsed(&json), Some(expected));
            }
        }
    }

    #[test]
    fn what_socket_io_client_writes_is_recognised() {
        let json = r#"["document_update",{"room":"a b/é","update":{"_placeholder":true,"num":0}}]"#;
        let header = UpdateHeader {
            event: "document_update",
            room: "a b/é",
        };
        assert_eq!(UpdateHeader::recognise(json), Some(header));
        let json = json.replace("document", "awareness");
        let recognised = UpdateHeader::recognise(&json).map(|header| header.event);
        assert_eq!(recognised, Some("awareness_update"));
    }
}
