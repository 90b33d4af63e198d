//! Receives the frames of one connection, in order, and no faster than its client's budget and its
//! room allow: a message that comes too early waits, and nothing more is read meanwhile, so that the
//! kernel stops the client. It also shows the client that its connection works, and finds out
//! whether the client is still there.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use engineio::{Busy, Ended, Message, Outbox, Receiver, Violation};
use tokio::time::{Instant, sleep_until};

use super::{
    client::Client,
    close,
    connection::{Connection, Entered},
    protocol, requests,
};
use crate::{error::Error, room::RoomHandle};

/// The space for the framing around the largest update that is refused with its own code.
const FRAMING_BYTES: usize = 1024;
/// How long a client may take to send its first message. Then it joins as one that has nothing.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The receiver of one connection with a session.
pub(super) struct Reader {
    client: Arc<Client>,
    /// Frames that have arrived and were not handled yet: those of one read at most.
    waiting: VecDeque<Bytes>,
    /// How many messages were handled.
    handled: usize,
    /// The first message of them is not handled before this.
    not_before: Option<Instant>,
    /// When the client joins at the latest; `None` once it has.
    join_by: Option<Instant>,
    beat_at: Instant,
    /// When the client gave the last sign of life.
    alive_at: Instant,
    /// Dropped last, when the session has ended.
    entered: Entered,
}

impl Reader {
    pub(super) fn new(client: Arc<Client>, entered: Entered) -> Self {
        let now = Instant::now();
        Self {
            waiting: VecDeque::new(),
            handled: 0,
            not_before: None,
            join_by: Some(now + FIRST_MESSAGE_TIMEOUT),
            beat_at: now + client.beat(),
            alive_at: now,
            client,
            entered,
        }
    }

    fn connection(&self) -> &Connection {
        &self.entered.connection
    }

    /// The room, if its inbox is so full that no message may be handled yet.
    fn busy_room(&self) -> Option<RoomHandle> {
        self.client.joined().filter(RoomHandle::is_busy)
    }

    /// Handles the frames that wait, as far as that may be done now.
    fn handle_waiting(&mut self) {
        while let Some(frame) = self.waiting.front_mut() {
            let now = Instant::now();
            let early = self.not_before.is_some_and(|not_before| now < not_before);
            if early || self.entered.connection.outbox.is_over() {
                return;
            }
            if self.client.joined().is_some_and(|room| room.is_busy()) {
                return;
            }
            match requests::receive(&self.client, frame, self.handled) {
                Ok(length) => {
                    self.handled += 1;
                    frame.advance(length);
                    self.join_by = None;
                    if frame.is_empty() {
                        self.waiting.pop_front();
                    }
                }
                Err(Error::RateLimited { retry_after_ms, .. }) => {
                    self.not_before = Some(now + Duration::from_millis(retry_after_ms));
                    return;
                }
                Err(error) => {
                    self.waiting.clear();
                    return self.client.close(&error);
                }
            }
        }
        self.not_before = None;
    }

    /// Shows the client that its connection works, with a message, since pages do not see pings. Ends
    /// the connection of a client that has not been seen for too long.
    fn beat(&mut self, now: Instant) {
        let timeout = Duration::from_millis(self.client.shared.timing.ping_timeout_ms);
        let interval = self.client.beat();
        let is_read = self.waiting.is_empty();
        if is_read && now.duration_since(self.alive_at) > interval + timeout {
            self.client.shared.metrics.socket_cut("silent");
            return self.connection().outbox.cut();
        }
        self.client.try_send(protocol::no_awareness());
        self.client.try_send(Message::ping());
        self.beat_at = now + interval;
    }
}

impl Receiver for Reader {
    fn outbox(&self) -> &Outbox {
        &self.entered.connection.outbox
    }

    fn text(&mut self, _: &str) {
        self.client.close(&Error::Invalid {
            field: "message",
            reason: "is not binary",
        });
    }

    fn binary(&mut self, bytes: Bytes) {
        self.alive_at = Instant::now();
        self.waiting.push_back(bytes);
        // An empty frame is no message, which is found when it is handled.
        self.handle_waiting();
    }

    fn message_bytes_max(&self) -> usize {
        self.client.shared.limits.update_bytes_max * 2 + FRAMING_BYTES
    }

    fn busy(&mut self) -> Option<Busy> {
        self.handle_waiting();
        if let Some(not_before) = self.not_before {
            return Some(Box::pin(sleep_until(not_before)));
        }
        let room = self.busy_room()?;
        Some(Box::pin(async move { room.becomes_free().await }))
    }

    fn takes_more(&self) -> bool {
        self.waiting.is_empty()
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
        let others = [self.join_by, self.client.asks_at()];
        others
            .into_iter()
            .flatten()
            .fold(self.beat_at, Instant::min)
    }

    fn on_alarm(&mut self) {
        let now = Instant::now();
        if self.join_by.is_some_and(|join_by| now >= join_by) {
            self.join_by = None;
            if let Err(error) = self.client.join(None) {
                return self.client.close(&error);
            }
        }
        self.client.ask_when_due();
        if now >= self.beat_at {
            self.beat(now);
        }
    }

    fn ended(&mut self, ended: Ended) {
        let limit = match ended {
            Ended::Violated(Violation::Incomplete) => "message_timeout",
            Ended::Violated(Violation::TooManyFrames) => "bare_frames_per_second",
            _ => return self.client.end(),
        };
        self.client.shared.metrics.limit_applied(limit);
        self.client.end();
    }
}

impl Drop for Reader {
    /// Ends the session also where the task panicked or was dropped.
    fn drop(&mut self) {
        self.client.end();
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
        Instant::now() + FIRST_MESSAGE_TIMEOUT
    }

    fn on_alarm(&mut self) {}

    fn ended(&mut self, _: Ended) {}
}
