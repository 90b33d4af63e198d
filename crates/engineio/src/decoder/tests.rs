//! Tests of the decoder: messages do not depend on how their bytes are split.

use super::*;

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [9, 8, 7, 6];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        long => {
            bytes.push(0xFE);
            bytes.extend((long as u16).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    bytes
}

/// The messages in `chunks` as text, up to the violation if there is one.
fn decoded(bytes_max: usize, chunks: &[&[u8]]) -> (Vec<String>, Option<Violation>) {
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for chunk in chunks {
        let mut chunk = chunk.to_vec();
        let result = decoder.decode(&mut chunk, bytes_max, |incoming| {
            seen.push(match incoming {
                Incoming::Text(text) => format!("text {text}"),
                Incoming::Binary(bytes) => format!("binary {}", bytes.escape_ascii()),
                Incoming::Ping(payload) => format!("ping {}", payload.escape_ascii()),
                Incoming::Pong => "pong".to_owned(),
                Incoming::Close(code) => format!("close {code:?}"),
            });
            Flow::Continue
        });
        if let Err(violation) = result {
            return (seen, Some(violation));
        }
    }
    (seen, None)
}

fn refused(bytes: &[u8]) -> Violation {
    let (seen, violation) = decoded(1000, &[bytes]);
    assert_eq!(seen, Vec::<String>::new());
    violation.expect("a violation")
}

/// Fragments, control frames between them, headers of all lengths, empty messages.
fn conversation() -> (Vec<u8>, Vec<String>) {
    let long = "l".repeat(300);
    let bytes = [
        frame(0x81, "4grüße".as_bytes()),
        frame(0x01, "ein ".as_bytes()),
        frame(0x89, b"still there?"),
        frame(0x00, "ü".as_bytes().split_at(1).0),
        frame(0x8A, b""),
        frame(0x00, "ü".as_bytes().split_at(1).1),
        frame(0x80, b""),
        frame(0x82, b"bytes"),
        frame(0x02, b""),
        frame(0x80, b"end"),
        frame(0x81, long.as_bytes()),
        frame(0x81, b""),
        frame(0x88, &[0x03, 0xE8, b'x']),
    ];
    let expected = [
        "text 4grüße",
        "ping still there?",
        "pong",
        "text ein ü",
        "binary bytes",
        "binary end",
        &format!("text {long}"),
        "text ",
        "close Some(1000)",
    ];
    (bytes.concat(), expected.map(str::to_owned).to_vec())
}

#[test]
fn messages_are_the_same_however_their_bytes_are_split() {
    let (bytes, expected) = conversation();
    assert_eq!(decoded(1000, &[&bytes]), (expected.clone(), None));
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(decoded(1000, &[head, tail]).0, expected, "split at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decoded(1000, &single), (expected, None));
}

#[test]
fn an_idle_decoder_owns_no_memory() {
    let (bytes, _) = conversation();
    let mut decoder = Decoder::new();
    for byte in bytes {
        let used = decoder.decode(&mut [byte], 1000, |_| Flow::Continue);
        assert_eq!(used, Ok(1));
    }
    assert_eq!(decoder.message.capacity() + decoder.control.capacity(), 0);
}

#[test]
fn frames_are_counted_by_what_they_carry() {
    let (bytes, _) = conversation();
    let mut decoder = Decoder::new();
    let used = decoder.decode(&mut bytes.clone(), 1000, |_| Flow::Continue);
    assert_eq!(used, Ok(bytes.len()));
    let seen = Seen {
        frames: 13,
        messages: 6,
        // A ping, a pong, the close frame, four short fragments, an empty message.
        bare: 8,
    };
    assert_eq!(decoder.take_seen(), seen);
    assert_eq!(decoder.take_seen(), Seen::default());
    assert!(!decoder.is_partial());
    for partial in [
        frame(0x02, b"x"),
        vec![0x82],
        frame(0x82, b"xyz")[..8].to_vec(),
    ] {
        let mut decoder = Decoder::new();
        assert!(
            decoder
                .decode(&mut partial.clone(), 1000, |_| Flow::Continue)
                .is_ok()
        );
        assert!(decoder.is_partial(), "{partial:?}");
    }
}

#[test]
fn decoding_stops_on_request_and_returns_the_bytes_used() {
    let bytes = [frame(0x81, b"5"), frame(0x81, b"rest")].concat();
    let first = frame(0x81, b"5").len();
    let used = Decoder::new().decode(&mut bytes.clone(), 1000, |_| Flow::Stop);
    assert_eq!(used, Ok(first));
}

#[test]
fn a_message_that_is_too_large_is_refused_by_its_header() {
    let header = &frame(0x82, &[0; 1001])[..8];
    assert_eq!(refused(header), Violation::TooLarge);
    let pieces = [frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat();
    assert_eq!(refused(&pieces[..608 + 8]), Violation::TooLarge);
    let fits = [frame(0x02, &[0; 600]), frame(0x80, &[0; 400])].concat();
    assert_eq!(decoded(1000, &[&fits]).1, None);
    let huge = [0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(refused(&huge), Violation::TooLarge);
}

#[test]
fn a_claimed_length_reserves_no_memory() {
    let mut decoder = Decoder::new();
    let mut header = [0x82, 0xFF, 0, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3, 4, 55];
    assert_eq!(
        decoder.decode(&mut header, 64 << 20, |_| Flow::Continue),
        Ok(15)
    );
    assert!(decoder.message.capacity() < 1024);
}

#[test]
fn frames_out_of_order_are_refused() {
    let order = |frames: &[Vec<u8>]| decoded(1000, &[&frames.concat()]).1;
    let protocol = |violation| matches!(violation, Some(Violation::Protocol(_)));
    assert!(protocol(order(&[frame(0x80, b"x")])), "continues nothing");
    let twice = [frame(0x01, b"x"), frame(0x81, b"y")];
    assert!(protocol(order(&twice)), "the first message is incomplete");
    assert!(protocol(order(&[frame(0x88, &[3])])), "an incomplete code");
    assert!(protocol(order(&[frame(0x88, &[0x03, 0xED])])), "1005");
    let bad = Some(Violation::NotUtf8);
    assert_eq!(order(&[frame(0x81, &[0xC3])]), bad);
    assert_eq!(order(&[frame(0x88, &[0x03, 0xE8, 0xFF])]), bad);
}
