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
//! packet       the packets of Engine.IO; `payload`: several of them as one body
//! connection   one Engine.IO connection, whatever carries it
//! options      times and sizes; `door`: what the owner of an engine implements
//! heartbeat    whether the peer is still there
//! shared       what the connections of an engine share; how each begins and ends
//! polling      an Engine.IO connection over HTTP requests; `polling_state` orders them
//! link         an Engine.IO connection over a WebSocket; moving one there
//! engine       Engine.IO: which request is for which connection; `answer`
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

mod answer;
mod batch;
mod connection;
mod decoder;
mod door;
mod engine;
mod frame;
mod heartbeat;
mod link;
mod message;
mod options;
mod outbox;
mod packet;
mod payload;
mod polling;
mod polling_state;
mod shared;
mod tcp;
mod upgrade;
mod websocket;

pub use self::{
    connection::{Carrier, Connection, Reason, Sid},
    door::Door,
    engine::Engine,
    frame::Violation,
    message::{DataFrame, Message, Text},
    options::Options,
    outbox::{Outbox, Sent, Writer},
    packet::message_text,
    websocket::{Ended, Receiver, serve},
};
