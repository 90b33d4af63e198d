//! How connections are kept: times and sizes.

use std::time::Duration;

/// How connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// From one ping to the next.
    pub ping_interval: Duration,
    /// How long its answer may take.
    pub ping_timeout: Duration,
    /// How long moving to a WebSocket may take.
    pub upgrade_timeout: Duration,
    /// How many messages may wait for one connection.
    pub messages_max: usize,
    /// The largest message that a WebSocket may bring.
    pub message_bytes_max: usize,
    /// The largest body of a polling request, either way.
    pub payload_bytes_max: usize,
}

impl Default for Options {
    /// As engine.io has them.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            messages_max: 16_384,
            message_bytes_max: 1_000_000,
            payload_bytes_max: 1_000_000,
        }
    }
}
