//! A WebSocket server that sends back what it is sent, and a client of bytes.

use std::time::Duration;

use bytes::Bytes;
use engineio::{Busy, Ended, Limits, Message, Outbox, Receiver, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

/// The largest message.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

struct Echo(Outbox);

impl Receiver for Echo {
    fn outbox(&self) -> &Outbox {
        &self.0
    }

    fn text(&mut self, text: &str) {
        self.0.send(Message::text(text));
    }

    fn binary(&mut self, bytes: Bytes) {
        self.0.send(Message::binary(bytes));
    }

    fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    fn busy(&mut self) -> Option<Busy> {
        None
    }

    fn alarm(&self) -> Instant {
        Instant::now() + TIMEOUT
    }

    fn on_alarm(&mut self) {}

    fn ended(&mut self, _: Ended) {}
}

/// Sends `pieces` to a server, each with a write of its own, and returns all that it answers until it closes.
pub async fn answer(pieces: impl Iterator<Item = &[u8]>) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let client = client.expect("a connection");
    client.set_nodelay(true).expect("an option");
    let stream = accepted.expect("a connection").0;
    let echo = Echo(Outbox::new(10_000));
    // The cases send thousands of small frames at once.
    let limits = Limits {
        bare_frames_burst: u32::MAX,
        ..Limits::default()
    };
    let serving = tokio::spawn(serve(stream, &[], limits, echo));
    let (mut reader, mut writer) = client.into_split();
    let sending = async {
        for piece in pieces {
            // The server may have closed before the last of them.
            if writer.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        let mut answer = Vec::new();
        // After a fault there may be bytes that the server has not read: it resets the connection then.
        let _ = reader.read_to_end(&mut answer).await;
        answer
    };
    let both = async { tokio::join!(sending, reading).1 };
    let answer = timeout(TIMEOUT, both).await.expect("in time");
    serving.abort();
    answer
}

/// A frame as a client sends it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0xA5, 0x5A, 0x3C, 0xC3];
    let mut bytes = header(first, 0x80, payload.len());
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    bytes
}

/// A frame as the server sends it.
pub fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, 0, payload.len());
    bytes.extend(payload);
    bytes
}

fn header(first: u8, mask_bit: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(mask_bit | length as u8),
        126..65_536 => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes
}
