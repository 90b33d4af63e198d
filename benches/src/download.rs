//! A client that receives a document without keeping it.
//!
//! 150 documents of 20 MB are 3 GB: a generator that kept them would measure how fast this machine
//! allocates memory.

use std::cell::RefCell;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::{
    connect::{self, Address},
    wire::{Encoder, Incoming},
    yjs,
};

/// Messages up to this size are read at once; the document is longer and is read in parts.
const BUFFER_BYTES: usize = 64 << 10;

/// A final frame that is not a control frame (RFC 6455, 5.2).
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// The bytes that all clients receive: the first client to receive a part stores it, the others
/// compare.
#[derive(Debug, Default)]
pub struct Common {
    bytes: RefCell<Vec<u8>>,
}

impl Common {
    fn take(&self, place: usize, bytes: &[u8]) -> Result<()> {
        let mut common = self.bytes.borrow_mut();
        let known = common.get(place..).context("a gap")?;
        let (old, new) = bytes.split_at(known.len().min(bytes.len()));
        ensure!(
            known.starts_with(old),
            "two clients received different bytes"
        );
        common.extend_from_slice(new);
        Ok(())
    }

    /// The bytes that all clients received.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_inner()
    }
}

/// Connects `user`, joins `room` and reads until the document is received.
pub async fn download(address: &Address, user: &str, room: &str, common: &Common) -> Result<()> {
    let (mut socket, mut decoder) = connect::open(address, user, "").await?;
    let mut asked = Vec::new();
    let known = Bytes::from_static(yjs::NOTHING_KNOWN);
    Encoder::new(address.wire, room).request("join_room", 1, known, |part| asked.push(part));
    for part in asked {
        socket.send(part).await?;
    }
    // No request was sent before, so nothing has been read ahead.
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, socket.into_inner());
    let mut document = false;
    loop {
        let (kind, len) = frame(&mut stream).await?;
        let message = if kind == BINARY && len > BUFFER_BYTES {
            document = true;
            body(&mut stream, len, common).await?;
            Message::Binary(Bytes::new())
        } else {
            let mut bytes = vec![0; len];
            stream.read_exact(&mut bytes).await?;
            match kind {
                TEXT => Message::Text(Utf8Bytes::try_from(bytes)?),
                BINARY => Message::Binary(Bytes::from(bytes)),
                other => bail!("a frame of kind {other:#x}"),
            }
        };
        if let Some(Incoming::Answer(answer)) = decoder.take(message)? {
            ensure!(answer.ok(), "join_room was refused: {}", answer.json);
            ensure!(document, "a join without the document");
            return Ok(());
        }
    }
}

/// The header of a frame: its kind, and the number of bytes that follow.
async fn frame(stream: &mut BufReader<TcpStream>) -> Result<(u8, usize)> {
    let kind = stream.read_u8().await?;
    let len = match stream.read_u8().await? {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    Ok((kind, usize::try_from(len)?))
}

async fn body(stream: &mut BufReader<TcpStream>, len: usize, common: &Common) -> Result<()> {
    let mut place = 0;
    while place < len {
        let read = stream.fill_buf().await?;
        ensure!(!read.is_empty(), "the server closed the connection");
        let part = read.len().min(len - place);
        common.take(place, &read[..part])?;
        stream.consume(part);
        place += part;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_differs_is_noticed() {
        let common = Common::default();
        common.take(0, b"abc").unwrap();
        common.take(0, b"ab").unwrap();
        common.take(2, b"cde").unwrap();
        assert!(common.take(3, b"dx").is_err());
        assert!(common.take(9, b"x").is_err(), "a gap");
        assert_eq!(common.into_bytes(), b"abcde");
    }
}
