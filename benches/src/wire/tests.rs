//! Tests of the messages of a WebSocket.

use super::*;

fn text(text: &str) -> Message {
    Message::Text(Utf8Bytes::from(text))
}

#[test]
fn events_come_back_on_every_wire() {
    for wire in [Wire::SocketIo, Wire::YSocketIo, Wire::Bare] {
        for kind in [Kind::Update, Kind::Cursor] {
            let mut frames = Vec::new();
            let encoder = Encoder::new(wire, "room-1");
            encoder.data(kind, 7, Bytes::from_static(b"yjs"), |frame| {
                frames.push(frame)
            });
            if let Some(Message::Text(header)) = frames.first()
                && (wire, kind) == (Wire::SocketIo, Kind::Update)
            {
                let wanted = r#"451-7["document_update",{"room":"room-1","update":{"_placeholder":true,"num":0}}]"#;
                assert_eq!(header.as_str(), wanted);
                frames[0] = text(&wanted.replacen("451-7", "451-", 1));
            }
            let mut decoder = Decoder::new(wire, "room-1");
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
    let mut decoder = Decoder::new(Wire::SocketIo, "room-1");
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
fn packets_of_a_namespace_are_read_without_it() {
    let mut decoder = Decoder::new(Wire::YSocketIo, "room-1");
    let mut read = |packet: &str| decoder.take(text(packet)).unwrap();
    let connected = r#"40/yjs|room-1,{"sid":"x"}"#;
    assert_eq!(read(connected), Some(Incoming::Connected));
    let question = r#"451-/yjs|room-1,7["sync-step-1",{"_placeholder":true,"num":0}]"#;
    assert_eq!(read(question), None);
    let asked = decoder.take(Message::Binary(Bytes::from_static(b"\0")));
    assert_eq!(asked.unwrap(), Some(Incoming::Question(7)));
}

#[test]
fn the_small_packets_are_known() {
    let mut decoder = Decoder::new(Wire::SocketIo, "room-1");
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
    assert!(matches!(refused, Some(Incoming::Answer(answer)) if answer.id == 3 && !answer.ok()));
    assert!(read("nonsense").is_err());
    assert!(decoder.take(Message::Binary(Bytes::new())).is_err());
}
