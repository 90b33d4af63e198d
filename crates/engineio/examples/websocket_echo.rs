//! A WebSocket server without Engine.IO that sends back what it is sent, as Autobahn's suite expects it:
//! `cargo run -p engineio --example websocket_echo -- 9001`. `tests/autobahn/run` runs that suite with it.

#![expect(clippy::disallowed_methods, reason = "an example owns its tasks")]

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use engineio::{Busy, Ended, Limits, Message, Outbox, Receiver, serve};
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// The largest message of the suite has 16 MiB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// The most messages that wait for a peer.
const MESSAGES_MAX: usize = 10_000;
/// The longest request.
const REQUEST_BYTES_MAX: usize = 8192;

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
        Instant::now() + Duration::from_secs(3600)
    }

    fn on_alarm(&mut self) {}

    fn ended(&mut self, _: Ended) {}
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(9001))).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = echo(stream).await {
                eprintln!("{error}");
            }
        });
    }
}

/// Accepts the WebSocket that a client opens on `stream`, and serves it.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let end = loop {
        if let Some(at) = request.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
        if request.len() > REQUEST_BYTES_MAX || stream.read_buf(&mut request).await? == 0 {
            return Err(ErrorKind::InvalidData.into());
        }
    };
    let head = String::from_utf8_lossy(&request[..end]);
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let key = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let (_, key) = key.ok_or(ErrorKind::InvalidData)?;
    let digest = Sha1::new()
        .chain_update(key.trim())
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        STANDARD.encode(digest)
    );
    stream.write_all(answer.as_bytes()).await?;
    // The suite sends many small frames.
    let limits = Limits {
        bare_frames_burst: u32::MAX,
        ..Limits::default()
    };
    serve(
        stream,
        &request[end..],
        limits,
        Echo(Outbox::new(MESSAGES_MAX)),
    )
    .await;
    Ok(())
}
