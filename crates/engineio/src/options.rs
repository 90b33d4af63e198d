//! The intervals and limits of connections.

use std::time::Duration;

use super::receiver::Limits;

/// The intervals and limits of an engine's connections.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The time from one ping to the next.
    pub ping_interval: Duration,
    /// How long the answer to a ping may take.
    pub ping_timeout: Duration,
    /// How long the upgrade from polling to a WebSocket may take.
    pub upgrade_timeout: Duration,
    /// How many messages may be queued for one connection.
    pub messages_max: usize,
    /// The largest message that a peer may send over a WebSocket.
    pub message_bytes_max: usize,
    /// The largest message or body of a peer that the door does not know.
    pub stranger_bytes_max: usize,
    /// The limits of a WebSocket's frames.
    pub websocket: Limits,
    /// The largest body of a polling request, in either direction.
    pub payload_bytes_max: usize,
}

impl Default for Options {
    /// The defaults of engine.io.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            messages_max: 16_384,
            message_bytes_max: 1_000_000,
            stranger_bytes_max: 1_000_000,
            websocket: Limits::default(),
            payload_bytes_max: 1_000_000,
        }
    }
}
