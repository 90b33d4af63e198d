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
    connection::{Carrier, Connection, Reason},
    decoder::{Decoder, Flow, Incoming},
    door::Door,
    heartbeat::{Beat, Heartbeat},
    message::Message,
    outbox::{Outbox, Sent},
    packet::Packet,
    shared::Shared,
    tcp,
    upgrade::{Stream, Upgrade},
    websocket::{self, Ended, Receiver},
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
    owner.door.spawn(async move {
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
    let begun = connection
        .polling
        .as_ref()
        .is_some_and(|polling| polling.begin_probe());
    if !begun {
        return Refusal::BadRequest.answer();
    }
    let probe = Probe {
        shared: Arc::clone(shared),
        connection,
    };
    let (answer, upgrade) = Upgrade::accept(request);
    if let Some(upgrade) = upgrade {
        shared.door.spawn(async move {
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
        let polling = self.connection.polling.as_ref();
        let probed = timeout(
            limit,
            answer_probe(&mut stream, first, || {
                if let Some(polling) = polling {
                    polling.begin_upgrade();
                    self.connection.outbox.wake();
                }
            }),
        );
        let Ok(Some(rest)) = probed.await else {
            return;
        };
        let moved = polling.is_some_and(|polling| {
            polling.complete_upgrade(|| self.connection.set_carrier(Carrier::Websocket))
        });
        if !moved {
            return;
        }
        self.connection.outbox.wake();
        self.shared.door.upgraded(&self.connection);
        let link = Link {
            shared: Arc::clone(&self.shared),
            connection: Arc::clone(&self.connection),
            // A ping at once: the client measures from the last ping, which may be long ago.
            heartbeat: Heartbeat::begin(std::time::Duration::ZERO),
        };
        link.spawn(stream, &rest);
    }
}

impl<D: Door> Drop for Probe<D> {
    fn drop(&mut self) {
        if let Some(polling) = &self.connection.polling {
            polling.end_probe();
        }
    }
}

/// Waits for the probe on `stream`, calls `on_probe`, answers it, and waits until the
/// client is ready. Returns the bytes that followed; `None` if the client sent anything else.
async fn answer_probe<S>(stream: &mut S, first: Vec<u8>, on_probe: impl Fn()) -> Option<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut decoder = Decoder::new(PROBE_BYTES_MAX);
    let mut input = first;
    let mut expected = ["2probe", "5"].into_iter();
    let mut next = expected.next()?;
    loop {
        let mut seen = None;
        let used = decoder.decode(&mut input, |incoming| {
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
        let message_bytes_max = self.shared.options.message_bytes_max;
        let owner = Arc::clone(&self.shared);
        let serving = websocket::serve(stream, first, message_bytes_max, self);
        owner.door.spawn(serving);
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

    fn wants_more(&self) -> bool {
        self.shared.door.wants_more(&self.connection)
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
            Ended::Violated(_) => Reason::Malformed,
            Ended::BySelf => Reason::Unwanted,
        };
        self.shared.finish(&self.connection, reason);
    }
}

impl<D: Door> Drop for Link<D> {
    /// Ends the connection also where its task panicked or was dropped.
    fn drop(&mut self) {
        self.connection.outbox.set_write_half(None);
        self.shared.finish(&self.connection, Reason::Broken);
    }
}
