//! One Engine.IO connection, over polling or a WebSocket.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;

use super::{
    message::Message,
    outbox::{Outbox, Sent, Writer},
    packet::{CLOSE, NOOP, PING},
    polling_state::PollingState,
};

/// The session id of a connection. It is a secret that cannot be guessed: a request that
/// names it counts as the peer's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid([u8; 15]);

impl Sid {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().map(Self).ok()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Sid {
    /// Only the beginning of the id, so that a log does not disclose it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0[..6]))
    }
}

/// The transport of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Carrier {
    /// HTTP requests.
    Polling = 0,
    /// A WebSocket.
    Websocket = 1,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The peer closed it.
    ByPeer,
    /// The transport failed.
    Broken,
    /// The peer sent something that violates the protocol.
    Malformed,
    /// The peer had two GETs or two POSTs open at once.
    Overlapping,
    /// The peer did not answer a ping in time.
    Silent,
    /// This side ended it.
    Unwanted,
    /// The server is stopping.
    Stopping,
}

impl Reason {
    /// The close code of a WebSocket that ends for this reason.
    fn close_code(self) -> u16 {
        match self {
            Reason::ByPeer | Reason::Unwanted => 1000,
            Reason::Stopping => 1001,
            Reason::Malformed | Reason::Overlapping => 1002,
            Reason::Broken | Reason::Silent => 1011,
        }
    }
}

/// One Engine.IO connection, with the data that its [door](super::Door) keeps with it.
pub struct Connection<T> {
    /// The door's data.
    pub data: T,
    id: Sid,
    carrier: AtomicU8,
    /// How many pings the peer has not answered yet.
    unanswered: AtomicU32,
    /// The end was reported to the door.
    pub(super) end_reported: AtomicBool,
    reason: Mutex<Option<Reason>>,
    authorization: Option<Box<str>>,
    pub(super) outbox: Outbox,
    /// Present where the connection began with polling.
    pub(super) polling: Option<Box<PollingState>>,
}

impl<T: Default> Connection<T> {
    pub(super) fn new(
        carrier: Carrier,
        authorization: Option<Box<str>>,
        messages_max: usize,
    ) -> Self {
        Self {
            data: T::default(),
            id: Sid::random(),
            carrier: AtomicU8::new(carrier as u8),
            unanswered: AtomicU32::new(0),
            end_reported: AtomicBool::new(false),
            reason: Mutex::new(None),
            authorization,
            outbox: Outbox::new(messages_max),
            polling: (carrier == Carrier::Polling).then(Box::default),
        }
    }
}

impl<T> Connection<T> {
    /// Its id, which is a secret of the peer.
    pub fn id(&self) -> Sid {
        self.id
    }

    /// Its present transport.
    pub fn carrier(&self) -> Carrier {
        match self.carrier.load(Ordering::Acquire) {
            0 => Carrier::Polling,
            _ => Carrier::Websocket,
        }
    }

    pub(super) fn set_carrier(&self, carrier: Carrier) {
        self.carrier.store(carrier as u8, Ordering::Release);
    }

    /// The `Authorization` header of the request that opened the connection.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Queues `message`.
    pub fn send(&self, message: Message) -> Sent {
        self.outbox.send(message)
    }

    /// Sends a ping. The peer answers it when it has read everything sent before; the door
    /// learns of it in [`pings_answered`](super::Door::pings_answered).
    pub fn ping(&self) -> Sent {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        self.send(PING.clone())
    }

    /// Notes the answer to a ping; `true` if it was the last that was missing. Answers
    /// without a ping are ignored.
    pub(super) fn ping_answered(&self) -> bool {
        let fewer = |unanswered: u32| unanswered.checked_sub(1);
        let before = self
            .unanswered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        before == Ok(1)
    }

    /// Queues `message` as [`offer`](Self::offer) does, but sends it only at the
    /// next [`flush`](Self::flush), or later.
    pub fn queue(&self, message: Message, bytes_max: usize) -> Sent {
        self.outbox.queue(message, bytes_max)
    }

    /// Sends the queued messages.
    pub fn flush(&self, writer: Writer) {
        self.outbox.flush(writer);
    }

    /// Queues `message` unless more than `bytes_max` would be waiting then. A larger
    /// message is taken while nothing else is waiting.
    pub fn offer(&self, message: Message, bytes_max: usize) -> Sent {
        self.outbox.offer(message, bytes_max)
    }

    /// The queued bytes, without the message that is being written.
    pub fn waiting_bytes(&self) -> usize {
        self.outbox.waiting_bytes()
    }

    /// Whether the queue is empty: the kernel, or a poll, has everything that was sent.
    pub fn is_drained(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Closes the connection after the queued messages are written.
    pub fn close(&self, reason: Reason) {
        self.note(reason);
        if self.carrier() == Carrier::Polling {
            // A poll that waits has to be answered, and a peer that has closed expects no packet.
            let last = match reason {
                Reason::ByPeer => NOOP,
                _ => CLOSE,
            };
            self.outbox.send(Message::text(last));
        }
        self.outbox.close(Some(reason.close_code()));
        self.wake_polling();
    }

    /// Ends the connection at once and drops the queued messages.
    pub fn cut(&self, reason: Reason) {
        self.note(reason);
        self.outbox.cut();
        self.wake_polling();
    }

    /// Why this side ended the connection, or is ending it.
    pub(super) fn reason(&self) -> Option<Reason> {
        *self.reason.lock()
    }

    fn note(&self, reason: Reason) {
        self.reason.lock().get_or_insert(reason);
    }

    fn wake_polling(&self) {
        if let Some(polling) = &self.polling {
            polling.changed.notify_one();
        }
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("carrier", &self.carrier())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = Sid::random();
        assert_eq!(Sid::parse(&id.to_string()), Some(id));
        assert_ne!(Sid::random(), id);
        for bad in ["", "nobody", "%00", "AAAAAAAAAAAAAAAAAAAAA", "é"] {
            assert_eq!(Sid::parse(bad), None, "{bad}");
        }
    }
}
