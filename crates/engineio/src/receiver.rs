//! The interface of what receives the messages of a WebSocket, and the limits of its frames.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{frame::Violation, outbox::Outbox};

/// Work that has to end before further messages are taken.
pub type Busy = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Receives the messages of a connection. Called from its task, in order; must not block.
///
/// It ends the connection through its [`Outbox`]; after that only [`ended`](Self::ended)
/// is called.
pub trait Receiver: Send + Unpin + 'static {
    /// The queue of the connection's outgoing messages.
    fn outbox(&self) -> &Outbox;

    /// A text message arrived.
    fn text(&mut self, text: &str);

    /// A binary message arrived.
    fn binary(&mut self, bytes: Bytes);

    /// The largest message that is read at present. Asked before each message.
    fn message_bytes_max(&self) -> usize;

    /// Whether the messages received so far mean nothing without further ones, which have to
    /// arrive in time.
    fn awaits_more(&self) -> bool {
        false
    }

    /// What has to end before further messages are taken; `None` if they are taken now. Asked
    /// in every turn before the first read.
    fn busy(&mut self) -> Option<Busy>;

    /// Whether [`busy`](Self::busy) need not be asked yet. Asked after each read, so that the messages
    /// of at most one read arrive at a receiver that has become busy.
    fn takes_more(&self) -> bool {
        true
    }

    /// The peer answered a [ping](super::Message::ping).
    fn pong(&mut self) {}

    /// The code with which a connection is closed that violates the protocol.
    fn close_code(&self, violation: Violation) -> u16 {
        violation.close_code()
    }

    /// When [`on_alarm`](Self::on_alarm) is to be called; asked after every turn. It may
    /// be called earlier.
    fn alarm(&self) -> Instant;

    /// The time of [`alarm`](Self::alarm) has come.
    fn on_alarm(&mut self);

    /// The connection ended. Called once, unless the task itself is dropped.
    fn ended(&mut self, ended: Ended);
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer closed it.
    ByPeer,
    /// Reading or writing failed.
    Broken,
    /// The peer violated the protocol.
    Violated(Violation),
    /// This side closed or cut it.
    BySelf,
}

/// The limits of the frames of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a message may take to arrive, beside the time for its bytes at 16 KiB a second.
    pub partial_timeout: Duration,
    /// How many frames that carry nothing a peer may send in a second, in the long run: pings,
    /// pongs, fragments of less than 64 bytes before the last one, and empty messages.
    pub bare_frames_per_second: u32,
    /// How many of them it may send at once.
    pub bare_frames_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            partial_timeout: Duration::from_secs(15),
            bare_frames_per_second: 50,
            bare_frames_burst: 1000,
        }
    }
}
