//! An Engine.IO connection over a WebSocket, and the upgrade of one from polling.
//!
//! The upgrade: the client opens a WebSocket beside its polling and sends `2probe` on it.
//! The server answers `3probe` and ends the open poll. The client finishes its requests
//! and sends `5`; from then on all packets go over the WebSocket. Until then messages
//! stay in the outbox or leave by a poll, which the client reads before it sends `5`, so
//! none is lost and none overtakes another. A probe that fails leaves the connection as
//! it was.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::{
    answer::{Answer, Refusal},
    connection::{Connection, Reason},
    decoder::{Decoder, Flow, Incoming},
    door::Door,
    frame::Violation,
    heartbeat::{Beat, Heartbeat},
    message::Message,
    outbox::{Outbox, Sent},
    packet::Packet,
    receiver::{Busy, Ended, Receiver},
    shared::Shared,
    stage::{Carrier, Takeover},
    tcp,
    upgrade::{Stream, Upgrade},
    websocket,
};

/// A limit well above the packets of a probe with their headers.
const PROBE_BYTES_MAX: usize = 4096;

/// Opens a connection over a WebSocket once the response to `upgrade` is sent.
pub(super) fn open<D: Door>(
    shared: Arc<Shared<D>>,
    upgrade: Upgrade,
    data: D::Data,
    authorization: Option<Box<str>>,
) {
    let owner = Arc::clone(&shared);
    owner.door.spawn(None, async move {
        let Some((stream, first)) = upgrade.stream().await else {
            return;
        };
        let connection = shared.connect(data, Carrier::Websocket, authorization);
        let handshake = shared.handshake(connection.id(), Carrier::Websocket);
        connection.outbox.send(Message::text(&handshake));
        let heartbeat = Heartbeat::begin(shared.options.ping_interval);
        let link = Link {
            shared,
            connection,
            heartbeat,
        };
        // A separate task, which needs less memory than this one.
        match stream {
            Stream::Tcp(stream) => link.spawn(stream, &first),
            Stream::Other(stream) => link.spawn(stream, &first),
        }
    });
}

/// Begins the upgrade of `connection` to the WebSocket that `request` asks for.
pub(super) fn upgrade<D: Door, B>(
    shared: &Arc<Shared<D>>,
    connection: Arc<Connection<D::Data>>,
    request: &mut Request<B>,
) -> Answer {
    if !connection.stage.lock().begin_probe() {
        return Refusal::BadRequest.answer();
    }
    let probe = Probe {
        shared: Arc::clone(shared),
        connection,
    };
    let (answer, upgrade) = Upgrade::accept(request);
    if let Some(upgrade) = upgrade {
        let connection = Arc::clone(&probe.connection);
        shared.door.spawn(Some(&connection), async move {
            match upgrade.stream().await {
                Some((Stream::Tcp(stream), first)) => probe.run(stream, first).await,
                Some((Stream::Other(stream), first)) => probe.run(stream, first).await,
                None => {}
            }
        });
    }
    answer
}

/// A WebSocket that may take over a connection. Dropped before that, it leaves the
/// connection as it was.
struct Probe<D: Door> {
    shared: Arc<Shared<D>>,
    connection: Arc<Connection<D::Data>>,
}

impl<D: Door> Probe<D> {
    async fn run<S>(self, mut stream: S, first: Vec<u8>)
    where
        S: tcp::Stream,
    {
        let limit = self.shared.options.upgrade_timeout;
        let probed = timeout(limit, async {
            let rest = answer_probe(&mut stream, first, || {
                self.connection.stage.lock().begin_upgrade();
                self.connection.outbox.wake();
            })
            .await?;
            self.take_over().await.then_some(rest)
        });
        let Ok(Some(rest)) = probed.await else {
            return;
        };
        let link = Link {
            shared: Arc::clone(&self.shared),
            connection: Arc::clone(&self.connection),
            // A ping at once: the client measures from the last ping, which may be long ago.
            heartbeat: Heartbeat::begin(std::time::Duration::ZERO),
        };
        link.spawn(stream, &rest);
    }
}

impl<D: Door> Probe<D> {
    /// Takes over from polling, after the POST that is under way; `false` if the connection
    /// ends.
    async fn take_over(&self) -> bool {
        let Some(polling) = &self.connection.polling else {
            return false;
        };
        loop {
            let takeover = {
                let _calls = polling.calls.lock();
                let takeover = self.connection.stage.lock().take_over();
                if takeover == Takeover::Complete {
                    self.shared.door.upgraded(&self.connection);
                }
                takeover
            };
            match takeover {
                Takeover::AfterPost => polling.post_ended.notified().await,
                Takeover::Refused => return false,
                Takeover::Complete => {
                    polling.changed.notify_one();
                    self.connection.outbox.wake();
                    return true;
                }
            }
        }
    }
}

impl<D: Door> Drop for Probe<D> {
    fn drop(&mut self) {
        self.connection.stage.lock().end_probe();
    }
}

/// Waits for the probe on `stream`, calls `on_probe`, answers it, and waits until the
/// client is ready. Returns the bytes that followed; `None` if the client sent anything else.
async fn answer_probe<S>(stream: &mut S, first: Vec<u8>, on_probe: impl Fn()) -> Option<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut decoder = Decoder::new();
    let mut input = first;
    let mut expected = ["2probe", "5"].into_iter();
    let mut next = expected.next()?;
    loop {
        let mut seen = None;
        let used = decoder.decode(&mut input, PROBE_BYTES_MAX, |incoming| {
            seen = Some(incoming == Incoming::Text(next));
            Flow::Stop
        });
        input.drain(..used.ok()?);
        match seen {
            Some(true) => match expected.next() {
                Some(then) => {
                    next = then;
                    on_probe();
                    write(stream, &Message::text("3probe")).await?;
                }
                None => return Some(input),
            },
            Some(false) => return None,
            None if stream.read_buf(&mut input).await.ok()? == 0 => return None,
            None => {}
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, message: &Message) -> Option<()> {
    for piece in message.pieces() {
        stream.write_all(piece.as_bytes()).await.ok()?;
    }
    stream.flush().await.ok()
}

/// An Engine.IO connection over a WebSocket: receives its messages.
struct Link<D: Door> {
    shared: Arc<Shared<D>>,
    connection: Arc<Connection<D::Data>>,
    heartbeat: Heartbeat,
}

impl<D: Door> Link<D> {
    fn spawn<S>(self, stream: S, first: &[u8])
    where
        S: tcp::Stream,
    {
        let outbox = &self.connection.outbox;
        outbox.set_write_half(stream.write_half());
        let limits = self.shared.options.websocket;
        let (shared, connection) = (Arc::clone(&self.shared), Arc::clone(&self.connection));
        let serving = websocket::serve(stream, first, limits, self);
        shared.door.spawn(Some(&connection), serving);
    }
}

impl<D: Door> Receiver for Link<D> {
    fn outbox(&self) -> &Outbox {
        &self.connection.outbox
    }

    fn text(&mut self, text: &str) {
        match Packet::parse(text) {
            Some(Packet::Message(text)) => self.shared.door.text(text, &self.connection),
            Some(Packet::Pong) => {
                self.heartbeat.answered(&self.shared.options);
                self.shared.ping_answered(&self.connection);
            }
            Some(Packet::Close) => self.connection.close(Reason::ByPeer),
            None => self.connection.close(Reason::Malformed),
        }
    }

    fn binary(&mut self, bytes: Bytes) {
        self.shared.door.binary(bytes, &self.connection);
    }

    fn message_bytes_max(&self) -> usize {
        match self.shared.door.knows(&self.connection) {
            true => self.shared.options.message_bytes_max,
            false => self.shared.options.stranger_bytes_max,
        }
    }

    fn awaits_more(&self) -> bool {
        self.shared.door.awaits_more(&self.connection)
    }

    fn busy(&mut self) -> Option<Busy> {
        self.shared.door.busy(&self.connection)
    }

    fn alarm(&self) -> Instant {
        self.heartbeat.due()
    }

    fn on_alarm(&mut self) {
        match self.heartbeat.beat(Instant::now(), &self.shared.options) {
            Beat::Nothing => {}
            Beat::Ping if self.connection.ping() != Sent::Full => {}
            Beat::Ping | Beat::TimedOut => self.connection.cut(Reason::Silent),
        }
    }

    fn ended(&mut self, ended: Ended) {
        let reason = match ended {
            Ended::ByPeer => Reason::ByPeer,
            Ended::Broken => Reason::Broken,
            Ended::Violated(Violation::TooLarge) => Reason::TooLarge,
            Ended::Violated(Violation::Incomplete) => Reason::Incomplete,
            Ended::Violated(Violation::TooManyFrames) => Reason::Flooding,
            Ended::Violated(Violation::Protocol(_) | Violation::NotUtf8) => Reason::Malformed,
            Ended::BySelf => Reason::Unwanted,
        };
        self.shared
            .finish(&self.connection, Carrier::Websocket, reason);
    }
}

impl<D: Door> Drop for Link<D> {
    /// Ends the connection also where its task panicked or was dropped.
    fn drop(&mut self) {
        self.connection.outbox.set_write_half(None);
        self.shared
            .finish(&self.connection, Carrier::Websocket, Reason::Broken);
    }
}
