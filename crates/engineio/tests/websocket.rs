//! A WebSocket connection over real TCP, driven byte by byte.

#![expect(clippy::disallowed_methods, reason = "a test owns its tasks")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use engineio::{Busy, Ended, Limits, Message, Outbox, Receiver, Sent, serve};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{Instant, timeout},
};

const MESSAGE_BYTES_MAX: usize = 100_000;
const LIMITS: Limits = Limits {
    partial_timeout: Duration::from_secs(3),
    bare_frames_per_second: 1,
    bare_frames_burst: 300,
};

/// The calls that the receiver got, and the connection's outbox.
struct Peer {
    outbox: Outbox,
    events: Mutex<Vec<String>>,
    /// Set while the receiver is busy.
    busy: Mutex<Option<Arc<Notify>>>,
    /// How often it was asked.
    asked: AtomicUsize,
}

struct Echo(Arc<Peer>);

impl Receiver for Echo {
    fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    fn text(&mut self, text: &str) {
        self.0.events.lock().push(text.to_owned());
        if text == "close" {
            self.0.outbox.close(Some(4001));
        }
        self.0.outbox.send(Message::text(text));
    }

    fn binary(&mut self, bytes: Bytes) {
        self.0.outbox.send(Message::binary(bytes));
    }

    fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    fn busy(&mut self) -> Option<Busy> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let busy = self.0.busy.lock().clone()?;
        Some(Box::pin(async move { busy.notified().await }))
    }

    fn alarm(&self) -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn on_alarm(&mut self) {}

    fn ended(&mut self, ended: Ended) {
        self.0.events.lock().push(format!("{ended:?}"));
    }
}

/// A connection: the client's end, and the server's.
async fn connect() -> (TcpStream, Arc<Peer>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let client = client.expect("a connection");
    client.set_nodelay(true).expect("an option");
    let peer = Arc::new(Peer {
        outbox: Outbox::new(1000),
        events: Mutex::default(),
        busy: Mutex::default(),
        asked: AtomicUsize::new(0),
    });
    let stream = accepted.expect("a connection").0;
    let receiver = Echo(Arc::clone(&peer));
    tokio::spawn(serve(stream, &[], LIMITS, receiver));
    (client, peer)
}

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0xA5, 0x5A, 0x3C, 0xC3];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        middle @ 126..65_536 => {
            bytes.push(0xFE);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0xFF);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    bytes
}

/// Reads exactly `bytes` from the server.
async fn read(client: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    let reading = client.read_exact(&mut read);
    timeout(Duration::from_secs(20), reading)
        .await
        .expect("in time")
        .expect("the bytes");
    read
}

/// The bytes that the server sends before it closes, and whether it closed without an error.
async fn read_to_end(client: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(20), client.read_to_end(&mut rest));
    let closed = ended.await.expect("in time").is_ok();
    (rest, closed)
}

async fn until(peer: &Peer, event: &str) {
    let seen = async {
        while !peer.events.lock().iter().any(|it| it == event) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let seen = timeout(Duration::from_secs(10), seen).await;
    assert!(seen.is_ok(), "{event}: {:?}", peer.events.lock());
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_may_arrive_byte_by_byte() {
    let (mut client, _peer) = connect().await;
    let sent = [
        frame(0x81, b"a text"),
        frame(0x02, b"by"),
        frame(0x89, b"ping"),
        frame(0x80, b"tes"),
        frame(0x81, &[b'x'; 300]),
    ];
    for byte in sent.concat() {
        client.write_all(&[byte]).await.expect("to write");
        tokio::task::yield_now().await;
    }
    let mut expected = b"\x81\x06a text\x8a\x04ping\x82\x05bytes\x81\x7e\x01\x2c".to_vec();
    expected.extend([b'x'; 300]);
    assert_eq!(read(&mut client, expected.len()).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_arrive_unchanged_even_at_a_slow_reader() {
    let (mut client, peer) = connect().await;
    let large: Vec<u8> = (0..MESSAGE_BYTES_MAX).map(|n| n as u8).collect();
    client.write_all(&frame(0x82, &large)).await.expect("write");
    let echo = read(&mut client, 10 + large.len()).await;
    assert!(echo.ends_with(&large), "as it was sent");
    let huge: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 7) as u8).collect();
    peer.outbox.send(Message::binary(huge.clone().into()));
    peer.outbox.send(Message::text("behind"));
    let mut got = Vec::new();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        got.extend(read(&mut client, 1_000_000).await);
    }
    got.extend(read(&mut client, 10).await);
    assert!(got[10..] == huge);
    assert_eq!(read(&mut client, 8).await, b"\x81\x06behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_are_answered_with_their_code_and_reported() {
    let unmasked = b"\x81\x01x".to_vec();
    let oversized = frame(0x82, &vec![0; MESSAGE_BYTES_MAX + 1])[..14].to_vec();
    let fragments = [
        frame(0x02, &vec![0; MESSAGE_BYTES_MAX]),
        frame(0x80, b"x")[..6].to_vec(),
    ];
    for (bytes, code) in [
        (unmasked, 1002_u16),
        (oversized, 1009),
        (fragments.concat(), 1009),
        (frame(0xC1, b"reserved bit"), 1002),
        (frame(0x83, b"reserved opcode"), 1002),
        (frame(0x09, b"a fragmented ping"), 1002),
        (frame(0x89, &[0; 126]), 1002),
        (frame(0x80, b"continues nothing"), 1002),
        (frame(0x81, &[0xC0, 0x80]), 1007),
    ] {
        let (mut client, peer) = connect().await;
        client.write_all(&bytes).await.expect("to write");
        let close = [&[0x88, 2][..], &code.to_be_bytes()].concat();
        let (rest, _) = read_to_end(&mut client).await;
        assert_eq!(rest, close, "{:?}", peer.events.lock());
        assert!(peer.events.lock()[0].starts_with("Violated"));
        assert_eq!(peer.outbox.send(Message::text("late")), Sent::Over);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_that_carry_nothing_is_ended() {
    let fragments = [frame(0x01, b"x"), frame(0x00, b"").repeat(301)].concat();
    for flood in [
        frame(0x89, b"").repeat(301),
        frame(0x8A, b"late").repeat(301),
        frame(0x82, b"").repeat(301),
        fragments,
    ] {
        let (mut client, peer) = connect().await;
        let allowed = flood.len() / 302 * 250;
        client.write_all(&flood[..allowed]).await.expect("to write");
        client.write_all(&flood[allowed..]).await.expect("to write");
        let (rest, _) = read_to_end(&mut client).await;
        assert!(rest.ends_with(&[0x88, 2, 0x03, 0xF0]), "1008");
        assert_eq!(*peer.events.lock(), ["Violated(TooManyFrames)"]);
    }
    let (mut client, _peer) = connect().await;
    let large = [
        frame(0x02, &[b'x'; 64]),
        frame(0x00, &[b'x'; 64]).repeat(1000),
    ];
    let whole = [large.concat(), frame(0x80, b"x")].concat();
    client.write_all(&whole).await.expect("to write");
    let expected = 1001 * 64 + 1;
    assert_eq!(
        read(&mut client, 4 + expected).await.len(),
        4 + expected,
        "not a flood"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_end_is_ended() {
    for partial in [
        frame(0x82, &[0; 500])[..300].to_vec(),
        frame(0x01, b"a fragment"),
        vec![0x82],
    ] {
        let (mut client, peer) = connect().await;
        client.write_all(&partial).await.expect("to write");
        let (rest, _) = read_to_end(&mut client).await;
        assert_eq!(rest, [0x88, 2, 0x03, 0xF0], "1008");
        assert_eq!(*peer.events.lock(), ["Violated(Incomplete)"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_while_the_receiver_is_busy_and_its_task_sleeps() {
    let (mut client, peer) = connect().await;
    *peer.busy.lock() = Some(Arc::default());
    client
        .write_all(&frame(0x81, b"one"))
        .await
        .expect("to write");
    // Its task is awake for this message: it reads it, or finds the receiver busy before that.
    peer.outbox.send(Message::text("wake"));
    assert_eq!(read(&mut client, 6).await, b"\x81\x04wake");
    client
        .write_all(&frame(0x81, b"two"))
        .await
        .expect("to write");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let asked = peer.asked.load(Ordering::SeqCst);
    assert!(asked < 10, "asked {asked} times");
    assert!(!peer.events.lock().iter().any(|it| it == "two"));
    let busy = peer.busy.lock().take().expect("it is busy");
    busy.notify_waiters();
    until(&peer, "two").await;
    assert_eq!(*peer.events.lock(), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_is_answered_with_the_same_code() {
    let (mut client, peer) = connect().await;
    let close = frame(0x88, &[0x0F, 0xA0]);
    let sent = [frame(0x81, b"last"), close, frame(0x81, b"late")].concat();
    client.write_all(&sent).await.expect("to write");
    let expected = b"\x81\x04last\x88\x02\x0f\xa0".to_vec();
    assert_eq!(read(&mut client, expected.len()).await, expected);
    assert_eq!(read_to_end(&mut client).await, (vec![], true));
    assert_eq!(*peer.events.lock(), ["last", "ByPeer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_queued_before_a_close_are_still_sent() {
    let (mut client, peer) = connect().await;
    peer.outbox.send(Message::text("before"));
    client
        .write_all(&frame(0x81, b"close"))
        .await
        .expect("to write");
    let expected = b"\x81\x06before\x88\x02\x0f\xa1".to_vec();
    assert_eq!(read(&mut client, expected.len()).await, expected);
    client
        .write_all(&frame(0x81, b"ignored"))
        .await
        .expect("to write");
    assert_eq!(read_to_end(&mut client).await, (vec![], true));
    assert_eq!(*peer.events.lock(), ["close", "BySelf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_is_still_read_from_and_can_be_cut() {
    let (mut client, peer) = connect().await;
    for _ in 0..100 {
        peer.outbox.send(Message::binary(vec![0; 1 << 20].into()));
    }
    client
        .write_all(&frame(0x81, b"still here"))
        .await
        .expect("to write");
    until(&peer, "still here").await;
    peer.outbox.cut();
    until(&peer, "BySelf").await;
    let (rest, _) = read_to_end(&mut client).await;
    assert!(rest.len() < 100 << 20, "the rest is not sent");
    assert_eq!(Arc::strong_count(&peer), 1, "the task is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_connection_that_ends_without_a_close_frame_is_noticed() {
    let (client, peer) = connect().await;
    drop(client);
    until(&peer, "ByPeer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_and_a_flooding_peer_lose_and_reorder_nothing() {
    let (mut client, peer) = connect().await;
    let flood = async {
        let frames: Vec<u8> = (0..500_u32)
            .flat_map(|n| frame(0x82, &n.to_be_bytes()))
            .collect();
        for chunk in frames.chunks(777) {
            client.write_all(chunk).await.expect("to write");
            tokio::task::yield_now().await;
        }
    };
    let other = Arc::clone(&peer);
    let sender = tokio::spawn(async move {
        for n in 0..400_u32 {
            other.outbox.send(Message::text(&format!("{n:04}")));
            tokio::task::yield_now().await;
        }
    });
    tokio::join!(flood, async { sender.await.expect("no panic") });
    let (mut texts, mut echoes) = (0, 0_u32);
    for _ in 0..900 {
        let frame = read(&mut client, 6).await;
        match frame[0] {
            0x81 => {
                assert_eq!(frame[2..], *format!("{texts:04}").as_bytes());
                texts += 1;
            }
            _ => {
                assert_eq!(frame[2..], echoes.to_be_bytes());
                echoes += 1;
            }
        }
    }
    assert_eq!((texts, echoes), (400, 500));
}
