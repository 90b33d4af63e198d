//! How a client connects: the WebSocket, and what each protocol says before the first request.

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

use crate::{
    stock, token,
    wire::{self, Decoder, Incoming, Wire},
};

/// The read buffer of each connection; larger messages are read in several steps.
const READ_BUFFER_BYTES: usize = 16 << 10;

/// The largest message that is accepted: a whole document.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// The address that clients connect to.
#[derive(Clone, Debug)]
pub struct Address {
    /// The port on this machine.
    pub port: u16,
    /// The protocol.
    pub wire: Wire,
}

/// A WebSocket that the generator reads message by message.
pub type Socket = WebSocketStream<TcpStream>;

/// Connects `user`, who will edit `room`, and waits for the server's greeting.
pub async fn open(address: &Address, user: &str, room: &str) -> Result<(Socket, Decoder)> {
    let tcp = TcpStream::connect(("127.0.0.1", address.port)).await?;
    tcp.set_nodelay(true)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .max_message_size(Some(MESSAGE_BYTES_MAX));
    let token = token::sign(user)?;
    let path = match address.wire {
        Wire::YWebsocket => format!("yjs/{room}?token={token}"),
        Wire::Hocuspocus => "hocuspocus".to_owned(),
        Wire::SocketIo | Wire::YSocketIo | Wire::Bare => {
            "socket.io/?EIO=4&transport=websocket".to_owned()
        }
    };
    let url = format!("ws://127.0.0.1:{}/{path}", address.port);
    let (mut socket, _) = client_async_with_config(url, tcp, Some(config)).await?;
    let mut decoder = Decoder::new(address.wire, room);
    let is_connected = |incoming: &Incoming| *incoming == Incoming::Connected;
    if address.wire == Wire::Hocuspocus {
        let shown = stock::token(&stock::address(room), &token);
        socket.send(shown).await?;
        expect(&mut socket, &mut decoder, is_connected).await?;
    }
    if address.wire.is_socket_io() {
        let is_open = |incoming: &Incoming| *incoming == Incoming::Opened;
        expect(&mut socket, &mut decoder, is_open).await?;
        let namespace = match address.wire {
            Wire::YSocketIo => wire::namespace(room),
            _ => String::new(),
        };
        let auth = format!(r#"40{namespace}{{"token":"{token}"}}"#);
        socket.send(Message::Text(Utf8Bytes::from(auth))).await?;
        expect(&mut socket, &mut decoder, is_connected).await?;
    }
    if address.wire == Wire::SocketIo {
        let greeted = |incoming: &Incoming| matches!(incoming, Incoming::Event(json) if json.starts_with(r#"["connection""#));
        expect(&mut socket, &mut decoder, greeted).await?;
    }
    Ok((socket, decoder))
}

/// The answer to a ping of Engine.IO.
pub fn pong() -> Message {
    Message::Text(Utf8Bytes::from_static("3"))
}

async fn expect(
    socket: &mut Socket,
    decoder: &mut Decoder,
    wanted: impl Fn(&Incoming) -> bool,
) -> Result<()> {
    loop {
        let message = socket
            .next()
            .await
            .context("the server closed the connection")??;
        match decoder.take(message)? {
            Some(incoming) if wanted(&incoming) => return Ok(()),
            None => {}
            Some(Incoming::Ping) => socket.send(pong()).await?,
            Some(other) => bail!("unexpected while connecting: {other:?}"),
        }
    }
}
