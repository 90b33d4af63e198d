//! Random frames of a client, received by this crate and by tungstenite.

#[path = "support/differential.rs"]
mod differential;

use proptest::{collection::vec, prelude::*, sample::select};

use self::differential::{Event, compare, ours};

/// A frame as a client sends it: mostly valid, with any opcode, length and mask.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        6 => select(vec![0x0_u8, 0x1, 0x2]),
        3 => select(vec![0x8_u8, 0x9, 0xA]),
        1 => 0_u8..16,
    ];
    let first =
        prop_oneof![4 => Just(0x80_u8), 3 => Just(0), 1 => (0_u8..16).prop_map(|bits| bits << 4)];
    let payload = prop_oneof![
        4 => "\\PC{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..140),
        1 => vec(any::<u8>(), 0..1200),
        1 => (900_u16..5100, "\\PC{0,20}").prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat()),
    ];
    let form = prop_oneof![20 => Just(0_u8), 1 => Just(2), 1 => Just(8)];
    let masked = prop_oneof![30 => Just(true), 1 => Just(false)];
    (first, opcode, payload, any::<[u8; 4]>(), form, masked).prop_map(
        |(first, opcode, payload, mask, form, masked)| {
            encode(first | opcode, &payload, masked.then_some(mask), form)
        },
    )
}

/// Encodes a frame, with the length in `form` bytes at least.
fn encode(first: u8, payload: &[u8], mask: Option<[u8; 4]>, form: u8) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match (payload.len(), form) {
        (short @ 0..126, 0) => bytes.push(bit | short as u8),
        (long, 0 | 2) => {
            bytes.push(bit | 126);
            bytes.extend((long as u16).to_be_bytes());
        }
        (long, _) => {
            bytes.push(bit | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| bytes.extend(mask)).unwrap_or_default();
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_frames_are_received_as_tungstenite_receives_them(
        frames in vec(frame(), 1..12), cut in 0_usize..8, piece_bytes in 1_usize..200,
    ) {
        let bytes = frames.concat();
        compare(&bytes[..bytes.len().saturating_sub(cut)], piece_bytes);
    }

    #[test]
    fn random_bytes_are_received_as_tungstenite_receives_them(
        bytes in vec(any::<u8>(), 0..200), piece_bytes in 1_usize..50,
    ) {
        compare(&bytes, piece_bytes);
    }

    #[test]
    fn messages_do_not_depend_on_fragments_and_pieces(
        text in "\\PC{0,200}", cuts in vec(0_usize..200, 0..6), piece_bytes in 1_usize..100,
    ) {
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        ends.push(text.len());
        ends.sort_unstable();
        let (mut bytes, mut from) = (Vec::new(), 0);
        for (n, end) in ends.iter().enumerate() {
            let fin = if n + 1 == ends.len() { 0x80 } else { 0 };
            let opcode = u8::from(n == 0);
            bytes.extend(encode(fin | opcode, &text.as_bytes()[from..*end], Some([n as u8, 7, 77, 177]), 0));
            bytes.extend(encode(0x89, &[n as u8], Some([1, 2, 3, 4]), 0));
            from = *end;
        }
        let received = ours(&bytes, piece_bytes);
        prop_assert_eq!(received.events, vec![Event::Text(text)]);
        prop_assert_eq!(received.pings.len(), ends.len());
    }
}
