//! A stream whose progress is observed while HTTP is served on it, and the deadlines of a connection.
//!
//! The stream and the service note what happens; the connection's task asks for the next
//! deadline. All of it happens in this one task, except for an eviction.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::task::AtomicWaker;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{config::Timing, limits::Occupant};

/// What a connection is doing, and since when.
pub(super) struct Watch {
    state: Mutex<State>,
    evicted: AtomicBool,
    waker: AtomicWaker,
}

#[derive(Clone, Copy)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when the client has not read what is to be written.
    unread_since: Option<Instant>,
    /// A body did not arrive in time.
    body_is_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The connection was accepted, and nothing has arrived.
    New,
    /// The head of a request is arriving.
    Head,
    /// A request is being answered.
    Answering,
    /// The last answer was given.
    Idle,
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// No request began.
    Idle,
    /// The head of a request was not complete in time.
    Head,
    /// The client does not read an answer.
    Answer,
}

impl Late {
    /// The name of the setting.
    pub(super) fn limit(self) -> &'static str {
        match self {
            Late::Idle => "http_idle_timeout",
            Late::Head => "http_header_timeout",
            Late::Answer => "http_write_timeout",
        }
    }
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::New,
                since: Instant::now(),
                unread_since: None,
                body_is_late: false,
            }),
            evicted: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// The next deadline, and what is late then; `None` while a request is being answered whose
    /// client reads.
    pub(super) fn deadline(&self, timing: &Timing) -> Option<(Instant, Late)> {
        let state = *self.state.lock();
        let after = |since: Instant, ms: u64| since + Duration::from_millis(ms);
        if let Some(since) = state.unread_since {
            return Some((after(since, timing.http_write_timeout_ms), Late::Answer));
        }
        match state.phase {
            Phase::New => Some((
                after(state.since, timing.http_header_timeout_ms),
                Late::Idle,
            )),
            Phase::Head => Some((
                after(state.since, timing.http_header_timeout_ms),
                Late::Head,
            )),
            Phase::Idle => Some((after(state.since, timing.http_idle_timeout_ms), Late::Idle)),
            Phase::Answering => None,
        }
    }

    /// The head of a request is complete.
    pub(super) fn began_answering(&self) {
        self.enter(Phase::Answering);
    }

    /// The answer was handed to the stream completely, or will not be.
    pub(super) fn answered(&self) {
        self.enter(Phase::Idle);
    }

    /// A body did not arrive in time.
    pub(super) fn body_is_late(&self) {
        self.state.lock().body_is_late = true;
    }

    /// Whether a body of the present request did not arrive in time.
    pub(super) fn take_body_is_late(&self) -> bool {
        std::mem::take(&mut self.state.lock().body_is_late)
    }

    /// Whether the connection was evicted; if not, `waker` is woken when it is.
    pub(super) fn poll_evicted(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        self.evicted.load(Ordering::Acquire)
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state.lock();
        state.phase = phase;
        state.since = Instant::now();
    }

    fn read(&self, bytes: usize) {
        let mut state = self.state.lock();
        if bytes > 0 && matches!(state.phase, Phase::New | Phase::Idle) {
            state.phase = Phase::Head;
            state.since = Instant::now();
        }
    }

    fn wrote<T>(&self, wrote: &Poll<io::Result<T>>) {
        let mut state = self.state.lock();
        match wrote {
            Poll::Ready(_) => state.unread_since = None,
            Poll::Pending if state.unread_since.is_none() => {
                state.unread_since = Some(Instant::now());
            }
            Poll::Pending => {}
        }
    }
}

impl Occupant for Watch {
    fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// A stream on which HTTP is served.
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

/// Turns an upgraded connection back into the TCP connection itself.
pub(super) fn unwrap() -> engineio::Unwrap {
    engineio::Unwrap(|upgraded| {
        let parts = upgraded.downcast::<TokioIo<Watched<TcpStream>>>()?;
        Ok((parts.io.into_inner().into_inner(), parts.read_buf))
    })
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.watch.read(buffer.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch.wrote(&wrote);
        wrote
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch.wrote(&wrote);
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch.wrote(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch.wrote(&shut);
        shut
    }
}
