//! Connections that carry messages: WebSocket, and Engine.IO 4 over it and over polling.
//!
//! Each file imports only files above it:
//! ```text
//! frame          RFC 6455: headers and masks
//! decoder        decodes bytes into whole messages
//! message        an outgoing message, encoded once for all its receivers
//! batch          the bytes that are handed to the kernel in one write
//! tcp            a TCP connection that any task may write to
//! outbox         the bounded queue of a connection's outgoing messages
//! receiver       the interface of what receives messages
//! progress       messages arrive in time, and few frames carry nothing
//! websocket      one task for each connection: reads, writes, observes deadlines
//!
//! options        intervals and limits
//! answer         answers to HTTP requests, and their error codes
//! packet         the packets of Engine.IO
//! payload        several packets as one HTTP body
//! heartbeat      when a ping is due, and when its answer is late
//! upgrade        from an HTTP request to a stream of bytes, and to a WebSocket without Engine.IO
//! stage          open, upgrading, closing, closed, and who may act in it
//! polling_state  what a connection that polls has beside a WebSocket
//! connection     one Engine.IO connection, over polling or a WebSocket
//! door           the interface that the owner of an engine implements
//! shared         the state that an engine and its connections share
//! polling        an Engine.IO connection over HTTP requests
//! link           an Engine.IO connection over a WebSocket; the upgrade from polling
//! engine         the server: opens connections, routes requests to them
//! ```
//! This transport is our own because the costs of a connection dominate a server that
//! sends each message to many. Measured with engineioxide 0.17 and tungstenite: three
//! tasks and 20 KiB for an idle connection, an allocation and several layers for each
//! receiver of a message, and a copy of every payload for each of them, so that 150
//! clients opening a document of 20 MB took 3 GB. Here a connection is one task, owns no
//! buffer while it is idle, and shares the memory of a message with all other receivers.
//!
//! The crate knows nothing of rooms, sessions or Socket.IO. The README beside it lists
//! its promises and its limits.

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
mod progress;
mod receiver;
mod shared;
mod stage;
mod tcp;
mod upgrade;
mod websocket;

pub use self::{
    answer::Answer,
    connection::{Connection, Reason, Sid},
    door::Door,
    engine::Engine,
    frame::Violation,
    message::{DataFrame, Message, Text},
    options::Options,
    outbox::{Outbox, Sent, Writer},
    packet::message_text,
    receiver::{Busy, Ended, Limits, Receiver},
    stage::Carrier,
    upgrade::{Opened, Unwrap, Upgrade},
    websocket::serve,
};
