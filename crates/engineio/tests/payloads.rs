//! Random bodies of polling requests, received by an engine and read by the specification.

#![expect(clippy::disallowed_methods, reason = "a test owns its tasks")]

#[path = "support/payloads.rs"]
mod payloads;

use proptest::{collection::vec, prelude::*};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn packets_are_received_in_order_and_sent_back(
        packets in vec("4\\PC{0,30}|b([A-Za-z0-9+/]{4}){0,8}|b[A-Za-z0-9+/]{2}==|3|3probe", 1..20),
        last in prop_oneof![8 => Just(String::new()), 1 => "[0-9a-z]\\PC{0,4}", 1 => "b[A-Z=]{1,7}"],
    ) {
        let mut body = packets.join("\x1e");
        if !last.is_empty() {
            body.push('\x1e');
            body.push_str(&last);
        }
        payloads::compare(body.as_bytes());
    }

    #[test]
    fn bytes_that_are_no_packets_are_refused(body in vec(any::<u8>(), 0..60)) {
        payloads::compare(&body);
    }
}
