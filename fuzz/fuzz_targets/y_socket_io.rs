//! Packets of y-socket.io with their attachments, read as the server reads them; what it writes is read again.
#![no_main]

/// The server's own files, in the places that they have there. The paths of both modules are this folder.
#[path = "."]
mod socket {
    #[path = "../../src/socket/packet.rs"]
    #[expect(dead_code, reason = "packets of Socket.IO are only read here")]
    pub mod packet;

    #[path = "."]
    pub mod yjs {
        #[path = "../../src/socket/yjs/packets.rs"]
        #[expect(dead_code, reason = "only what has attachments is written here")]
        mod packets;

        use bytes::Bytes;
        use engineio::{DataFrame, Message};

        use self::packets::{Event, Namespace};
        use super::packet::{Attachments, Kind, Packet};
        use crate::id::RoomName;

        /// Reads `text` with `attachments`.
        pub fn read(text: &str, attachments: Attachments) {
            let Ok(packet) = Packet::parse(text) else {
                return;
            };
            let event = match packet.kind {
                Kind::Event => Event::parse(&packet, attachments),
                Kind::Ack => Event::parse_ack(&packet, &attachments),
                Kind::Connect | Kind::Disconnect => return,
            };
            let room = RoomName("a room".to_owned());
            let namespace = Namespace(&room);
            match event {
                Ok(Event::Step2 { update, ack }) => {
                    let written = namespace.step_2(ack, update.clone());
                    assert_eq!(parse(&written), Event::Step2 { update, ack });
                }
                Ok(Event::Update(update)) => {
                    let written = namespace.bytes("sync-update", update.clone());
                    assert_eq!(parse(&written), Event::Update(update));
                }
                Ok(Event::Awareness(states)) => {
                    let written = namespace.bytes("awareness-update", states.clone());
                    assert_eq!(parse(&written), Event::Awareness(states));
                }
                _ => {}
            }
        }

        /// What a client would read of a message of the server.
        fn parse(message: &Message) -> Event {
            let mut text = String::new();
            let mut attachments = Attachments::new();
            for frame in message.data_frames() {
                match frame {
                    // Behind the 4 of Engine.IO.
                    DataFrame::Text(part) => {
                        text.push_str(str::from_utf8(&part[1..]).expect("UTF-8"));
                    }
                    DataFrame::Binary(bytes) => attachments.push(Bytes::copy_from_slice(bytes)),
                }
            }
            let packet = Packet::parse(&text).expect("a packet");
            let event = match packet.kind {
                Kind::Ack => Event::parse_ack(&packet, &attachments),
                _ => Event::parse(&packet, attachments),
            };
            event.expect("an event")
        }
    }
}

/// The types of the server that the files name.
mod id {
    pub struct Seq(pub u64);

    pub struct RoomName(pub String);

    impl RoomName {
        pub fn as_str(&self) -> &str {
            &self.0
        }
    }
}

mod room {
    pub struct Acked {
        pub seq: crate::id::Seq,
        pub visibility: document::Visibility,
    }
}

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// No byte of UTF-8 has this value.
const SEPARATOR: u8 = 0xff;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == SEPARATOR);
    let text = parts.next().and_then(|part| str::from_utf8(part).ok());
    if let Some(text) = text {
        socket::yjs::read(text, parts.map(Bytes::copy_from_slice).collect());
    }
});
