//! Bodies of POST requests on a connection that polls, compared with a reading of the specification.
#![no_main]

#[path = "../../crates/engineio/tests/support/payloads.rs"]
mod payloads;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| payloads::compare(input));
