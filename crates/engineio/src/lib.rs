//! Connections that carry messages: WebSocket, and Engine.IO 4 on it and on polling.
//!
//! ```text
//! frame        RFC 6455: headers and masks
//! decoder      from bytes to whole messages
//! message      a message on its way out, encoded once for all its receivers
//! outbox       the way out of one connection: a bounded queue
//! batch        what goes to the kernel in one write
//! websocket    one task for each connection: reads, writes, keeps time
//! tcp          a TCP connection that is written from anywhere
//! upgrade      from an HTTP request to a stream of bytes
//! engineio     Engine.IO: sessions, handshake, what a request may ask for
//! connection   one Engine.IO connection, whatever carries it
//! heartbeat    whether the peer is still there
//! link         an Engine.IO connection over a WebSocket; moving one there
//! polling      an Engine.IO connection over HTTP requests
//! ```
//! This is ours because a server that fans out lives by what a connection
//! costs. Measured with engineioxide 0.17 and tungstenite: three tasks and
//! 20 KiB for an idle connection, an allocation and several layers for each
//! receiver of a message, and a copy of every payload for each of them, so
//! that 150 clients opening a document of 20 MB took 3 GB. Here a connection
//! is one task, owns no buffer while it is idle, and sends what others send
//! as well from one place.
//!
//! Nothing here knows of rooms, sessions or Socket.IO. What it promises, and what
//! it does not do, is in the README beside this.

mod batch;
mod connection;
mod decoder;
mod engineio;
mod frame;
mod heartbeat;
mod link;
mod message;
mod outbox;
mod polling;
mod tcp;
mod upgrade;
mod websocket;

pub use self::{
    connection::{Carrier, Connection, Reason, Sid},
    engineio::{Door, Engine, Options, message_text},
    frame::Violation,
    message::{Message, Packet, Text},
    outbox::{Outbox, Sent, Writer},
    websocket::{Ended, Receiver, serve},
};
