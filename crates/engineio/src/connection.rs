//! One Engine.IO connection, whatever carries it at present.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;

use super::{
    message::Message,
    outbox::{Outbox, Sent, Writer},
    packet::{CLOSE, PING},
    polling_state::PollingState,
};

/// The id of a connection, which nobody can guess: whoever knows it speaks for the peer.
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
    /// Only its beginning: a log must not let its readers in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0[..6]))
    }
}

/// What carries a connection.
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
    /// The peer went.
    ByPeer,
    /// What carried it broke.
    Broken,
    /// The peer sent what means nothing.
    Malformed,
    /// The peer polled twice at once.
    Overlapping,
    /// The peer did not answer a ping.
    Silent,
    /// This side does not want it any more.
    Unwanted,
    /// The server stops.
    Stopping,
}

impl Reason {
    /// The close code of a WebSocket that ends so.
    fn close_code(self) -> u16 {
        match self {
            Reason::ByPeer | Reason::Unwanted => 1000,
            Reason::Stopping => 1001,
            Reason::Malformed | Reason::Overlapping => 1002,
            Reason::Broken | Reason::Silent => 1011,
        }
    }
}

/// One Engine.IO connection, with what its [door](super::Door) notes of it.
pub struct Connection<T> {
    /// What the door notes.
    pub data: T,
    id: Sid,
    carrier: AtomicU8,
    /// How many pings the peer has yet to answer.
    unanswered: AtomicU32,
    /// The door was told of the end.
    pub(super) told: AtomicBool,
    reason: Mutex<Option<Reason>>,
    authorization: Option<Box<str>>,
    pub(super) outbox: Outbox,
    /// Only where it began with polling.
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
            told: AtomicBool::new(false),
            reason: Mutex::new(None),
            authorization,
            outbox: Outbox::new(messages_max),
            polling: (carrier == Carrier::Polling).then(Box::default),
        }
    }
}

impl<T> Connection<T> {
    /// Its id, a secret of the peer.
    pub fn id(&self) -> Sid {
        self.id
    }

    /// What carries it at present.
    pub fn carrier(&self) -> Carrier {
        match self.carrier.load(Ordering::Acquire) {
            0 => Carrier::Polling,
            _ => Carrier::Websocket,
        }
    }

    pub(super) fn set_carrier(&self, carrier: Carrier) {
        self.carrier.store(carrier as u8, Ordering::Release);
    }

    /// The `Authorization` header of the request that opened it.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Queues `message`.
    pub fn send(&self, message: Message) -> Sent {
        self.outbox.send(message)
    }

    /// Asks the peer for a sign that it has read everything so far; the door
    /// [hears](super::Door::heard) it.
    pub fn ping(&self) -> Sent {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        self.send(PING.clone())
    }

    /// Notes the answer to a ping; `true` if none is unanswered any more. Answers that
    /// nobody asked for count for nothing.
    pub(super) fn answered(&self) -> bool {
        let fewer = |unanswered: u32| unanswered.checked_sub(1);
        let before = self
            .unanswered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        before == Ok(1)
    }

    /// Queues `message` as [`offer`](Self::offer) does, but sends it no sooner
    /// than the next [`flush`](Self::flush).
    pub fn queue(&self, message: Message, bytes_max: usize) -> Sent {
        self.outbox.queue(message, bytes_max)
    }

    /// Sends what is queued.
    pub fn flush(&self, writer: Writer) {
        self.outbox.flush(writer);
    }

    /// Queues `message` unless more than `bytes_max` would wait. A message
    /// larger than that passes while nothing else waits.
    pub fn offer(&self, message: Message, bytes_max: usize) -> Sent {
        self.outbox.offer(message, bytes_max)
    }

    /// The bytes that wait behind the message that is being written.
    pub fn waiting_bytes(&self) -> usize {
        self.outbox.waiting_bytes()
    }

    /// Whether everything that was sent is on its way.
    pub fn is_drained(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Has what is queued written, then closes.
    pub fn close(&self, reason: Reason) {
        self.note(reason);
        if self.carrier() == Carrier::Polling {
            self.outbox.send(Message::text(CLOSE));
        }
        self.outbox.close(Some(reason.close_code()));
        self.wake_polling();
    }

    /// Ends it at once, also where the peer does not read.
    pub fn cut(&self, reason: Reason) {
        self.note(reason);
        self.outbox.cut();
        self.wake_polling();
    }

    /// Why it ended, or ends, if it was ended here.
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
