//! One Engine.IO connection, over polling or a WebSocket.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;

use super::{
    message::Message,
    outbox::{Outbox, Sent, Writer},
    packet::{CLOSE, NOOP, PING},
    polling_state::PollingState,
    stage::{Carrier, Request, Stage},
};

/// How many packets without a meaning a peer may send. Clients that follow the protocol send none,
/// or a few around an upgrade.
const IGNORED_MAX: u32 = 1000;

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

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The peer closed it.
    ByPeer,
    /// The transport failed.
    Broken,
    /// The peer sent something that violates the protocol.
    Malformed,
    /// The peer sent a message or a body that is too large.
    TooLarge,
    /// A message of the peer did not arrive in time.
    Incomplete,
    /// The peer sent too many frames that carry nothing.
    Flooding,
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
            Reason::Incomplete | Reason::Flooding => 1008,
            Reason::TooLarge => 1009,
            Reason::Broken | Reason::Silent => 1011,
        }
    }
}

/// One Engine.IO connection, with the data that its [door](super::Door) keeps with it.
pub struct Connection<T> {
    /// The door's data.
    pub data: T,
    id: Sid,
    pub(super) stage: Mutex<Stage>,
    /// How many pings the peer has not answered yet.
    unanswered: AtomicU32,
    /// How many packets without a meaning the peer has sent.
    ignored: AtomicU32,
    reason: Mutex<Option<Reason>>,
    authorization: Option<Box<str>>,
    pub(super) outbox: Outbox,
    /// Present where the connection began with polling.
    pub(super) polling: Option<Box<PollingState>>,
}

impl<T> Connection<T> {
    pub(super) fn new(
        data: T,
        carrier: Carrier,
        authorization: Option<Box<str>>,
        messages_max: usize,
    ) -> Self {
        Self {
            data,
            id: Sid::random(),
            stage: Mutex::new(Stage::new(carrier)),
            unanswered: AtomicU32::new(0),
            ignored: AtomicU32::new(0),
            reason: Mutex::new(None),
            authorization,
            outbox: Outbox::new(messages_max),
            polling: (carrier == Carrier::Polling).then(Box::default),
        }
    }

    /// Its id, which is a secret of the peer.
    pub fn id(&self) -> Sid {
        self.id
    }

    /// Its present transport.
    pub fn carrier(&self) -> Carrier {
        self.stage.lock().carrier()
    }

    /// Begins a GET or POST; `None` while another one of its kind is open.
    pub(super) fn begin(&self, request: Request) -> Option<OpenRequest<'_, T>> {
        let begun = self.stage.lock().begin(request);
        begun.then_some(OpenRequest {
            connection: self,
            request,
        })
    }

    /// Whether the body of a POST is being read. While it is, messages may be incomplete that
    /// arrive in time.
    pub fn is_posting(&self) -> bool {
        self.stage.lock().is_posting()
    }

    /// Counts a packet that has no meaning at this point, such as an answer to no ping. A peer
    /// that sends too many of them is closed.
    pub fn ignore(&self) {
        if self.ignored.fetch_add(1, Ordering::Relaxed) == IGNORED_MAX {
            self.close(Reason::Flooding);
        }
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

    /// Notes the answer to a ping; `true` if it was the last that was missing.
    pub(super) fn ping_answered(&self) -> bool {
        let fewer = |unanswered: u32| unanswered.checked_sub(1);
        let before = self
            .unanswered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        if before.is_err() {
            self.ignore();
        }
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

    /// The bytes of all queued messages, with the one that is being written.
    pub fn held_bytes(&self) -> usize {
        self.outbox.held_bytes()
    }

    /// Calls `each` with every queued message: with a number that is the same for one message in several
    /// queues, and its bytes. It must not block.
    pub fn for_each_held(&self, each: impl FnMut(usize, usize)) {
        self.outbox.for_each_held(each);
    }

    /// Whether the queue is empty: the kernel, or a poll, has everything that was sent.
    pub fn is_drained(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Closes the connection after the queued messages are written.
    pub fn close(&self, reason: Reason) {
        self.note(reason);
        let carrier = {
            let mut stage = self.stage.lock();
            stage.begin_closing();
            stage.carrier()
        };
        if carrier == Carrier::Polling {
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
        self.stage.lock().begin_closing();
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
            polling.wake();
        }
    }
}

/// A GET or POST, the only one of its kind until it is dropped.
pub(super) struct OpenRequest<'a, T> {
    connection: &'a Connection<T>,
    request: Request,
}

impl<T> Drop for OpenRequest<'_, T> {
    fn drop(&mut self) {
        self.connection.stage.lock().end(self.request);
        if let (Request::Post, Some(polling)) = (self.request, &self.connection.polling) {
            polling.post_ended.notify_one();
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
