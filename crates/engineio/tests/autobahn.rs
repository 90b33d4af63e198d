//! The cases 1 to 7, 9 and 10 of Autobahn's WebSocket suite, under their numbers; `support/utf8.rs` has 6.5 to 6.23.
//! `tests/autobahn` runs the suite itself.
//!
//! The answer is compared byte by byte. Of the outcomes that Autobahn accepts the server has the strict one (`OK`), except in 6.4.1 to
//! 6.4.4, where it is `NON-STRICT`: a text is checked when the message is complete. 7.1.6, 7.13.1 and 7.13.2 are
//! `INFORMATIONAL`.

#![expect(clippy::disallowed_methods, reason = "a test owns its tasks")]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/echo.rs"]
mod echo;
#[path = "support/utf8.rs"]
mod utf8;

use std::iter;

use cases::{CLOSE, Chops, check, fails, passes};
use echo::{frame, server_frame};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;
/// Frames that others continue.
const TEXT_PART: u8 = 0x01;
const BINARY_PART: u8 = 0x02;
const PART: u8 = 0x00;
const LAST: u8 = 0x80;

const PROTOCOL: u16 = 1002;
const NOT_UTF8: u16 = 1007;

#[tokio::test]
async fn messages_of_all_lengths_come_back() {
    let lengths = [0, 125, 126, 127, 128, 65_535, 65_536];
    let cases = [(1, TEXT, b'*'), (2, BINARY, 0xFE)]
        .into_iter()
        .flat_map(|(kind, first, byte)| {
            let case = move |(n, length): (usize, usize)| {
                let payload = vec![byte; length];
                passes(
                    format!("1.{kind}.{n}"),
                    &[frame(first, &payload)],
                    &[server_frame(first, &payload)],
                )
            };
            let whole = (1..).zip(lengths).map(case);
            whole.chain(iter::once(case((8, 65_536)).chopped(Chops::Bytes(997))))
        });
    check(cases, 16).await;
}

#[tokio::test]
async fn pings_are_answered_and_pongs_are_ignored() {
    let echo = |number: &str, payload: &[u8]| {
        passes(
            number,
            &[frame(PING, payload)],
            &[server_frame(PONG, payload)],
        )
    };
    let ten = |number: &str| {
        let payloads: Vec<String> = (0..10).map(|n| format!("payload-{n}")).collect();
        let pings: Vec<_> = payloads
            .iter()
            .map(|it| frame(PING, it.as_bytes()))
            .collect();
        let pongs: Vec<_> = payloads
            .iter()
            .map(|it| server_frame(PONG, it.as_bytes()))
            .collect();
        passes(number, &pings, &pongs)
    };
    let cases = [
        echo("2.1", b""),
        echo("2.2", b"Hello, world!"),
        echo("2.3", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
        echo("2.4", &[0xFE; 125]),
        fails("2.5", &[frame(PING, &[0xFE; 126])], &[], PROTOCOL),
        echo("2.6", &[0xFE; 125]).chopped(Chops::Bytes(1)),
        passes("2.7", &[frame(PONG, b"")], &[]),
        passes("2.8", &[frame(PONG, b"unsolicited pong payload")], &[]),
        passes(
            "2.9",
            &[
                frame(PONG, b"unsolicited pong payload"),
                frame(PING, b"ping payload"),
            ],
            &[server_frame(PONG, b"ping payload")],
        ),
        ten("2.10"),
        ten("2.11").chopped(Chops::Bytes(1)),
    ];
    check(cases, 11).await;
}

#[tokio::test]
async fn reserved_bits_and_opcodes_fail_the_connection() {
    let text = b"Hello, world!";
    let echoed = server_frame(TEXT, text);
    // The messages before the fault come back, the ping behind it is not answered.
    let after = |number: &str, first: u8, chops| {
        let frames = [frame(TEXT, text), frame(first, text), frame(PING, b"")];
        fails(number, &frames, std::slice::from_ref(&echoed), PROTOCOL).chopped(chops)
    };
    let alone = |number: &str, first: u8| fails(number, &[frame(first, text)], &[], PROTOCOL);
    let reserved = [
        alone("3.1", TEXT | 0x10),
        after("3.2", TEXT | 0x20, Chops::None),
        after("3.3", TEXT | 0x30, Chops::Frames),
        after("3.4", TEXT | 0x40, Chops::Bytes(1)),
        alone("3.5", BINARY | 0x50),
        alone("3.6", PING | 0x60),
        alone("3.7", CLOSE | 0x70),
        fails("4.1.1", &[frame(0x83, b"")], &[], PROTOCOL),
        alone("4.1.2", 0x84),
        after("4.1.3", 0x85, Chops::None),
        after("4.1.4", 0x86, Chops::None),
        after("4.1.5", 0x87, Chops::Bytes(1)),
        fails("4.2.1", &[frame(0x8B, b"")], &[], PROTOCOL),
        alone("4.2.2", 0x8C),
        after("4.2.3", 0x8D, Chops::None),
        after("4.2.4", 0x8E, Chops::None),
        after("4.2.5", 0x8F, Chops::Bytes(1)),
    ];
    check(reserved, 17).await;
}

#[tokio::test]
async fn fragments_are_put_together_and_those_out_of_place_fail_the_connection() {
    let parts = [frame(TEXT_PART, b"fragment1"), frame(LAST, b"fragment2")];
    let whole = [server_frame(TEXT, b"fragment1fragment2")];
    let with_ping = [
        parts[0].clone(),
        frame(PING, b"ping payload"),
        parts[1].clone(),
    ];
    let ponged = [server_frame(PONG, b"ping payload"), whole[0].clone()];
    let nothing = |first| {
        [
            frame(first, b"non-continuation payload"),
            frame(TEXT, b"Hello, world!"),
        ]
    };
    let refused = |number: &str, frames: &[Vec<u8>]| fails(number, frames, &[], PROTOCOL);
    let twice = |first: u8| {
        let stray = frame(first, b"fragment1");
        let once = vec![
            stray,
            frame(TEXT_PART, b"fragment2"),
            frame(LAST, b"fragment3"),
        ];
        [once.clone(), once].concat()
    };
    let long = [
        frame(TEXT_PART, b"fragment1"),
        frame(PART, b"fragment2"),
        frame(PING, b"pongme 1!"),
        frame(PART, b"fragment3"),
        frame(PART, b"fragment4"),
        frame(PING, b"pongme 2!"),
        frame(LAST, b"fragment5"),
    ];
    let long_echoed = [
        server_frame(PONG, b"pongme 1!"),
        server_frame(PONG, b"pongme 2!"),
        server_frame(TEXT, b"fragment1fragment2fragment3fragment4fragment5"),
    ];
    let mut behind = parts.to_vec();
    behind.extend(nothing(PART));
    let cases = [
        refused(
            "5.1",
            &[frame(0x09, b"fragment1"), frame(LAST, b"fragment2")],
        ),
        refused(
            "5.2",
            &[frame(0x0A, b"fragment1"), frame(LAST, b"fragment2")],
        ),
        passes("5.3", &parts, &whole),
        passes("5.4", &parts, &whole).chopped(Chops::Frames),
        passes("5.5", &parts, &whole).chopped(Chops::Bytes(1)),
        passes("5.6", &with_ping, &ponged),
        passes("5.7", &with_ping, &ponged).chopped(Chops::Frames),
        passes("5.8", &with_ping, &ponged).chopped(Chops::Bytes(1)),
        refused("5.9", &nothing(LAST)),
        refused("5.10", &nothing(LAST)).chopped(Chops::Frames),
        refused("5.11", &nothing(LAST)).chopped(Chops::Bytes(1)),
        refused("5.12", &nothing(PART)),
        refused("5.13", &nothing(PART)).chopped(Chops::Frames),
        refused("5.14", &nothing(PART)).chopped(Chops::Bytes(1)),
        fails("5.15", &behind, &whole, PROTOCOL),
        refused("5.16", &twice(PART)),
        refused("5.17", &twice(LAST)),
        refused(
            "5.18",
            &[frame(TEXT_PART, b"fragment1"), frame(TEXT, b"fragment2")],
        ),
        passes("5.19", &long, &long_echoed).chopped(Chops::Frames),
        passes("5.20", &long, &long_echoed).chopped(Chops::Frames),
    ];
    check(cases, 20).await;
}

/// The Greek word of the suite, and the same with a code point that does not exist.
const WORD: &[u8] = "κόσμε".as_bytes();
const BEYOND: &[u8] = b"\xf4\x90\x80\x80";

#[tokio::test]
async fn texts_that_are_not_utf_8_fail_the_connection() {
    let invalid = [WORD, b"\xed\xa0\x80edited"].concat();
    let beyond = [WORD, BEYOND, b"edited"].concat();
    let bytes = |text: &[u8]| -> Vec<Vec<u8>> {
        let last = text.len() - 1;
        (0..=last)
            .map(|at| {
                frame(
                    if at == last { LAST } else { PART } | u8::from(at == 0),
                    &text[at..=at],
                )
            })
            .collect()
    };
    let valid = "Hello-µ@ßöäüàá-UTF-8!!".as_bytes();
    let three = |parts: [&[u8]; 3]| {
        [
            frame(TEXT_PART, parts[0]),
            frame(PART, parts[1]),
            frame(LAST, parts[2]),
        ]
    };
    let echoed = |text: &[u8]| [server_frame(TEXT, text)];
    let (head, tail) = valid.split_at(10);
    let late = [WORD, b"\xf4"].concat();
    let cases = [
        passes("6.1.1", &[frame(TEXT, b"")], &echoed(b"")),
        passes("6.1.2", &three([b"", b"", b""]), &echoed(b"")),
        passes(
            "6.1.3",
            &three([b"", b"middle frame payload", b""]),
            &echoed(b"middle frame payload"),
        ),
        passes("6.2.1", &[frame(TEXT, valid)], &echoed(valid)),
        passes(
            "6.2.2",
            &[frame(TEXT_PART, head), frame(LAST, tail)],
            &echoed(valid),
        ),
        passes("6.2.3", &bytes(valid), &echoed(valid)),
        passes("6.2.4", &bytes(WORD), &echoed(WORD)),
        fails("6.3.1", &[frame(TEXT, &invalid)], &[], NOT_UTF8),
        fails("6.3.2", &bytes(&invalid), &[], NOT_UTF8),
        fails("6.4.1", &three([WORD, BEYOND, b"edited"]), &[], NOT_UTF8),
        fails(
            "6.4.2",
            &three([&late, b"\x90", b"\x80\x80edited"]),
            &[],
            NOT_UTF8,
        ),
        fails("6.4.3", &[frame(TEXT, &beyond)], &[], NOT_UTF8).chopped(Chops::Bytes(12)),
        fails("6.4.4", &[frame(TEXT, &beyond)], &[], NOT_UTF8).chopped(Chops::Bytes(1)),
    ];
    check(cases, 13).await;
}

#[tokio::test]
async fn close_frames_are_answered_and_those_that_are_invalid_fail_the_connection() {
    let text = frame(TEXT, b"Hello World!");
    let echoed = [server_frame(TEXT, b"Hello World!")];
    let normal = 1000_u16.to_be_bytes();
    let close = |payload: &[u8]| frame(CLOSE, payload);
    let coded = |code: u16, reason: &[u8]| close(&[&code.to_be_bytes(), reason].concat());
    let ends = |number: &str, frames: &[Vec<u8>], code| fails(number, frames, &[], code);
    let mut cases = vec![
        passes("7.1.1", std::slice::from_ref(&text), &echoed),
        ends("7.1.2", &[close(&normal), close(&normal)], 1000),
        ends("7.1.3", &[close(&normal), frame(PING, b"")], 1000),
        ends("7.1.4", &[close(&normal), text.clone()], 1000),
        ends(
            "7.1.5",
            &[
                frame(TEXT_PART, b"fragment1"),
                close(&normal),
                frame(LAST, b"fragment2"),
            ],
            1000,
        ),
        fails(
            "7.1.6",
            &[
                frame(TEXT, &[b'x'; 262_144]),
                text.clone(),
                close(&normal),
                frame(PING, b""),
            ],
            &[server_frame(TEXT, &[b'x'; 262_144]), echoed[0].clone()],
            1000,
        ),
        ends("7.3.1", &[close(b"")], 1000),
        ends("7.3.2", &[close(b"a")], PROTOCOL),
        ends("7.3.3", &[close(&normal)], 1000),
        ends("7.3.4", &[coded(1000, b"Hello World!")], 1000),
        ends("7.3.5", &[coded(1000, &[b'*'; 123])], 1000),
        ends("7.3.6", &[coded(1000, &[b'*'; 124])], PROTOCOL),
        ends(
            "7.5.1",
            &[coded(1000, &[WORD, BEYOND, b"edited"].concat())],
            NOT_UTF8,
        ),
        ends("7.13.1", &[coded(5000, b"")], PROTOCOL),
        ends("7.13.2", &[close(&65_536_u32.to_be_bytes())], PROTOCOL),
    ];
    for (n, code) in (1..).zip([
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ]) {
        cases.push(ends(&format!("7.7.{n}"), &[coded(code, b"")], code));
    }
    for (n, code) in (1..).zip([0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999]) {
        cases.push(ends(&format!("7.9.{n}"), &[coded(code, b"")], PROTOCOL));
    }
    check(cases, 37).await;
}

#[tokio::test]
async fn large_and_many_messages_come_back() {
    const KIB: usize = 1024;
    let mut cases = Vec::new();
    for (kind, first, part) in [(1, TEXT, TEXT_PART), (2, BINARY, BINARY_PART)] {
        for (n, length) in (1..).zip([
            64 * KIB,
            256 * KIB,
            KIB * KIB,
            4 * KIB * KIB,
            8 * KIB * KIB,
            16 * KIB * KIB,
        ]) {
            let payload = vec![b'*'; length];
            let echoed = [server_frame(first, &payload)];
            cases.push(passes(
                format!("9.{kind}.{n}"),
                &[frame(first, &payload)],
                &echoed,
            ));
        }
        let payload = vec![b'*'; 4 * KIB * KIB];
        let echoed = [server_frame(first, &payload)];
        for (n, fragment) in (1..).zip([
            64,
            256,
            KIB,
            4 * KIB,
            16 * KIB,
            64 * KIB,
            256 * KIB,
            KIB * KIB,
            4 * KIB * KIB,
        ]) {
            let count = payload.len() / fragment;
            let frames: Vec<_> = (0..count)
                .map(|at| {
                    let fin = if at + 1 == count { LAST } else { 0 };
                    frame(
                        fin | if at == 0 { part } else { PART },
                        &payload[..fragment],
                    )
                })
                .collect();
            cases.push(passes(format!("9.{}.{n}", kind + 2), &frames, &echoed));
        }
        for (n, chop) in (1..).zip([64, 128, 256, 512, 1024, 2048]) {
            let payload = &payload[..256 * KIB];
            let case = passes(
                format!("9.{}.{n}", kind + 4),
                &[frame(first, payload)],
                &[server_frame(first, payload)],
            );
            cases.push(case.chopped(Chops::Bytes(chop)));
        }
        for (n, length) in (1..).zip([0, 16, 64, 256, 1024, 4096]) {
            let payload = &payload[..length];
            let (sent, echoed) = (frame(first, payload), server_frame(first, payload));
            cases.push(passes(
                format!("9.{}.{n}", kind + 6),
                &vec![sent; 1000],
                &vec![echoed; 1000],
            ));
        }
    }
    let payload = vec![b'*'; 65_536];
    let case = passes(
        "10.1.1",
        &[frame(TEXT, &payload)],
        &[server_frame(TEXT, &payload)],
    );
    cases.push(case.chopped(Chops::Bytes(1300)));
    check(cases, 55).await;
}
