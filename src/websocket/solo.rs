//! What the frames of a y-websocket connection mean: all of them are about its one document.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use engineio::Busy;
use tokio::time::Instant;

use super::{
    client::Client,
    protocol::{self, Incoming},
    reader::Conversation,
    requests::{self, malformed},
};
use crate::{
    error::{Error, Result},
    room::RoomHandle,
};

/// The space for the framing around the largest update that is refused with its own code.
pub(super) const FRAMING_BYTES: usize = 1024;
/// How long a client may take to send its first message. Then it joins as one that has nothing.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The connection of one client.
pub(super) struct Solo {
    client: Arc<Client>,
    /// How many messages were handled.
    handled: usize,
    /// When the client joins at the latest; `None` once it has.
    join_by: Option<Instant>,
}

impl Solo {
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self {
            client,
            handled: 0,
            join_by: Some(Instant::now() + FIRST_MESSAGE_TIMEOUT),
        }
    }
}

impl Conversation for Solo {
    fn receive(&mut self, frame: &Bytes) -> Result<usize> {
        let read = Incoming::read(frame);
        let (message, length) = read.map_err(|_| malformed("is not complete"))?;
        requests::receive(&self.client, message, (frame, length), self.handled)?;
        self.handled += 1;
        self.join_by = None;
        Ok(length)
    }

    fn busy(&mut self) -> Option<Busy> {
        let room = self.client.joined().filter(RoomHandle::is_busy)?;
        Some(Box::pin(async move { room.becomes_free().await }))
    }

    fn message_bytes_max(&self) -> usize {
        self.client.shared.limits.update_bytes_max * 2 + FRAMING_BYTES
    }

    fn alarm(&self) -> Option<Instant> {
        let both = [self.join_by, self.client.asks_at()];
        both.into_iter().flatten().min()
    }

    fn on_alarm(&mut self, now: Instant) {
        if self.join_by.is_some_and(|join_by| now >= join_by) {
            self.join_by = None;
            if let Err(error) = self.client.join(None) {
                return self.client.close(&error);
            }
        }
        self.client.ask_when_due();
    }

    fn show_life(&self) {
        let life = protocol::no_awareness(&self.client.address);
        self.client.try_send(life);
    }

    fn close(&mut self, error: &Error) {
        self.client.close(error);
    }

    fn end(&mut self) {
        self.client.end();
    }
}
