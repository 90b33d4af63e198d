//! The bodies of requests, which have to arrive in time, and of answers, which tell when they end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::watched::Watch;

/// The least average rate of a body, beside the time for which it may stall.
const BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// The body of a request. It fails when the client stalls for too long, or sends at less than
/// 16 KiB a second for as long.
pub(super) struct TimedBody {
    body: Incoming,
    watch: Arc<Watch>,
    stall_timeout: Duration,
    began: Instant,
    received: u64,
    /// Set while the next bytes are awaited.
    timer: Option<Pin<Box<Sleep>>>,
}

/// A body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct LateBody;

impl TimedBody {
    pub(super) fn new(body: Incoming, watch: Arc<Watch>, stall_timeout: Duration) -> Self {
        Self {
            body,
            watch,
            stall_timeout,
            began: Instant::now(),
            received: 0,
            timer: None,
        }
    }

    /// When the next bytes are late.
    fn deadline(&self) -> Instant {
        let at_least_rate = Duration::from_secs(self.received / BYTES_PER_SECOND_MIN);
        Instant::now().min(self.began + at_least_rate) + self.stall_timeout
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.timer = None;
            let data = frame.as_ref().and_then(|it| it.as_ref().ok()?.data_ref());
            self.received += data.map_or(0, |data| data.len() as u64);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let deadline = self.deadline();
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        self.watch.body_is_late();
        Poll::Ready(Some(Err(LateBody.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. When it is dropped, it was handed to the stream, or will not be.
pub(super) struct AnswerBody {
    pub(super) body: axum::body::Body,
    pub(super) watch: Arc<Watch>,
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.watch.answered();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
