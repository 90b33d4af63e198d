//! An Engine.IO connection over HTTP: a GET waits for what we send, a POST brings what the peer sends.
//!
//! Several packets go as one body, separated by `\x1e`; bytes go as `b` and
//! base64. There is one GET and one POST at a time: a second one means that
//! two speak for the same peer, and ends the connection.

use std::{future::poll_fn, ops::ControlFlow, pin::pin, sync::Arc, task::Poll, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use super::{
    connection::{Carrier, Connection, Reason},
    engineio::{Answer, CLOSE, Door, NOOP, Packet, Refusal, Shared, answer},
    heartbeat::{Beat, Heartbeat},
    message::{self, Message},
    outbox::{End, Sent},
};

/// What stands between packets.
const SEPARATOR: char = '\x1e';
/// How long a poll waits that comes in the middle of an upgrade.
const UPGRADING_POLL: Duration = Duration::from_millis(50);
/// After so many packets of one body, other tasks have their turn.
const PACKETS_PER_TURN: usize = 64;

/// How the requests of a connection stand to one another.
#[derive(Default)]
pub(super) struct Polling {
    state: Mutex<State>,
    /// Wakes the task that keeps time: the end, an answer to a ping, an upgrade.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    /// A GET waits.
    reading: bool,
    /// A POST is being read.
    posting: bool,
    /// A ping was answered.
    answered: bool,
    /// A WebSocket wants to take over.
    probing: bool,
    /// It showed that it can.
    upgrading: bool,
    /// It did.
    upgraded: bool,
}

impl Polling {
    /// Lets one WebSocket try to take over; `false` where one does, or did.
    pub(super) fn begin_probe(&self) -> bool {
        let mut state = self.state.lock();
        !state.upgraded && !std::mem::replace(&mut state.probing, true)
    }

    /// The WebSocket works: polls are let go.
    pub(super) fn announce_upgrade(&self) {
        self.state.lock().upgrading = true;
    }

    /// The WebSocket takes over: polling is at its end. `change` runs while no poll can.
    pub(super) fn upgrade(&self, change: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        if !state.upgrading {
            return false;
        }
        state.upgraded = true;
        change();
        drop(state);
        self.changed.notify_one();
        true
    }

    /// The WebSocket is gone, or needs no place beside polling any more.
    pub(super) fn end_probe(&self) {
        let mut state = self.state.lock();
        state.probing = false;
        state.upgrading = false;
    }
}

/// The only GET or POST of its connection, while it lasts.
struct Turn<'a> {
    polling: &'a Polling,
    place: fn(&mut State) -> &mut bool,
}

impl<'a> Turn<'a> {
    fn take(polling: &'a Polling, place: fn(&mut State) -> &mut bool) -> Option<Self> {
        let taken = std::mem::replace(place(&mut polling.state.lock()), true);
        (!taken).then_some(Self { polling, place })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *(self.place)(&mut self.polling.state.lock()) = false;
    }
}

/// Opens a connection; the answer is its handshake.
pub(super) fn open<D: Door>(shared: &Arc<Shared<D>>, authorization: Option<Box<str>>) -> Answer {
    let connection = shared.connect(Carrier::Polling, authorization);
    let handshake = shared.handshake(connection.id(), Carrier::Polling);
    let kept = Kept {
        shared: Arc::clone(shared),
        connection: Arc::clone(&connection),
    };
    shared.door.spawn(keep(kept));
    text(handshake)
}

/// A connection that time is kept for. One whose keeper panics would never end.
struct Kept<D: Door> {
    shared: Arc<Shared<D>>,
    connection: Arc<Connection<D::Data>>,
}

impl<D: Door> Drop for Kept<D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.connection.cut(Reason::Broken);
            self.shared.finish(&self.connection, Reason::Broken);
        }
    }
}

/// Keeps time for a connection until it ends or is upgraded.
async fn keep<D: Door>(kept: Kept<D>) {
    let Kept { shared, connection } = &kept;
    let Some(polling) = connection.polling.as_ref() else {
        return;
    };
    let options = &shared.options;
    let mut heartbeat = Heartbeat::begin(options.ping_interval);
    loop {
        tokio::select! {
            () = polling.changed.notified() => {}
            () = sleep_until(heartbeat.due()) => {}
        }
        {
            let mut state = polling.state.lock();
            if state.upgraded {
                return;
            }
            if std::mem::take(&mut state.answered) {
                heartbeat.answered(options);
            }
        }
        match heartbeat.beat(Instant::now(), options) {
            Beat::Rest => {}
            Beat::Ping if connection.ping() != Sent::Full => {}
            Beat::Ping | Beat::Silence => connection.cut(Reason::Silent),
        }
        if connection.outbox.is_over() {
            return shared.finish(connection, Reason::Unwanted);
        }
    }
}

/// Answers a GET: with what waits, or with the next that does.
pub(super) async fn poll<D: Door>(
    shared: &Shared<D>,
    connection: Arc<Connection<D::Data>>,
) -> Answer {
    let Some(polling) = connection.polling.as_ref() else {
        return Refusal::BadRequest.answer();
    };
    let Some(_turn) = Turn::take(polling, |state| &mut state.reading) else {
        connection.close(Reason::Overlapping);
        return Refusal::BadRequest.answer();
    };
    let came_upgrading = polling.state.lock().upgrading;
    let payload_bytes_max = shared.options.payload_bytes_max;
    let taking = poll_fn(|cx| {
        let state = polling.state.lock();
        if state.upgraded || (state.upgrading && !came_upgrading) {
            return Poll::Ready(NOOP.to_owned());
        }
        let mut bytes = 0;
        let (messages, end) = connection.outbox.take(cx.waker(), |message| {
            bytes += payload_bytes(message);
            bytes <= payload_bytes_max
        });
        drop(state);
        match (payload(&messages), end) {
            (payload, _) if !payload.is_empty() => Poll::Ready(payload),
            (_, End::Closing | End::Cut) => Poll::Ready(CLOSE.to_owned()),
            (_, End::Open) => Poll::Pending,
        }
    });
    if came_upgrading {
        let taken = timeout(UPGRADING_POLL, taking).await;
        return text(taken.unwrap_or_else(|_| NOOP.to_owned()));
    }
    text(taking.await)
}

/// Answers a POST, after what it brought was taken.
pub(super) async fn post<D: Door, B>(
    shared: &Shared<D>,
    connection: Arc<Connection<D::Data>>,
    request: Request<B>,
) -> Answer
where
    B: Body<Data = Bytes> + Send + 'static,
{
    let Some(polling) = connection.polling.as_ref() else {
        return Refusal::BadRequest.answer();
    };
    let Some(_turn) = Turn::take(polling, |state| &mut state.posting) else {
        connection.close(Reason::Overlapping);
        return Refusal::BadRequest.answer();
    };
    let body = match read(request.into_body(), shared.options.payload_bytes_max).await {
        Ok(body) => body,
        Err(status) => {
            connection.close(Reason::Malformed);
            return answer(status, "text/plain; charset=UTF-8", "");
        }
    };
    for (number, packet) in body.split(SEPARATOR).enumerate() {
        if number % PACKETS_PER_TURN == PACKETS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
        if connection.outbox.is_over() {
            break;
        }
        if take(shared, &connection, polling, packet).is_break() {
            connection.close(Reason::Malformed);
            return Refusal::BadRequest.answer();
        }
    }
    text("ok".to_owned())
}

/// Hands on one packet; breaks off on what is none.
fn take<D: Door>(
    shared: &Shared<D>,
    connection: &Arc<Connection<D::Data>>,
    polling: &Polling,
    packet: &str,
) -> ControlFlow<()> {
    if let Some(encoded) = packet.strip_prefix('b') {
        let Ok(bytes) = STANDARD.decode(encoded) else {
            return ControlFlow::Break(());
        };
        shared.door.binary(bytes.into(), connection);
        return ControlFlow::Continue(());
    }
    match Packet::parse(packet) {
        Some(Packet::Message(text)) => shared.door.text(text, connection),
        Some(Packet::Pong) => {
            polling.state.lock().answered = true;
            polling.changed.notify_one();
            shared.answered(connection);
        }
        Some(Packet::Close) => connection.close(Reason::ByPeer),
        None => return ControlFlow::Break(()),
    }
    ControlFlow::Continue(())
}

/// A body of at most `bytes_max`, as text; else the status that refuses it.
async fn read<B>(body: B, bytes_max: usize) -> Result<String, StatusCode>
where
    B: Body<Data = Bytes>,
{
    let promised = body.size_hint().lower();
    if promised > bytes_max as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut body = pin!(body);
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Some(bytes) = frame.data_ref() else {
            continue;
        };
        if read.len() + bytes.len() > bytes_max {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        read.extend_from_slice(bytes);
    }
    String::from_utf8(read).map_err(|_| StatusCode::BAD_REQUEST)
}

fn text(body: String) -> Answer {
    let mut answer = answer(StatusCode::OK, "text/plain; charset=UTF-8", body);
    let never = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, never);
    answer
}

/// How long a message is at most in a payload.
fn payload_bytes(message: &Message) -> usize {
    let packets = message.packets().map(|packet| match packet {
        message::Packet::Text(text) => text.len() + 1,
        message::Packet::Binary(bytes) => bytes.len().div_ceil(3) * 4 + 2,
    });
    packets.sum()
}

/// The body that carries `messages`.
fn payload(messages: &[Message]) -> String {
    let mut body = String::with_capacity(messages.iter().map(payload_bytes).sum());
    for packet in messages.iter().flat_map(Message::packets) {
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        match packet {
            message::Packet::Text(text) => body.push_str(&String::from_utf8_lossy(text)),
            message::Packet::Binary(bytes) => {
                body.push('b');
                STANDARD.encode_string(bytes, &mut body);
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_holds_texts_and_bytes_in_order() {
        let mut buffer = message::Text::with_capacity(0);
        buffer.push_str("4hello");
        let messages = [
            Message::new(buffer, [Bytes::from_static(&[1, 2, 3, 4])]),
            Message::close(None),
            Message::text("2"),
        ];
        let body = payload(&messages);
        assert_eq!(body, "4hello\x1ebAQIDBA==\x1e2");
        assert!(messages.iter().map(payload_bytes).sum::<usize>() >= body.len());
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let body = |text: &'static str| http_body_util::Full::<Bytes>::from(text);
        assert_eq!(read(body("12345"), 5).await.as_deref(), Ok("12345"));
        let refused = Err(StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read(body("123456"), 5).await, refused);
    }

    #[test]
    fn only_one_websocket_may_try_and_only_a_working_one_takes_over() {
        let polling = Polling::default();
        assert!(polling.begin_probe());
        assert!(!polling.begin_probe(), "one tries already");
        assert!(!polling.upgrade(|| panic!("it did not answer a probe")));
        polling.end_probe();
        assert!(polling.begin_probe(), "the first one is gone");
        polling.announce_upgrade();
        assert!(polling.upgrade(|| {}));
        polling.end_probe();
        assert!(!polling.begin_probe(), "it is done");
    }
}
