//! How a room takes in updates: cut to what is new and allowed, applied, accepted or refused.

use std::time::Duration;

use bytes::Bytes;
use tracing::error;

use super::{
    Participant, Standing, Update,
    commits::{Accepted, Audience, Receipt},
    core::{End, NOT_JOINED, RoomCore, Then},
    interface::{Means, Output, Work},
    members::Asker,
    ownership::Sender,
};
use crate::{
    error::{Error, Result},
    id::SessionId,
    limits::Pressure,
    store::{Author, Reservation},
};
use document::{
    self, Advance, Applied, ApplyError, Checked, Integrated, Prepared, StateVector, Visibility,
};

/// An update that costs less, and is shorter, is within what each session has free: its time is
/// not taken, for looking at the clock costs a tenth of it.
const CHEAP: Duration = Duration::from_micros(50);
const SMALL_BYTES: usize = 1024;
/// So many bytes of memory are gathered before a member is charged for them: people who type add
/// a few bytes at a time.
const OWED_BYTES_MAX: usize = 16 * 1024;

impl<P: Asker> RoomCore<P> {
    /// Takes an update in, or refuses it and leaves the document as it was.
    pub(super) fn update(&mut self, update: Box<Update<P>>, means: Means) {
        let of_author = update.standing == Standing::Author;
        if of_author && self.record.is_none() && self.end == End::Open {
            let peer = update.peer.clone();
            return self.create(&peer, Then::Write(update, means));
        }
        let Update {
            peer,
            ticket,
            bytes,
            checked,
            standing,
        } = *update;
        self.metrics.update_received(bytes.len() as u64);
        self.handled.received += 1;
        let author = peer.participant().session;
        let mut receipt = Receipt {
            peer,
            ticket,
            received: self.now.instant,
            visibility: Visibility::Visible,
        };
        match self.apply(&receipt.peer, bytes, &checked, standing, means) {
            Ok((visibility, accepted)) => {
                receipt.visibility = visibility;
                self.accept(receipt, accepted);
            }
            Err(error) => self.refuse(receipt, error),
        }
        if of_author {
            // It is no member that leaves later.
            self.ownership.release(author);
            self.needed_at = self.now.instant;
        }
    }

    fn accept(&mut self, receipt: Receipt<P>, accepted: Option<Accepted>) {
        if let Some(accepted) = accepted {
            self.handled.accepted += 1;
            return self.commits.accept(accepted, receipt);
        }
        if let Some(due) = self.commits.await_all(receipt) {
            // Not before the acks that are held: a client's come in order.
            self.acknowledge();
            let durable = self.document.durable();
            self.outputs.push(Output::Acks(vec![(due, durable)]));
        }
    }

    fn apply(
        &mut self,
        peer: &P,
        bytes: Bytes,
        checked: &Checked,
        standing: Standing,
        means: Means,
    ) -> Result<(Visibility, Option<Accepted>)> {
        if self.end != End::Open {
            return Err(Error::Draining);
        }
        if self.is_left_alone() {
            return Err(Error::StorageUnavailable);
        }
        let who = peer.participant();
        if standing != Standing::Author {
            let member = self.members.find(who.session).ok_or(NOT_JOINED)?;
            member.last_seen_at = self.now.time;
        }
        let declared = match standing {
            Standing::Member => None,
            Standing::Reply | Standing::Author => {
                let brought = checked.advances.iter();
                let brought: StateVector = brought.map(|by| (by.client, by.to)).collect();
                Some(self.document.lacks(&brought))
            }
        };
        let prepared = self
            .prepare(who, &bytes, checked, declared.as_ref())
            .map_err(|error| {
                self.charge(peer, 0, Work::Timed);
                self.refusal(who, error)
            })?;
        if prepared.is_nothing() {
            return Ok((prepared.visibility(), None));
        }
        let memory_bytes = prepared.memory_bytes();
        self.document.admits(bytes.len(), memory_bytes)?;
        if means.pressure == Pressure::Full {
            return Err(Error::Overloaded);
        }
        let reservation = means.reservation.ok_or(Error::StorageUnavailable)?;
        let cheap = prepared.is_whole() && prepared.cost() < CHEAP && bytes.len() < SMALL_BYTES;
        let applied = self.document.apply(&bytes, prepared);
        let work = match cheap {
            true => Work::Free,
            false => Work::Timed,
        };
        self.charge(peer, memory_bytes, work);
        let applied = applied.map_err(|error| self.refusal(who, error))?;
        let author = self.claim(who, &checked.advances, &applied, declared.as_ref());
        let accepted = accepted(bytes, &applied, who.session, author, reservation)?;
        Ok((applied.visibility, accepted))
    }

    /// Sees what of an update is new and may come from `who`.
    fn prepare(
        &mut self,
        who: &Participant,
        bytes: &Bytes,
        checked: &Checked,
        declared: Option<&StateVector>,
    ) -> Result<Prepared, ApplyError> {
        let members = &self.members;
        let sender = Sender {
            session: who.session,
            user: &who.user.id,
            declared: declared.unwrap_or_else(|| members.declared(who.session)),
        };
        let shown = |client| {
            let session = self.awareness.owner(client)?;
            Some((session, members.user(session)?))
        };
        let may = |client| self.ownership.may(&sender, client, shown);
        self.document.prepare(bytes, checked, may)
    }

    /// Notes whose client id the update was typed with, if it was typed.
    fn claim(
        &mut self,
        who: &Participant,
        advances: &[Advance],
        applied: &Applied,
        declared: Option<&StateVector>,
    ) -> Option<Author> {
        let [advance] = advances else { return None };
        if applied.integrated != Integrated::Whole {
            return None;
        }
        let sender = Sender {
            session: who.session,
            user: &who.user.id,
            declared: declared.unwrap_or_else(|| self.members.declared(who.session)),
        };
        let shown = |client| self.awareness.owner(client);
        self.ownership.claim(&sender, *advance, shown)
    }

    /// Charges `peer` for an update, or notes what it owes.
    fn charge(&mut self, peer: &P, memory_bytes: usize, work: Work) {
        let mut memory_bytes = memory_bytes;
        if let Some(member) = self.members.find(peer.participant().session) {
            member.owed_bytes += memory_bytes;
            if work == Work::Free && member.owed_bytes < OWED_BYTES_MAX {
                return;
            }
            memory_bytes = std::mem::take(&mut member.owed_bytes);
        }
        self.outputs.push(Output::Charge {
            peer: peer.clone(),
            memory_bytes,
            work,
        });
    }

    /// What a client is told of an update that was not applied.
    fn refusal(&self, who: &Participant, error: ApplyError) -> Error {
        match error {
            ApplyError::Undecodable => invalid_update("cannot be decoded"),
            ApplyError::TooDeep => invalid_update("nests too deeply"),
            ApplyError::DifferentParents => invalid_update("has neighbours in different types"),
            ApplyError::AmbiguousPlace => Error::Conflict {
                reason: "an element has no place between its neighbours: it has to be written anew",
            },
            ApplyError::Contradiction => Error::Conflict {
                reason: "known clocks came with other content: the client id is not this client's alone",
            },
            ApplyError::TooCostly => Error::TooCostly,
            ApplyError::PendingFull => Error::Overloaded,
            ApplyError::Panicked => {
                self.metrics.apply_panicked();
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
        Integrated::WithPending(more) => (Some(more.clone().into()), Audience::All),
    };
    let row = match (&message, &applied.pending) {
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
