//! Carries out what a client of y-socket.io sends: an event at a time, in their order.
//!
//! Most events of this protocol have no ack, so a client cannot be told to repeat one. What comes too fast
//! waits, and so does everything behind it: the connection is read more slowly. An update that cannot be
//! taken for a while is dropped, and the server [asks](super::asking) for it later.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use document::{StateVector, awareness};
use tokio::time::Instant;

use super::{
    client::{Client, Pause},
    packets::{AWARENESS_UPDATE, Event, SYNC_STEP_1, SYNC_STEP_2, SYNC_UPDATE},
};
use crate::{
    auth::Right,
    error::{Error, ErrorCode, Result},
    id::Timestamp,
    room::{Command, Peer, Standing, Ticket, Update},
    socket::{engine::Engine, protocol::Refusal},
};

/// What an event counts for in the budgets, besides its bytes.
const EVENT_BYTES: usize = 64;
/// How long an event waits for a room whose inbox is full.
const INBOX_WAIT: Duration = Duration::from_millis(50);
/// An update without blocks and deletions.
const EMPTY_UPDATE: &[u8] = &[0, 0];

impl Client {
    /// Carries out `event`, or has it wait. Events after the end of the session are ignored.
    pub(super) fn carry_out(&self, event: Event) {
        if self.session.has_ended() {
            return;
        }
        self.session.seen(Timestamp::now());
        let done = self.admit(&event).and_then(|()| self.request(&event));
        let wait = match done {
            Ok(()) => return,
            Err(Error::RateLimited { retry_after_ms, .. }) => Duration::from_millis(retry_after_ms),
            Err(Error::Overloaded) => INBOX_WAIT,
            Err(error) => return self.fail(&event, &error),
        };
        let until = Instant::now() + wait;
        *self.pause.lock() = Some(Box::new(Pause { until, event }));
        Engine::pause(&self.shared, self.socket());
    }

    /// Charges the budgets for `event`.
    fn admit(&self, event: &Event) -> Result<()> {
        let budget = &self.session.budget;
        match event {
            Event::Step1 { state_vector, .. } => {
                budget.admit_join(state_vector.len() + EVENT_BYTES)
            }
            Event::Update(bytes) | Event::Step2 { update: bytes, .. } | Event::Awareness(bytes) => {
                budget.admit_update(bytes.len() + EVENT_BYTES)
            }
            Event::Malformed(_) | Event::Unknown { .. } => budget.admit_request(EVENT_BYTES),
        }
    }

    fn request(&self, event: &Event) -> Result<()> {
        match event {
            Event::Step1 { .. } => self.greeting.lock().step_1(),
            Event::Awareness(_) => {}
            _ => self.greeting.lock().other(),
        }
        match event {
            Event::Step1 { ack: None, .. } => Ok(()),
            Event::Step1 { state_vector, ack } => self.sync(state_vector, *ack),
            Event::Update(update) => self.update(update, SYNC_UPDATE, Standing::Member),
            Event::Step2 { update, ack } => self.step_2(update, *ack),
            Event::Awareness(states) => self.change_awareness(states),
            Event::Malformed(_) => Err(invalid("must be binary")),
            Event::Unknown { .. } => Err(Error::Invalid {
                field: "event",
                reason: "is not known",
            }),
        }
    }

    fn sync(&self, state_vector: &Bytes, ack: Option<u64>) -> Result<()> {
        let state_vector =
            StateVector::decode(state_vector).map_err(|_| invalid("is not a Yjs state vector"))?;
        self.command(SYNC_STEP_1, ack, |peer, ticket| Command::Sync {
            peer,
            ticket,
            has: state_vector.into(),
        })
    }

    /// The answer to a step 1 of the server. It is open until it was taken, or refused for good.
    fn step_2(&self, update: &Bytes, number: u64) -> Result<()> {
        if !self.asking.lock().is_open(number) {
            self.socket().ignore();
            return Ok(());
        }
        let done = self.update(update, SYNC_STEP_2, Standing::Reply);
        if !matches!(done, Err(Error::Overloaded)) {
            self.asking.lock().answered();
        }
        done
    }

    fn update(&self, bytes: &Bytes, request: &'static str, standing: Standing) -> Result<()> {
        self.shared.sessions.check_open()?;
        if !self.rights.allows(Right::Edit) && bytes == EMPTY_UPDATE {
            return Ok(());
        }
        self.rights.require(Right::Edit)?;
        let limit = self.shared.limits.update_bytes_max;
        if bytes.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        let checked = document::validate(bytes).map_err(|_| invalid("is not a Yjs update"))?;
        let bytes = bytes.clone();
        self.command(request, None, |peer, ticket| {
            Command::Update(Box::new(Update {
                peer,
                ticket,
                bytes,
                checked,
                standing,
            }))
        })
    }

    /// Changes awareness states. Those that are too many, too large or malformed are dropped: stock clients
    /// send on what they have received, which they do not choose.
    fn change_awareness(&self, bytes: &Bytes) -> Result<()> {
        if bytes.len() > self.shared.limits.awareness_bytes_max {
            self.shared.metrics.limit_applied("awareness_bytes_max");
            return Ok(());
        }
        let Ok(entries) = awareness::decode(bytes) else {
            self.shared.metrics.refused(ErrorCode::Invalid.name());
            return Ok(());
        };
        let answer = self.greeting.lock().awareness(&entries);
        self.command(AWARENESS_UPDATE, None, |peer, ticket| Command::Awareness {
            peer,
            ticket,
            entries,
            bytes: bytes.len(),
        })?;
        if let Some(answer) = answer {
            self.send(self.namespace().bytes(AWARENESS_UPDATE, answer.into()));
        }
        Ok(())
    }

    fn command(
        &self,
        request: &'static str,
        id: Option<u64>,
        command: impl FnOnce(Arc<dyn Peer>, Ticket) -> Command,
    ) -> Result<()> {
        // The connection holds the client while it reads, so that it is there.
        let peer = self.peer().ok_or(Error::Internal)?;
        self.handle.send(command(peer, Ticket { request, id }))
    }

    /// Handles an event that was not carried out and will not be.
    fn fail(&self, event: &Event, error: &Error) {
        let name = match event {
            Event::Step1 { .. } | Event::Step2 { .. } => SYNC_STEP_1,
            Event::Update(_) => SYNC_UPDATE,
            Event::Awareness(_) => AWARENESS_UPDATE,
            Event::Malformed(name) => *name,
            Event::Unknown { ack: Some(ack), .. } => {
                let refusal = Refusal { ok: false, error };
                return self.send(self.namespace().ack(*ack, &refusal));
            }
            Event::Unknown { name, .. } => name,
        };
        match error {
            // The client connects to another server, which asks for what it lacks.
            Error::Draining => {}
            // The room has ended: the client reconnects, and finds a new one.
            Error::StorageUnavailable => self.cut_transport("room_ended"),
            Error::Invalid { field: "event", .. } => self.refuse(name, error),
            Error::Invalid { .. } => self.refuse_malformed(name, error),
            _ => self.refuse(name, error),
        }
    }
}

fn invalid(reason: &'static str) -> Error {
    Error::Invalid {
        field: "payload",
        reason,
    }
}
