//! How a room takes in updates: cut to what is new and allowed, applied, accepted or refused.

use std::time::Duration;

use bytes::Bytes;
use document::{Advance, Applied, ApplyError, Checked, Integrated, Visibility};
use tracing::error;

use super::{
    Extent, Participant,
    commits::{Accepted, Audience, Receipt},
    ownership::Sender,
    task::{End, NOT_JOINED, Room},
};
use crate::{
    error::{Error, Result},
    id::SessionId,
    limits::Pressure,
    store::{Author, Reservation},
};

/// An update that costs less, and is shorter, is within what each session has free: its time is
/// not taken, for looking at the clock costs a tenth of it.
const CHEAP: Duration = Duration::from_micros(50);
const SMALL_BYTES: usize = 1024;

impl Room {
    /// Takes an update in, or refuses it and leaves the document as it was.
    pub(super) fn update(&mut self, mut receipt: Receipt, bytes: Bytes, checked: &Checked) {
        self.shared.metrics.update_received(bytes.len() as u64);
        self.handled.received += 1;
        match self.apply(&receipt, bytes, checked) {
            Ok((visibility, accepted)) => {
                receipt.visibility = visibility;
                self.accept(receipt, accepted);
            }
            Err(error) => receipt.refuse(error),
        }
    }

    fn accept(&mut self, receipt: Receipt, accepted: Option<Accepted>) {
        if let Some(accepted) = accepted {
            self.handled.accepted += 1;
            return self.commits.accept(accepted, receipt);
        }
        if let Some(due) = self.commits.await_all(receipt) {
            // Not before the acks that are held: a client's come in order.
            self.acknowledge();
            due.accept(self.document.durable());
            due.seat.flush(Extent::Few);
        }
    }

    fn apply(
        &mut self,
        receipt: &Receipt,
        bytes: Bytes,
        checked: &Checked,
    ) -> Result<(Visibility, Option<Accepted>)> {
        if self.end != End::Open {
            return Err(Error::Draining);
        }
        let began = receipt.received;
        if self.is_left_alone(began) {
            return Err(Error::StorageUnavailable);
        }
        let who = receipt.seat.participant();
        let Some(member) = self.members.find(who.session) else {
            return Err(NOT_JOINED);
        };
        member.last_seen_at = self.heard_at;
        let prepared = {
            let members = &self.members;
            let sender = Sender {
                session: who.session,
                user: &who.user.id,
                declared: members.declared(who.session),
            };
            let shown = |client| {
                let session = self.awareness.owner(client)?;
                Some((session, members.user(session)?))
            };
            let may = |client| self.ownership.may(&sender, client, shown);
            self.document.prepare(&bytes, checked, may)
        };
        let prepared = prepared
            .inspect_err(|_| {
                receipt.seat.charge(
                    began.elapsed().saturating_sub(self.document.take_waited()),
                    0,
                );
            })
            .map_err(|error| self.refusal(who, error))?;
        if prepared.is_nothing() {
            return Ok((prepared.visibility(), None));
        }
        let memory_bytes = prepared.memory_bytes();
        self.document.admits(bytes.len(), memory_bytes)?;
        if self.shared.memory.pressure() == Pressure::Full {
            return Err(Error::Overloaded);
        }
        let reservation = self
            .shared
            .store
            .log()
            .reserve(bytes.len())
            .ok_or(Error::StorageUnavailable)?;
        let cheap = prepared.is_whole() && prepared.cost() < CHEAP && bytes.len() < SMALL_BYTES;
        let applied = self.document.apply(&bytes, prepared);
        let cpu = match cheap {
            true => Duration::ZERO,
            false => began.elapsed().saturating_sub(self.document.take_waited()),
        };
        receipt.seat.charge(cpu, memory_bytes);
        let applied = applied.map_err(|error| self.refusal(who, error))?;
        let author = self.claim(who, &checked.advances, &applied);
        let accepted = accepted(bytes, &applied, who.session, author, reservation)?;
        Ok((applied.visibility, accepted))
    }

    /// Notes whose client id the update was typed with, if it was typed.
    fn claim(
        &mut self,
        who: &Participant,
        advances: &[Advance],
        applied: &Applied,
    ) -> Option<Author> {
        let [advance] = advances else { return None };
        if applied.integrated != Integrated::Whole {
            return None;
        }
        let sender = Sender {
            session: who.session,
            user: &who.user.id,
            declared: self.members.declared(who.session),
        };
        let shown = |client| self.awareness.owner(client);
        self.ownership.claim(&sender, *advance, shown)
    }

    /// What a client is told of an update that was not applied.
    fn refusal(&self, who: &Participant, error: ApplyError) -> Error {
        match error {
            ApplyError::Undecodable => invalid_update("cannot be decoded"),
            ApplyError::TooDeep => invalid_update("nests too deeply"),
            ApplyError::Torn => invalid_update("has neighbours in different types"),
            ApplyError::Crossed => Error::Conflict {
                reason: "an element has no place between its neighbours: it has to be written anew",
            },
            ApplyError::Contradiction => Error::Conflict {
                reason: "known clocks came with other content: the client id is not this client's alone",
            },
            ApplyError::TooCostly => Error::TooCostly,
            ApplyError::PendingFull => Error::Overloaded,
            ApplyError::Panicked => {
                self.shared.metrics.apply_panicked();
                error!(
                    session = who.session.0,
                    user = who.user.id.as_str(),
                    "an update broke the document; rebuilding it"
                );
                invalid_update("cannot be applied")
            }
        }
    }
}

/// What of an update is written and told; nothing if nothing came of it.
fn accepted(
    bytes: Bytes,
    applied: &Applied,
    from: SessionId,
    author: Option<Author>,
    reservation: Reservation,
) -> Result<Option<Accepted>> {
    let (message, audience) = match &applied.integrated {
        Integrated::Nothing => (None, Audience::Others),
        Integrated::Whole => (Some(bytes), Audience::Others),
        Integrated::Part(part) => (Some(part.clone().into()), Audience::Others),
        Integrated::More(more) => (Some(more.clone().into()), Audience::All),
    };
    let row = match (&message, &applied.held) {
        (None, None) => return Ok(None),
        (Some(message), None) => message.clone(),
        (None, Some(held)) => held.clone().into(),
        (Some(message), Some(held)) => {
            // The one is in the document and the other is not: they share nothing.
            let both: [&[u8]; 2] = [message, held];
            document::merge(&both).map_err(|_| Error::Internal)?.into()
        }
    };
    Ok(Some(Accepted {
        row,
        message,
        from,
        audience,
        author,
        reservation,
    }))
}

fn invalid_update(reason: &'static str) -> Error {
    Error::Invalid {
        field: "update",
        reason,
    }
}
