//! Frames of stock Yjs clients, read message by message as the server reads them.
#![no_main]

// The server's own files.
#[path = "../../src/websocket/hocuspocus.rs"]
#[expect(dead_code, reason = "frames are only read here")]
mod hocuspocus;
#[path = "../../src/websocket/protocol.rs"]
#[expect(
    dead_code,
    reason = "messages are only read here, and those of a few kinds are written"
)]
mod protocol;

use bytes::Bytes;
use engineio::{DataFrame, Message};
use libfuzzer_sys::fuzz_target;
use protocol::Incoming;

fuzz_target!(|input: &[u8]| {
    let mut frame = input;
    while !frame.is_empty() {
        let Ok((message, length)) = Incoming::read(frame) else {
            break;
        };
        assert!(
            (1..=frame.len()).contains(&length),
            "a message has bytes of the frame"
        );
        written_again(message);
        frame = &frame[length..];
    }
    assert!(Incoming::read(&[]).is_err());
    if let Ok(frame) = hocuspocus::Incoming::read(input) {
        assert!(
            input.starts_with(frame.address),
            "the address is as the client wrote it"
        );
        let address = String::from_utf8_lossy(frame.address);
        assert!(address.contains(frame.name), "the name is in the address");
        if let hocuspocus::Body::Message(message) = frame.body {
            written_again(message);
        }
    }
});

/// Writes what was read, and reads it again: the same message, which takes the whole frame.
fn written_again(message: Incoming<'_>) {
    let shared = |content: &[u8]| Bytes::copy_from_slice(content);
    let written = match message {
        Incoming::Step1(content) => protocol::step_1(&[], content),
        Incoming::Step2(content) => protocol::step_2(&[], shared(content)),
        Incoming::Update(content) => protocol::update(&[], shared(content)),
        Incoming::Awareness(content) => protocol::awareness(&[], shared(content)),
        Incoming::Echo(whole) => Message::binary(shared(whole)),
        Incoming::QueryAwareness | Incoming::Unknown(_) => return,
    };
    for frame in written.data_frames() {
        let DataFrame::Binary(frame) = frame else {
            panic!("a text");
        };
        assert_eq!(Incoming::read(frame), Ok((message, frame.len())));
    }
}
