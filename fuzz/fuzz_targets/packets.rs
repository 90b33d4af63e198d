//! Texts as packets of Socket.IO, compared with a reading of the specification.
#![no_main]

// The server's own files, in the places that they have there.
#[path = "../../src/socket/packet.rs"]
#[expect(dead_code, reason = "packets are only read here")]
mod packet;
#[path = "../../src/socket/packet/reference.rs"]
mod reference;

/// The types of the server that the file names.
mod id {
    pub struct Seq(pub u64);
}

mod room {
    pub struct Acked {
        pub seq: crate::id::Seq,
        pub visibility: document::Visibility,
    }
}

use libfuzzer_sys::fuzz_target;
use packet::{ATTACHMENTS_ANSWERED_MAX, EventBody, Kind, Packet};

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = str::from_utf8(input) {
        reference::compare(text);
    }
});
