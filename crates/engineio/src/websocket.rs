//! A WebSocket connection: one task that reads, writes and observes deadlines.
//!
//! It reads into a buffer that the connections of a thread share, and outgoing
//! messages stay in the [outbox](super::outbox) until the kernel has taken them, so an
//! idle connection owns no buffer. Each time the task wakes, it reads first and then
//! writes all queued messages together. It never waits for a write alone: while a peer
//! does not read, its messages are still received, and its deadlines and a cut still apply.
//! While nothing is to be read from a peer, its task sleeps until that has changed.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

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
    progress::Progress,
    receiver::{Busy, Ended, Limits, Receiver},
};

/// How many bytes one read takes at most: so few that the small messages in them delay
/// other connections only briefly.
const READ_BYTES: usize = 16 * 1024;
/// A turn of the task ends after it has read so many bytes or frames, so that other
/// connections are served.
const READ_BYTES_PER_TURN: usize = 256 * 1024;
const FRAMES_PER_TURN: u32 = 64;
/// A turn ends after the task has written so many bytes.
const WRITTEN_BYTES_PER_TURN: usize = 1024 * 1024;
/// While so many messages are queued for a peer, nothing is read from it.
const UNREAD_MAX: usize = 4096;
/// How often the receiver is asked in one turn whether it takes more messages.
const QUESTIONS_PER_TURN: usize = 4;
/// How long a peer may take to read the last messages and to close its side.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(3);
/// The close code in answer to a close frame without one.
const NORMAL: u16 = 1000;

thread_local! {
    /// The buffer for reading, which one connection uses at a time.
    static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Serves the connection on `stream` until it ends. The bytes `first` were read from it
/// already.
pub fn serve<S, R>(
    stream: S,
    first: &[u8],
    limits: Limits,
    receiver: R,
) -> impl Future<Output = ()> + Send + use<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    R: Receiver,
{
    let mut socket = WebSocket {
        stream,
        decoder: Decoder::new(),
        progress: Progress::new(limits),
        receiver,
        busy: None,
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
    progress: Progress,
    receiver: R,
    /// What has to end before more is read.
    busy: Option<Busy>,
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
enum Moved {
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
        let unread = self.receiver.outbox().len() >= UNREAD_MAX;
        let paused = self.closing.is_none() && (unread || self.is_busy(cx));
        let read = match paused {
            true => Moved::Done,
            false => self.read(cx),
        };
        if let Moved::Over(ended) = read {
            return self.end(ended);
        }
        self.observe_partial(paused);
        if self.receiver.outbox().is_over() {
            self.begin_closing(Ended::BySelf);
        }
        let written = self.write(cx);
        if let Moved::Over(ended) = written {
            return self.end(ended);
        }
        if written == Moved::Done && self.has_closed(cx) {
            return Poll::Ready(());
        }
        let due = match (&self.closing, self.progress.deadline()) {
            (Some(closing), _) => closing.until,
            (None, Some(deadline)) if !paused => deadline.min(self.receiver.alarm()),
            (None, _) => self.receiver.alarm(),
        };
        let read_again = unread && self.receiver.outbox().len() < UNREAD_MAX;
        let mut again = read_again || read == Moved::Paused || written == Moved::Paused;
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

    /// Whether nothing is read at present, because the receiver is busy; the task is woken when
    /// it no longer is. The kernel then stops the peer, so that the memory and work that it causes
    /// stay bounded.
    fn is_busy(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..QUESTIONS_PER_TURN {
            if let Some(busy) = &mut self.busy {
                if busy.as_mut().poll(cx).is_pending() {
                    return true;
                }
                self.busy = None;
            }
            self.busy = self.receiver.busy();
            if self.busy.is_none() {
                return false;
            }
        }
        cx.waker().wake_by_ref();
        true
    }

    /// Closes the connection if a message takes too long to arrive.
    fn observe_partial(&mut self, paused: bool) {
        if self.closing.is_some() {
            return;
        }
        let is_partial = self.decoder.is_partial() || self.receiver.awaits_more();
        if self.progress.is_late(is_partial, paused) {
            self.violate(Violation::Incomplete);
        }
    }

    fn violate(&mut self, violation: Violation) {
        let code = self.receiver.close_code(violation);
        self.receiver.outbox().close(Some(code));
        self.begin_closing(Ended::Violated(violation));
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

    fn read(&mut self, cx: &mut Context<'_>) -> Moved {
        let mut input = INPUT.take();
        input.resize(READ_BYTES, 0);
        let (mut bytes, mut frames) = (0, 0);
        let progress = loop {
            let mut buffer = ReadBuf::new(&mut input);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => break Moved::Done,
                Poll::Ready(Err(_)) => break Moved::Over(Ended::Broken),
                Poll::Ready(Ok(())) => {}
            }
            let filled = buffer.filled_mut();
            if filled.is_empty() {
                break Moved::Over(Ended::ByPeer);
            }
            bytes += filled.len();
            frames += self.receive(filled);
            let enough = bytes >= READ_BYTES_PER_TURN || frames >= FRAMES_PER_TURN;
            if enough || !self.receiver.takes_more() {
                break Moved::Paused;
            }
        };
        INPUT.set(input);
        progress
    }

    /// Hands the messages in `input` to the receiver and returns how many frames were in it.
    fn receive(&mut self, input: &mut [u8]) -> u32 {
        let (mut at, mut by_peer, mut violation) = (0, false, None);
        while at < input.len() && violation.is_none() && !self.receiver.outbox().is_over() {
            let bytes_max = self.receiver.message_bytes_max();
            let receiver = &mut self.receiver;
            let decoded = self
                .decoder
                .decode(&mut input[at..], bytes_max, |incoming| {
                    match incoming {
                        Incoming::Text(text) => receiver.text(text),
                        Incoming::Binary(bytes) => receiver.binary(bytes),
                        Incoming::Ping(payload) => answer_ping(receiver.outbox(), payload),
                        Incoming::Pong => receiver.pong(),
                        Incoming::Close(code) => {
                            by_peer = true;
                            receiver.outbox().close(code.or(Some(NORMAL)));
                        }
                    }
                    match receiver.outbox().is_over() || receiver.message_bytes_max() != bytes_max {
                        true => Flow::Stop,
                        false => Flow::Continue,
                    }
                });
            match decoded {
                Ok(used) => at += used,
                Err(violated) => violation = Some(violated),
            }
        }
        let seen = self.decoder.take_seen();
        let allowed = self.progress.note(input.len(), seen);
        if let Some(violation) = violation {
            self.violate(violation);
        } else if by_peer {
            self.begin_closing(Ended::ByPeer);
        } else if !allowed {
            self.violate(Violation::TooManyFrames);
        }
        seen.frames
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Moved {
        let mut batch = Batch::in_thread_buffer();
        let (mut written, mut total) = (0, 0);
        let progress = loop {
            let outbox = self.receiver.outbox();
            if outbox.gather(written, &mut batch, cx.waker()) == Status::Cut {
                break Moved::Over(Ended::BySelf);
            }
            if batch.is_empty() {
                break Moved::Done;
            }
            if total >= WRITTEN_BYTES_PER_TURN {
                break Moved::Paused;
            }
            let stream = Pin::new(&mut self.stream);
            let wrote = batch.write(|slices| match slices {
                // For a single piece, `write` is cheaper than `writev`.
                [only] => stream.poll_write(cx, only),
                _ => stream.poll_write_vectored(cx, slices),
            });
            match wrote {
                Poll::Ready(Ok(0) | Err(_)) => break Moved::Over(Ended::Broken),
                Poll::Ready(Ok(bytes)) => {
                    written = bytes;
                    self.unflushed = true;
                }
                Poll::Pending => match self.receiver.outbox().register_blocked(cx.waker()) {
                    Status::Cut => break Moved::Over(Ended::BySelf),
                    Status::Open | Status::Closing => break Moved::Blocked,
                },
            }
            total += written;
        };
        batch.return_buffer();
        if progress == Moved::Done && self.unflushed {
            // A stream with a buffer of its own, such as TLS, sends its buffered bytes.
            return match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Err(_)) => Moved::Over(Ended::Broken),
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    Moved::Done
                }
                Poll::Pending => Moved::Blocked,
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
