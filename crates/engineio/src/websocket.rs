//! A WebSocket connection: one task that reads, writes and observes deadlines.
//!
//! It reads into a buffer that the connections of a thread share, and outgoing
//! messages stay in the [outbox](super::outbox) until the kernel has taken them, so an
//! idle connection owns no buffer. Each time the task wakes, it reads first and then
//! writes all queued messages together. It never waits for a write alone: while a peer
//! does not read, its messages are still received, and its deadlines and a cut still apply.

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
    outbox::{Outbox, Sent, Status},
};

/// How many bytes one read takes at most: so few that the small messages in them delay
/// other connections only briefly.
const READ_BYTES: usize = 16 * 1024;
/// A turn of the task ends after it has read so many bytes or messages, so that other
/// connections are served.
const READ_BYTES_PER_TURN: usize = 256 * 1024;
const MESSAGES_PER_TURN: usize = 64;
/// A turn ends after the task has written so many bytes.
const WRITTEN_BYTES_PER_TURN: usize = 1024 * 1024;
/// While so many messages are queued for a peer, nothing is read from it.
const UNREAD_MAX: usize = 4096;
/// The interval at which a paused connection is checked again.
const PAUSE: Duration = Duration::from_millis(1);
/// How long a peer may take to read the last messages and to close its side.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(3);
/// The close code in answer to a close frame without one.
const NORMAL: u16 = 1000;

thread_local! {
    /// The buffer for reading, which one connection uses at a time.
    static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

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

    /// Whether further messages are taken at present. Asked before every read, and again
    /// a millisecond later while they are not.
    fn wants_more(&self) -> bool;

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

/// Serves the connection on `stream` until it ends. The bytes `first` were read from it
/// already. A larger message than `message_bytes_max` is a violation.
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
        end_reported: false,
        unflushed: false,
        closing: None,
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
    /// The receiver was informed of the end.
    end_reported: bool,
    /// The stream may still buffer bytes that were written to it.
    unflushed: bool,
    closing: Option<Closing>,
}

/// The end of a connection, while the last messages are being written.
struct Closing {
    until: Instant,
    /// The peer closed too, so its side need not be waited for.
    by_peer: bool,
    /// Our side of the stream is closed.
    shut: bool,
}

/// The result of reading or writing.
#[derive(PartialEq, Eq)]
enum Progress {
    /// All available bytes were read, or all queued bytes written.
    Done,
    /// The kernel takes no more bytes at present.
    Blocked,
    /// There may be more bytes, which are left for the next turn.
    Paused,
    /// The stream cannot be used any more.
    Over(Ended),
}

impl<S: AsyncRead + AsyncWrite + Unpin, R: Receiver> WebSocket<S, R> {
    /// Reads and writes all that is due; ready when the connection has ended.
    fn turn(&mut self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Poll<()> {
        if self.receiver.outbox().begin_turn() == Status::Cut {
            return self.end(Ended::BySelf);
        }
        if alarm.as_mut().poll(cx).is_ready() {
            if self.closing.is_some() {
                return Poll::Ready(());
            }
            self.receiver.on_alarm();
        }
        let paused = self.closing.is_none() && self.pauses();
        let read = match paused {
            true => Progress::Done,
            false => self.read(cx),
        };
        if let Progress::Over(ended) = read {
            return self.end(ended);
        }
        if self.receiver.outbox().is_over() {
            self.begin_closing(Ended::BySelf);
        }
        let written = self.write(cx);
        if let Progress::Over(ended) = written {
            return self.end(ended);
        }
        if written == Progress::Done && self.has_closed(cx) {
            return Poll::Ready(());
        }
        let due = match &self.closing {
            Some(closing) => closing.until,
            None if paused => self.receiver.alarm().min(Instant::now() + PAUSE),
            None => self.receiver.alarm(),
        };
        let mut again = read == Progress::Paused || written == Progress::Paused;
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
            again |= alarm.poll(cx).is_ready();
        }
        // A sender may have closed the connection during the write.
        if again || (self.receiver.outbox().is_over() && self.closing.is_none()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Whether nothing is read at present. The kernel then stops the peer, so that the
    /// memory and work that it causes stay bounded.
    fn pauses(&self) -> bool {
        !self.receiver.wants_more() || self.receiver.outbox().len() >= UNREAD_MAX
    }

    fn end(&mut self, ended: Ended) -> Poll<()> {
        self.report_end(ended);
        Poll::Ready(())
    }

    fn report_end(&mut self, ended: Ended) {
        if !self.end_reported {
            self.end_reported = true;
            self.receiver.ended(ended);
        }
    }

    /// Begins to close: no message is received any more, the queued ones are still written.
    fn begin_closing(&mut self, ended: Ended) {
        if self.closing.is_none() {
            self.closing = Some(Closing {
                until: Instant::now() + CLOSING_TIMEOUT,
                by_peer: ended == Ended::ByPeer,
                shut: false,
            });
            self.report_end(ended);
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
                break Progress::Paused;
            }
        };
        INPUT.set(input);
        progress
    }

    /// Hands the messages in `input` to the receiver and returns how many they were.
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
            self.begin_closing(Ended::Violated(violation));
        } else if by_peer {
            self.begin_closing(Ended::ByPeer);
        }
        messages
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Progress {
        let mut batch = Batch::in_thread_buffer();
        let (mut written, mut total) = (0, 0);
        let progress = loop {
            let outbox = self.receiver.outbox();
            if outbox.gather(written, &mut batch, cx.waker()) == Status::Cut {
                break Progress::Over(Ended::BySelf);
            }
            if batch.is_empty() {
                break Progress::Done;
            }
            if total >= WRITTEN_BYTES_PER_TURN {
                break Progress::Paused;
            }
            let stream = Pin::new(&mut self.stream);
            let wrote = batch.write(|slices| match slices {
                // For a single piece, `write` is cheaper than `writev`.
                [only] => stream.poll_write(cx, only),
                _ => stream.poll_write_vectored(cx, slices),
            });
            match wrote {
                Poll::Ready(Ok(0) | Err(_)) => break Progress::Over(Ended::Broken),
                Poll::Ready(Ok(bytes)) => {
                    written = bytes;
                    self.unflushed = true;
                }
                Poll::Pending => match self.receiver.outbox().register_blocked(cx.waker()) {
                    Status::Cut => break Progress::Over(Ended::BySelf),
                    Status::Open | Status::Closing => break Progress::Blocked,
                },
            }
            total += written;
        };
        batch.return_buffer();
        if progress == Progress::Done && self.unflushed {
            // A stream with a buffer of its own, such as TLS, sends its buffered bytes.
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

    /// Closes our side after the last message was written; `true` once both sides are closed.
    fn has_closed(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(closing) = &mut self.closing else {
            return false;
        };
        if !closing.shut {
            match Pin::new(&mut self.stream).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => closing.shut = true,
                Poll::Ready(Err(_)) => return true,
                Poll::Pending => return false,
            }
        }
        closing.by_peer
    }
}

/// Answers a ping. A peer that sends pings and does not read is cut when its queue is full.
fn answer_ping(outbox: &Outbox, payload: &[u8]) {
    if outbox.send(Message::pong(payload)) == Sent::Full {
        outbox.cut();
    }
}
