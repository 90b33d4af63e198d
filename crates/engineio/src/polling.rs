//! An Engine.IO connection over HTTP: a GET waits for outgoing messages, a POST brings the peer's.
//!
//! A connection has at most one GET and one POST open at once. A second one means that
//! two clients use the same session id, and ends the connection.

use std::{future::poll_fn, ops::ControlFlow, pin::pin, sync::Arc, task::Poll, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    answer::{Answer, Refusal, answer},
    connection::{Connection, Reason},
    door::Door,
    heartbeat::{Beat, Heartbeat},
    outbox::{Sent, Status},
    packet::{CLOSE, NOOP, Packet},
    payload::{SEPARATOR, payload, payload_bytes},
    polling_state::PollingState,
    shared::Shared,
    stage::{Carrier, Request},
};

/// How long a poll waits that arrives during an upgrade.
const UPGRADING_POLL: Duration = Duration::from_millis(50);
/// After so many packets of one body, the request yields to other tasks.
const PACKETS_PER_TURN: usize = 64;

/// Opens a connection; the answer is its handshake.
pub(super) fn open<D: Door>(
    shared: &Arc<Shared<D>>,
    data: D::Data,
    authorization: Option<Box<str>>,
) -> Answer {
    let connection = shared.connect(data, Carrier::Polling, authorization);
    let handshake = shared.handshake(connection.id(), Carrier::Polling);
    let timed = TimedConnection {
        shared: Arc::clone(shared),
        connection: Arc::clone(&connection),
    };
    shared
        .door
        .spawn(Some(&connection), observe_deadlines(timed));
    text(handshake)
}

/// A connection whose deadlines are observed. It is cut if the task that does so panics,
/// since otherwise it would never end.
struct TimedConnection<D: Door> {
    shared: Arc<Shared<D>>,
    connection: Arc<Connection<D::Data>>,
}

impl<D: Door> Drop for TimedConnection<D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.connection.cut(Reason::Broken);
            self.shared
                .finish(&self.connection, Carrier::Polling, Reason::Broken);
        }
    }
}

/// Sends the pings of a connection and ends it where one is not answered, until it ends or
/// is upgraded.
async fn observe_deadlines<D: Door>(timed: TimedConnection<D>) {
    let TimedConnection { shared, connection } = &timed;
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
        if connection.carrier() == Carrier::Websocket {
            return;
        }
        if polling.take_ping_answer() {
            heartbeat.answered(options);
        }
        match heartbeat.beat(Instant::now(), options) {
            Beat::Nothing => {}
            Beat::Ping if connection.ping() != Sent::Full => {}
            Beat::Ping | Beat::TimedOut => connection.cut(Reason::Silent),
        }
        if connection.outbox.is_over() {
            return shared.finish(connection, Carrier::Polling, Reason::Unwanted);
        }
    }
}

/// Answers a GET with the queued messages, or with the next one once there is one.
pub(super) async fn poll<D: Door>(
    shared: &Shared<D>,
    connection: Arc<Connection<D::Data>>,
) -> Answer {
    let Some(_open) = connection.begin(Request::Get) else {
        connection.close(Reason::Overlapping);
        return Refusal::BadRequest.answer();
    };
    let began_upgrading = connection.stage.lock().is_upgrading();
    let payload_bytes_max = shared.options.payload_bytes_max;
    let taking = poll_fn(|cx| {
        // Held while messages are taken, so that the WebSocket does not take over meanwhile.
        let stage = connection.stage.lock();
        if stage.ends_poll(began_upgrading) {
            return Poll::Ready(NOOP.to_owned());
        }
        let mut bytes = 0;
        let (messages, end) = connection.outbox.take(cx.waker(), |message| {
            bytes += payload_bytes(message);
            bytes <= payload_bytes_max
        });
        drop(stage);
        match (payload(&messages), end) {
            (payload, _) if !payload.is_empty() => Poll::Ready(payload),
            (_, Status::Closing | Status::Cut) => Poll::Ready(CLOSE.to_owned()),
            (_, Status::Open) => Poll::Pending,
        }
    });
    if began_upgrading {
        let taken = timeout(UPGRADING_POLL, taking).await;
        return text(taken.unwrap_or_else(|_| NOOP.to_owned()));
    }
    text(taking.await)
}

/// Answers a POST after its packets were handed to the door.
pub(super) async fn post<D: Door, B>(
    shared: &Shared<D>,
    connection: Arc<Connection<D::Data>>,
    request: http::Request<B>,
) -> Answer
where
    B: Body<Data = Bytes> + Send + 'static,
{
    let Some(polling) = connection.polling.as_ref() else {
        return Refusal::BadRequest.answer();
    };
    let Some(_open) = connection.begin(Request::Post) else {
        connection.close(Reason::Overlapping);
        return Refusal::BadRequest.answer();
    };
    let ending = polling.ending.notified();
    let mut ending = pin!(ending);
    ending.as_mut().enable();
    if connection.outbox.is_over() {
        return Refusal::BadRequest.answer();
    }
    let bytes_max = shared.payload_bytes_max(&connection);
    let read = tokio::select! {
        read = read(request.into_body(), bytes_max) => read,
        () = ending => return Refusal::BadRequest.answer(),
    };
    let body = match read {
        Ok(body) => body,
        Err(status) => {
            connection.close(match status {
                StatusCode::PAYLOAD_TOO_LARGE => Reason::TooLarge,
                _ => Reason::Malformed,
            });
            return answer(status, "text/plain; charset=UTF-8", "");
        }
    };
    for (number, packet) in body.split(SEPARATOR).enumerate() {
        if number % PACKETS_PER_TURN == PACKETS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
        while let Some(busy) = shared.door.busy(&connection) {
            busy.await;
        }
        if take(shared, &connection, polling, packet).is_break() {
            connection.close(Reason::Malformed);
            shared.finish(&connection, Carrier::Polling, Reason::Malformed);
            return Refusal::BadRequest.answer();
        }
    }
    if connection.outbox.is_over() {
        // Before the answer, after which the peer's next request finds no connection any more.
        shared.finish(&connection, Carrier::Polling, Reason::ByPeer);
    }
    text("ok".to_owned())
}

/// Hands one packet to the door; breaks if it is malformed.
fn take<D: Door>(
    shared: &Shared<D>,
    connection: &Arc<Connection<D::Data>>,
    polling: &PollingState,
    packet: &str,
) -> ControlFlow<()> {
    let _calls = polling.calls.lock();
    if !connection.stage.lock().takes_from(Carrier::Polling) {
        return ControlFlow::Continue(());
    }
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
            polling.note_ping_answer();
            shared.ping_answered(connection);
        }
        Some(Packet::Close) => connection.close(Reason::ByPeer),
        None => return ControlFlow::Break(()),
    }
    ControlFlow::Continue(())
}

/// A body of at most `bytes_max`, as text, or the status that refuses it.
async fn read<B>(body: B, bytes_max: usize) -> Result<String, StatusCode>
where
    B: Body<Data = Bytes>,
{
    let bytes_min = body.size_hint().lower();
    if bytes_min > bytes_max as u64 {
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
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_above_the_limit_is_refused() {
        let body = |text: &'static str| http_body_util::Full::<Bytes>::from(text);
        assert_eq!(read(body("12345"), 5).await.as_deref(), Ok("12345"));
        let refused = Err(StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read(body("123456"), 5).await, refused);
    }
}
