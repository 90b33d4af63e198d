//! Carries out what a client of y-socket.io sends: an event at a time, in their order.
//!
//! Most events of this protocol have no ack, so a client cannot be told to repeat one. What comes too fast
//! waits, and so does everything behind it: the connection is read more slowly. An update that cannot be
//! taken for a while is dropped, and the server [asks](super::asking) for it later.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use document::{StateVector, awareness};
use tokio::time::Instant;

use super::{
    client::{Client, Pause},
    packets::{AWARENESS_UPDATE, Event, SYNC_STEP_1, SYNC_UPDATE},
    seat::SYNC_STEP_2,
};
use crate::{
    auth::Right,
    error::{Error, Result},
    id::Timestamp,
    room::{Command, Standing, Ticket, Update},
    socket::protocol::Refusal,
};

/// What an event counts for in the budgets, besides its bytes.
const EVENT_BYTES: usize = 64;
/// How long an event waits for a room whose inbox is full.
const INBOX_WAIT: Duration = Duration::from_millis(50);
/// An update without blocks and deletions.
const EMPTY_UPDATE: &[u8] = &[0, 0];

impl Client {
    /// Carries out `event`, behind those that wait.
    pub(super) fn receive(&self, event: Event) {
        self.session.seen(Timestamp::now());
        let mut pause = self.pause.lock();
        match &mut *pause {
            Some(pause) => pause.events.push_back(event),
            None => {
                drop(pause);
                self.carry_out([event].into());
            }
        }
    }

    /// Carries out the events that wait.
    pub(super) fn resume(&self) {
        let waiting = self.pause.lock().take();
        self.carry_out(waiting.map(|pause| pause.events).unwrap_or_default());
    }

    /// Carries out `events`, up to one that has to wait.
    fn carry_out(&self, mut events: VecDeque<Event>) {
        while let Some(event) = events.front() {
            // Requests after the end of the session are ignored.
            if self.session.has_ended() {
                return;
            }
            let done = self.admit(event).and_then(|()| self.request(event));
            let wait = match done {
                Ok(()) => None,
                Err(Error::RateLimited { retry_after_ms, .. }) => {
                    Some(Duration::from_millis(retry_after_ms))
                }
                Err(Error::Overloaded) => Some(INBOX_WAIT),
                Err(error) => {
                    self.fail(event, &error);
                    None
                }
            };
            if let Some(wait) = wait {
                let until = Instant::now() + wait;
                *self.pause.lock() = Some(Box::new(Pause { until, events }));
                return;
            }
            events.pop_front();
        }
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
            Event::Step1 { ack: None, .. } => Ok(()),
            Event::Step1 { state_vector, ack } => self.sync(state_vector, *ack),
            Event::Update(update) => self.update(update, SYNC_UPDATE, Standing::Member),
            Event::Step2 { update, ack } => match self.asking.lock().answered(*ack) {
                true => self.update(update, SYNC_STEP_2, Standing::Reply),
                false => {
                    self.socket().ignore();
                    Ok(())
                }
            },
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

    fn update(&self, bytes: &Bytes, request: &'static str, standing: Standing) -> Result<()> {
        self.shared.sessions.check_open()?;
        if !self.rights.allows(Right::Edit) && bytes == EMPTY_UPDATE {
            return Ok(());
        }
        self.rights.require(Right::Edit)?;
        within(bytes, self.shared.limits.update_bytes_max)?;
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

    fn change_awareness(&self, bytes: &Bytes) -> Result<()> {
        within(bytes, self.shared.limits.awareness_bytes_max)?;
        let entries =
            awareness::decode(bytes).map_err(|_| invalid("is not an awareness update"))?;
        self.command(AWARENESS_UPDATE, None, |peer, ticket| Command::Awareness {
            peer,
            ticket,
            entries,
            bytes: bytes.len(),
        })
    }

    fn command(
        &self,
        request: &'static str,
        id: Option<u64>,
        command: impl FnOnce(std::sync::Arc<dyn crate::room::Peer>, Ticket) -> Command,
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
            Event::Unknown {
                name,
                ack: Some(ack),
            } => {
                let _ = name;
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

fn within(bytes: &Bytes, limit: usize) -> Result<()> {
    match bytes.len() > limit {
        true => Err(Error::TooLarge { limit }),
        false => Ok(()),
    }
}

fn invalid(reason: &'static str) -> Error {
    Error::Invalid {
        field: "payload",
        reason,
    }
}
