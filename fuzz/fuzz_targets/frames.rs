//! Bytes of a WebSocket client, received by the server's WebSocket and by tungstenite.
#![no_main]

#[path = "../../crates/engineio/tests/support/differential.rs"]
mod differential;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first byte says into how large pieces the others are cut.
    let Some((&piece_bytes, input)) = input.split_first() else {
        return;
    };
    differential::compare(input, usize::from(piece_bytes) + 1);
});
