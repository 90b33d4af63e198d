//! A WebSocket connection: one task that reads, writes and keeps time.
//!
//! What it reads goes through memory that the connections of a thread share,
//! and what it writes stays in the [outbox](super::outbox) until the kernel
//! has it, so an idle connection owns no buffer. Whatever is due when the task
//! wakes is read first and then written together. The task never waits for
//! one thing only: a peer that does not read is still heard, timed and cut.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    batch::Batch,
    decoder::{Decoder, Flow, Incoming},
    frame::Violation,
    message::Message,
    outbox::{End, Outbox, Sent},
};

/// How much is read at once: few enough small messages that others need not wait long.
const READ_BYTES: usize = 16 * 1024;
/// After so much was read, or so many messages, other connections have their turn.
const READ_BYTES_PER_TURN: usize = 256 * 1024;
const MESSAGES_PER_TURN: usize = 64;
/// After so much was written, other connections have their turn.
const WRITTEN_BYTES_PER_TURN: usize = 1024 * 1024;
/// A peer that has so many messages yet to read is not read from.
const UNREAD_MAX: usize = 4096;
/// How long it takes until a connection that is not read from is looked at again.
const PAUSE: Duration = Duration::from_millis(1);
/// How long a peer may take to read the last words and to close its side.
const FAREWELL: Duration = Duration::from_secs(3);
/// The close code of a peer that went by itself.
const NORMAL: u16 = 1000;

thread_local! {
    /// Where connections read to, lent to one at a time.
    static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Whoever takes a connection's messages. Called from its task, in order; must not block.
///
/// It ends the connection through its [`Outbox`]; after that it is told
/// nothing but the end.
pub trait Receiver: Send + Unpin + 'static {
    /// The way out of the connection.
    fn outbox(&self) -> &Outbox;

    /// A text came.
    fn text(&mut self, text: &str);

    /// Bytes came.
    fn binary(&mut self, bytes: Bytes);

    /// Whether it wants to hear more at present: asked before every read, and
    /// a moment later where it does not.
    fn wants_more(&self) -> bool;

    /// When it wants to be [called](Self::ring); asked after every turn. It may
    /// be called earlier.
    fn alarm(&self) -> Instant;

    /// The time has come.
    fn ring(&mut self);

    /// The connection is over. Called once, unless the task itself is dropped.
    fn ended(&mut self, ended: Ended);
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer closed it.
    ByPeer,
    /// Reading or writing failed.
    Broken,
    /// The peer sent what it must not.
    Violated(Violation),
    /// It was closed or cut on this side.
    Here,
}

/// Serves the connection on `stream` until it is over; `first` was read
/// from it already. Messages are at most `message_bytes_max` large.
pub fn serve<S, R>(
    stream: S,
    first: &[u8],
    message_bytes_max: usize,
    receiver: R,
) -> impl Future<Output = ()> + Send + use<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    R: Receiver,
{
    let mut socket = WebSocket {
        stream,
        decoder: Decoder::new(message_bytes_max),
        receiver,
        told: false,
        unflushed: false,
        farewell: None,
    };
    if !first.is_empty() {
        socket.receive(&mut first.to_vec());
    }
    async move {
        let mut alarm = pin!(sleep_until(socket.receiver.alarm()));
        poll_fn(|cx| socket.turn(cx, alarm.as_mut())).await;
    }
}

struct WebSocket<S, R> {
    stream: S,
    decoder: Decoder,
    receiver: R,
    /// The receiver knows of the end.
    told: bool,
    /// The stream may hold back what was written to it.
    unflushed: bool,
    farewell: Option<Farewell>,
}

/// The last words are being written.
struct Farewell {
    until: Instant,
    /// The peer closed as well: it waits for nothing.
    by_peer: bool,
    /// Our side of the stream is closed.
    shut: bool,
}

/// What became of reading or writing.
#[derive(PartialEq, Eq)]
enum Progress {
    /// All that there was.
    Done,
    /// The kernel takes no more for now.
    Blocked,
    /// There may be more: others have their turn first.
    Enough,
    /// The stream is of no use any more.
    Over(Ended),
}

impl<S: AsyncRead + AsyncWrite + Unpin, R: Receiver> WebSocket<S, R> {
    /// Does what is due.
    fn turn(&mut self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Poll<()> {
        if self.receiver.outbox().begin_turn() == End::Cut {
            return self.over(Ended::Here);
        }
        if alarm.as_mut().poll(cx).is_ready() {
            if self.farewell.is_some() {
                return Poll::Ready(());
            }
            self.receiver.ring();
        }
        let paused = self.farewell.is_none() && self.pauses();
        let read = match paused {
            true => Progress::Done,
            false => self.read(cx),
        };
        if let Progress::Over(ended) = read {
            return self.over(ended);
        }
        if self.receiver.outbox().is_over() {
            self.begin_farewell(Ended::Here);
        }
        let written = self.write(cx);
        if let Progress::Over(ended) = written {
            return self.over(ended);
        }
        if written == Progress::Done && self.has_closed(cx) {
            return Poll::Ready(());
        }
        let due = match &self.farewell {
            Some(farewell) => farewell.until,
            None if paused => self.receiver.alarm().min(Instant::now() + PAUSE),
            None => self.receiver.alarm(),
        };
        let mut again = read == Progress::Enough || written == Progress::Enough;
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
            again |= alarm.poll(cx).is_ready();
        }
        // It may have ended while it was written to.
        if again || (self.receiver.outbox().is_over() && self.farewell.is_none()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Whether nothing is read for now, so that what the peer causes stays
    /// bounded: the kernel has it wait.
    fn pauses(&self) -> bool {
        !self.receiver.wants_more() || self.receiver.outbox().len() >= UNREAD_MAX
    }

    fn over(&mut self, ended: Ended) -> Poll<()> {
        self.tell(ended);
        Poll::Ready(())
    }

    fn tell(&mut self, ended: Ended) {
        if !self.told {
            self.told = true;
            self.receiver.ended(ended);
        }
    }

    /// From here on nothing is received; what is queued is still written.
    fn begin_farewell(&mut self, ended: Ended) {
        if self.farewell.is_none() {
            self.farewell = Some(Farewell {
                until: Instant::now() + FAREWELL,
                by_peer: ended == Ended::ByPeer,
                shut: false,
            });
            self.tell(ended);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Progress {
        let mut input = INPUT.take();
        input.resize(READ_BYTES, 0);
        let (mut bytes, mut messages) = (0, 0);
        let progress = loop {
            let mut buffer = ReadBuf::new(&mut input);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => break Progress::Done,
                Poll::Ready(Err(_)) => break Progress::Over(Ended::Broken),
                Poll::Ready(Ok(())) => {}
            }
            let filled = buffer.filled_mut();
            if filled.is_empty() {
                break Progress::Over(Ended::ByPeer);
            }
            bytes += filled.len();
            messages += self.receive(filled);
            if bytes >= READ_BYTES_PER_TURN || messages >= MESSAGES_PER_TURN {
                break Progress::Enough;
            }
        };
        INPUT.set(input);
        progress
    }

    /// Hands on the messages in `input`, and tells how many they were.
    fn receive(&mut self, input: &mut [u8]) -> usize {
        if self.receiver.outbox().is_over() {
            return 0;
        }
        let (mut messages, mut by_peer) = (0, false);
        let receiver = &mut self.receiver;
        let decoded = self.decoder.decode(input, |incoming| {
            messages += 1;
            match incoming {
                Incoming::Text(text) => receiver.text(text),
                Incoming::Binary(bytes) => receiver.binary(bytes),
                Incoming::Ping(payload) => answer_ping(receiver.outbox(), payload),
                Incoming::Pong => {}
                Incoming::Close(code) => {
                    by_peer = true;
                    receiver.outbox().close(code.or(Some(NORMAL)));
                }
            }
            match receiver.outbox().is_over() {
                true => Flow::Stop,
                false => Flow::Continue,
            }
        });
        if let Err(violation) = decoded {
            self.receiver.outbox().close(Some(violation.close_code()));
            self.begin_farewell(Ended::Violated(violation));
        } else if by_peer {
            self.begin_farewell(Ended::ByPeer);
        }
        messages
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Progress {
        let mut batch = Batch::lent();
        let (mut written, mut total) = (0, 0);
        let progress = loop {
            let outbox = self.receiver.outbox();
            if outbox.gather(written, &mut batch, cx.waker()) == End::Cut {
                break Progress::Over(Ended::Here);
            }
            if batch.is_empty() {
                break Progress::Done;
            }
            if total >= WRITTEN_BYTES_PER_TURN {
                break Progress::Enough;
            }
            let stream = Pin::new(&mut self.stream);
            let wrote = batch.write(|slices| match slices {
                // The system call for one piece is the cheaper one.
                [only] => stream.poll_write(cx, only),
                _ => stream.poll_write_vectored(cx, slices),
            });
            match wrote {
                Poll::Ready(Ok(0) | Err(_)) => break Progress::Over(Ended::Broken),
                Poll::Ready(Ok(bytes)) => {
                    written = bytes;
                    self.unflushed = true;
                }
                Poll::Pending => match self.receiver.outbox().park_blocked(cx.waker()) {
                    End::Cut => break Progress::Over(Ended::Here),
                    End::Open | End::Closing => break Progress::Blocked,
                },
            }
            total += written;
        };
        batch.give_back();
        if progress == Progress::Done && self.unflushed {
            // A stream with a buffer of its own, such as TLS, sends it.
            return match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Err(_)) => Progress::Over(Ended::Broken),
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    Progress::Done
                }
                Poll::Pending => Progress::Blocked,
            };
        }
        progress
    }

    /// Closes our side once the last words are written; `true` when nothing is left to wait for.
    fn has_closed(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(farewell) = &mut self.farewell else {
            return false;
        };
        if !farewell.shut {
            match Pin::new(&mut self.stream).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => farewell.shut = true,
                Poll::Ready(Err(_)) => return true,
                Poll::Pending => return false,
            }
        }
        farewell.by_peer
    }
}

/// A peer that asks faster than it reads is gone.
fn answer_ping(outbox: &Outbox, payload: &[u8]) {
    if outbox.send(Message::pong(payload)) == Sent::Full {
        outbox.cut();
    }
}
