//! Receives the frames of one connection, in order, and no faster than its clients' budgets and their
//! rooms allow: a message that comes too early waits, and nothing more is read meanwhile, so that the
//! kernel stops the peer. It also shows the peer that its connection works, and finds out
//! whether the peer is still there.

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf, Bytes};
use engineio::{Busy, Ended, Message, Outbox, Receiver, Violation};
use tokio::time::{Instant, sleep_until};

use super::{close, connection::Entered, requests::malformed};
use crate::error::{Error, Result};

/// How often a peer is shown that its connection works, at least: stock clients connect again when they
/// have received nothing for 30 s.
const BEAT_MAX: Duration = Duration::from_secs(15);
/// The time in which the end of a connection is noticed that was refused.
const REFUSED_ALARM: Duration = Duration::from_secs(3);

/// What the frames of one connection mean.
pub(super) trait Conversation: Send + Unpin + 'static {
    /// Handles the first message in `frame`, and returns its length.
    ///
    /// # Errors
    /// [`Error::RateLimited`]: nothing was done, and the message is to be handled again later. Every
    /// other error ends the connection.
    fn receive(&mut self, frame: &Bytes) -> Result<usize>;

    /// What has to end before the next message is handled; `None` if it is handled now.
    fn busy(&mut self) -> Option<Busy>;

    /// The largest message that is read at present.
    fn message_bytes_max(&self) -> usize;

    /// When [`on_alarm`](Self::on_alarm) is to be called.
    fn alarm(&self) -> Option<Instant>;

    /// The time of [`alarm`](Self::alarm) has come, or another.
    fn on_alarm(&mut self, now: Instant);

    /// Sends a message without content, if there is a client to which it can be sent.
    fn show_life(&self);

    /// The connection is being closed because of `error`.
    fn close(&mut self, error: &Error);

    /// The connection has ended. Further calls have no effect.
    fn end(&mut self);
}

/// The receiver of one connection.
pub(super) struct Reader<C: Conversation> {
    conversation: C,
    /// Frames that have arrived and were not handled yet: those of one read at most.
    waiting: VecDeque<Bytes>,
    /// Whether more is handled only when something has ended.
    is_paused: bool,
    /// The first message of them is not handled before this.
    not_before: Option<Instant>,
    beat_at: Instant,
    /// When the peer gave the last sign of life.
    alive_at: Instant,
    /// Dropped last, when the session has ended.
    entered: Entered,
}

impl<C: Conversation> Reader<C> {
    pub(super) fn new(conversation: C, entered: Entered) -> Self {
        let now = Instant::now();
        let mut reader = Self {
            conversation,
            waiting: VecDeque::new(),
            is_paused: false,
            not_before: None,
            beat_at: now,
            alive_at: now,
            entered,
        };
        reader.beat_at = now + reader.interval();
        reader
    }

    fn outbox(&self) -> &Outbox {
        &self.entered.connection.outbox
    }

    fn interval(&self) -> Duration {
        let timing = &self.entered.shared.timing;
        Duration::from_millis(timing.ping_interval_ms).min(BEAT_MAX)
    }

    /// Handles the frames that wait, as far as that may be done now. Returns what has to end before more
    /// is.
    fn handle_waiting(&mut self) -> Option<Busy> {
        let busy = self.handle_until_busy();
        self.is_paused = busy.is_some();
        busy
    }

    fn handle_until_busy(&mut self) -> Option<Busy> {
        while let Some(frame) = self.waiting.front_mut() {
            if self.entered.connection.outbox.is_over() {
                self.waiting.clear();
                break;
            }
            let now = Instant::now();
            if let Some(not_before) = self.not_before.filter(|not_before| now < *not_before) {
                return Some(Box::pin(sleep_until(not_before)));
            }
            if let Some(busy) = self.conversation.busy() {
                return Some(busy);
            }
            match self.conversation.receive(frame) {
                Ok(length) => {
                    self.not_before = None;
                    frame.advance(length.min(frame.len()));
                    if frame.is_empty() {
                        self.waiting.pop_front();
                    }
                }
                Err(Error::RateLimited { retry_after_ms, .. }) => {
                    self.not_before = Some(now + Duration::from_millis(retry_after_ms));
                }
                Err(error) => self.close(&error),
            }
        }
        self.conversation.busy()
    }

    fn close(&mut self, error: &Error) {
        self.waiting.clear();
        close::because(self.outbox(), error);
        self.conversation.close(error);
    }

    /// Shows the peer that its connection works, with a message, since pages do not see pings. Ends the
    /// connection of a peer that has not been seen for too long.
    fn beat(&mut self, now: Instant) {
        let shared = &self.entered.shared;
        let timeout = Duration::from_millis(shared.timing.ping_timeout_ms);
        let interval = self.interval();
        let is_read = self.waiting.is_empty();
        if is_read && now.duration_since(self.alive_at) > interval + timeout {
            shared.metrics.socket_cut("silent");
            return self.outbox().cut();
        }
        self.conversation.show_life();
        // A peer whose queue is full has enough to read.
        let queue_bytes_max = shared.limits.socket_queue_bytes_max;
        let _ = self.outbox().offer(Message::ping(), queue_bytes_max);
        self.beat_at = now + interval;
    }
}

impl<C: Conversation> Receiver for Reader<C> {
    fn outbox(&self) -> &Outbox {
        Reader::outbox(self)
    }

    fn text(&mut self, _: &str) {
        self.close(&malformed("is not binary"));
    }

    fn binary(&mut self, bytes: Bytes) {
        self.alive_at = Instant::now();
        // An empty frame is no message, which is found when it is handled.
        self.waiting.push_back(bytes);
        self.handle_waiting();
    }

    fn message_bytes_max(&self) -> usize {
        self.conversation.message_bytes_max()
    }

    fn busy(&mut self) -> Option<Busy> {
        self.handle_waiting()
    }

    fn takes_more(&self) -> bool {
        !self.is_paused
    }

    fn pong(&mut self) {
        self.alive_at = Instant::now();
    }

    fn close_code(&self, violation: Violation) -> u16 {
        match violation {
            Violation::TooLarge => close::TOO_LARGE,
            Violation::Protocol(_) | Violation::NotUtf8 => close::MALFORMED,
            Violation::Incomplete | Violation::TooManyFrames => violation.close_code(),
        }
    }

    fn alarm(&self) -> Instant {
        let other = self.conversation.alarm();
        other.map_or(self.beat_at, |other| other.min(self.beat_at))
    }

    fn on_alarm(&mut self) {
        let now = Instant::now();
        self.conversation.on_alarm(now);
        if now >= self.beat_at {
            self.beat(now);
        }
    }

    fn ended(&mut self, ended: Ended) {
        let limit = match ended {
            Ended::Violated(Violation::Incomplete) => Some("message_timeout"),
            Ended::Violated(Violation::TooManyFrames) => Some("bare_frames_per_second"),
            _ => None,
        };
        if let Some(limit) = limit {
            self.entered.shared.metrics.limit_applied(limit);
        }
        self.conversation.end();
    }
}

impl<C: Conversation> Drop for Reader<C> {
    /// Ends the sessions also where the task panicked or was dropped.
    fn drop(&mut self) {
        self.conversation.end();
    }
}

/// The receiver of a connection that was refused, and is being closed.
pub(super) struct Refused(pub(super) Entered);

impl Receiver for Refused {
    fn outbox(&self) -> &Outbox {
        &self.0.connection.outbox
    }

    fn text(&mut self, _: &str) {}

    fn binary(&mut self, _: Bytes) {}

    fn message_bytes_max(&self) -> usize {
        0
    }

    fn busy(&mut self) -> Option<Busy> {
        None
    }

    fn alarm(&self) -> Instant {
        Instant::now() + REFUSED_ALARM
    }

    fn on_alarm(&mut self) {}

    fn ended(&mut self, _: Ended) {}
}
