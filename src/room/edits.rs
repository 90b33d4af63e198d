//! How a room applies updates: it reduces each to its new and permitted part, applies that, and
//! accepts or refuses it.

use std::time::Duration;

use bytes::Bytes;
use tracing::error;

use super::{
    Answer, Edit, Identity, Standing, Ticket, Update,
    commits::{Ack, Content},
    core::{AfterFetch, NOT_JOINED, Phase, RoomCore},
    interface::{Output, Resources, Work},
    members::PeerHandle,
    ownership::Sender,
    rows::{Accepted, Recipients},
};
use crate::{
    error::{Error, Result},
    id::{SessionId, Timestamp},
    limits::Pressure,
    store::{Author, Reservation},
};
use document::{
    self, Advance, Applied, ApplyError, Checked, Integrated, Prepared, StateVector, Visibility,
    edit::{EditError, OperationFault},
};

/// An update that costs less than this and is shorter than [`SMALL_BYTES`] is free of charge: its
/// time is not measured, because reading the clock would cost a tenth of it.
const CHEAP: Duration = Duration::from_micros(50);
const SMALL_BYTES: usize = 1024;
/// A member is charged for memory once it owes this many bytes, because a person who types adds
/// only a few bytes at a time.
const OWED_BYTES_MAX: usize = 16 * 1024;

impl<P: PeerHandle> RoomCore<P> {
    /// Applies an update, or refuses it and leaves the document as it was. The document is created
    /// first if an author without a seat writes to an unknown one.
    pub(super) fn update(&mut self, update: Box<Update<P>>, resources: Resources) {
        let of_author = update.standing == Standing::Author;
        if of_author && self.metadata.is_none() && self.phase == Phase::Open {
            let peer = update.peer.clone();
            return self.create(&peer, AfterFetch::Write(update, resources));
        }
        let Update {
            peer,
            ticket,
            bytes,
            checked,
            standing,
        } = *update;
        self.metrics.update_received(bytes.len() as u64);
        self.counts.received += 1;
        let author = peer.identity().session;
        let mut ack = Ack {
            peer,
            ticket,
            received: self.now.instant,
            visibility: Visibility::Visible,
            content: Content::InEarlierRows,
        };
        match self.apply(&ack.peer, bytes, &checked, standing, resources) {
            Ok((visibility, content, accepted)) => {
                (ack.visibility, ack.content) = (visibility, content);
                self.accept(ack, accepted);
            }
            Err(error) => self.refuse(ack, error),
        }
        if of_author {
            // An author without a seat sends no `Leave` that would do this.
            self.ownership.release(author);
            self.needed_at = self.now.instant;
        }
    }

    /// Makes an update of an edit. Its author sends that like any other update, so that it is
    /// limited, written and relayed in the same way.
    pub(super) fn make_edit(&mut self, peer: P, ticket: Ticket, edit: &Edit) {
        self.needed_at = self.now.instant;
        let made = match self.phase {
            Phase::Open => self.document.make(edit).map_err(edit_refusal),
            Phase::Draining | Phase::Closed => Err(Error::Draining),
        };
        self.charge(&peer, 0, Work::Timed);
        let answer = made.map_or_else(Answer::Refused, Answer::Made);
        self.answer(peer, ticket, answer);
    }

    /// Has the ack of an applied update sent when it is durable; `None` for `accepted` means that
    /// nothing of it was new.
    fn accept(&mut self, ack: Ack<P>, accepted: Option<Accepted>) {
        if let Some(accepted) = accepted {
            self.counts.accepted += 1;
            let who = ack.peer.identity();
            self.edit_notices.wrote(who, self.now.instant);
            return self.commits.accept(accepted, ack);
        }
        if let Some(due) = self.commits.await_all(ack) {
            // The delayed acks go first, since the acks of a client are sent in order.
            self.acknowledge();
            let durable = self.document.durable;
            self.outputs.push(Output::Acks(vec![(due, durable)]));
        }
    }

    /// Applies the new and permitted part of an update. Returns `None` if there is no such part.
    fn apply(
        &mut self,
        peer: &P,
        bytes: Bytes,
        checked: &Checked,
        standing: Standing,
        resources: Resources,
    ) -> Result<(Visibility, Content, Option<Accepted>)> {
        let who = peer.identity();
        self.admit_sender(who.session, standing)?;
        let declared = self.declared_with(standing, checked);
        let prepared = self
            .prepare(who, &bytes, checked, declared.as_ref())
            .map_err(|error| {
                self.charge(peer, 0, Work::Timed);
                self.refusal(who, error)
            })?;
        if prepared.is_nothing() {
            return Ok((prepared.visibility(), Content::InEarlierRows, None));
        }
        if standing == Standing::Reader {
            self.charge(peer, 0, Work::Timed);
            return Err(Error::Forbidden { needed: "edit" });
        }
        let content = match prepared.is_whole() {
            true => Content::InOwnRow,
            false => Content::InEarlierRows,
        };
        let memory_bytes = prepared.memory_bytes();
        let reservation = self.admit_growth(bytes.len(), memory_bytes, resources)?;
        let is_cheap = prepared.is_whole() && prepared.cost() < CHEAP && bytes.len() < SMALL_BYTES;
        let applied = self.document.apply(&bytes, prepared);
        let work = match is_cheap {
            true => Work::Free,
            false => Work::Timed,
        };
        self.charge(peer, memory_bytes, work);
        let applied = applied.map_err(|error| self.refusal(who, error))?;
        let author = self.claim(who, &checked.advances, &applied, declared.as_ref());
        let accepted = accepted(bytes, &applied, who, self.now.time, author, reservation)?;
        Ok((applied.visibility, content, accepted))
    }

    /// Refuses updates while the room or its storage takes none, and those of a member that has not
    /// joined.
    fn admit_sender(&mut self, session: SessionId, standing: Standing) -> Result<()> {
        if self.phase != Phase::Open {
            return Err(Error::Draining);
        }
        if self.is_storage_refused() {
            return Err(Error::StorageUnavailable);
        }
        if standing != Standing::Author {
            let member = self.members.find(session).ok_or(NOT_JOINED)?;
            member.last_seen_at = self.now.time;
        }
        Ok(())
    }

    /// What the sender of an update is taken to have that the document lacks; `None` where it
    /// declared that when it synchronised.
    fn declared_with(&self, standing: Standing, checked: &Checked) -> Option<StateVector> {
        match standing {
            Standing::Member => None,
            Standing::Reply | Standing::Reader | Standing::Author => {
                let brought = checked.advances.iter();
                let brought: StateVector = brought.map(|by| (by.client, by.to)).collect();
                Some(self.document.missing_here(&brought))
            }
        }
    }

    /// Checks that the document, the memory of the process and the log's journal have room.
    fn admit_growth(
        &mut self,
        bytes: usize,
        memory_bytes: usize,
        resources: Resources,
    ) -> Result<Reservation> {
        self.document.admits(bytes, memory_bytes)?;
        if resources.pressure == Pressure::Full {
            return Err(Error::Overloaded);
        }
        resources.reservation.ok_or(Error::StorageUnavailable)
    }

    /// Finds the part of an update that is new and that `who` may bring.
    fn prepare(
        &mut self,
        who: &Identity,
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
        let clock_limit = |client| self.ownership.clock_limit(&sender, client, shown);
        self.document.prepare(bytes, checked, clock_limit)
    }

    /// Notes that the update's client id is its sender's, if the sender typed it. Returns the
    /// author if the id had none.
    fn claim(
        &mut self,
        who: &Identity,
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

    /// Charges `peer` for an update, or adds a small amount to what the member owes.
    fn charge(&mut self, peer: &P, memory_bytes: usize, work: Work) {
        let mut memory_bytes = memory_bytes;
        if let Some(member) = self.members.find(peer.identity().session) {
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

    /// The error of an update that was not applied.
    fn refusal(&self, who: &Identity, error: ApplyError) -> Error {
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
                    "an update broke the document, which is rebuilt"
                );
                invalid_update("cannot be applied")
            }
        }
    }
}

/// What is relayed and written of an applied update; `None` if it changed nothing.
fn accepted(
    bytes: Bytes,
    applied: &Applied,
    who: &Identity,
    at: Timestamp,
    author: Option<Author>,
    reservation: Reservation,
) -> Result<Option<Accepted>> {
    let recipients = match &applied.integrated {
        Integrated::WithPending(_) => Recipients::All,
        Integrated::Nothing | Integrated::Whole | Integrated::Part(_) => Recipients::Others,
    };
    let message = visible(bytes, applied);
    let Some(row) = with_pending(message.clone(), applied)? else {
        return Ok(None);
    };
    Ok(Some(Accepted {
        row,
        message,
        from: who.session,
        user: who.user.id.clone(),
        at,
        recipients,
        author,
        reservation,
    }))
}

/// The part of an applied update that is visible and new.
fn visible(bytes: Bytes, applied: &Applied) -> Option<Bytes> {
    match &applied.integrated {
        Integrated::Nothing => None,
        Integrated::Whole => Some(bytes),
        Integrated::Part(part) => Some(part.clone().into()),
        Integrated::WithPending(more) => Some(more.clone().into()),
    }
}

/// The part of an applied update that is new, with what is pending.
fn with_pending(visible: Option<Bytes>, applied: &Applied) -> Result<Option<Bytes>> {
    Ok(match (visible, &applied.pending) {
        (visible, None) => visible,
        (None, Some(pending)) => Some(pending.clone().into()),
        (Some(visible), Some(pending)) => {
            // They share no element: one is visible in the document and the other is not.
            let both: [&[u8]; 2] = [&visible, pending];
            Some(document::merge(&both).map_err(|_| Error::Internal)?.into())
        }
    })
}

/// What is written of an applied update; `None` if it changed nothing.
pub(super) fn row(bytes: Bytes, applied: &Applied) -> Result<Option<Bytes>> {
    with_pending(visible(bytes, applied), applied)
}

/// The error of an edit that was not made.
fn edit_refusal(error: EditError) -> Error {
    let reason = match error {
        EditError::Operation { fault, .. } => match fault {
            OperationFault::OutOfRange => "a position is out of range",
            OperationFault::InsideCharacter => "a position is inside a character",
            OperationFault::NoSuchType => "there is no type at the path",
            OperationFault::OtherKind => "the type is of another kind",
            OperationFault::Misplaced => "the content does not belong there",
        },
        EditError::MalformedState(_) => "the state is not a Yjs update",
        EditError::Unwritable(_) => "holds what no update may hold",
        EditError::NotEarlier => {
            return Error::Conflict {
                reason: "the state is not an earlier one of this document",
            };
        }
        EditError::TooCostly => return Error::TooCostly,
        EditError::ClientId | EditError::Panicked => return Error::Internal,
    };
    Error::Invalid {
        field: "edit",
        reason,
    }
}

fn invalid_update(reason: &'static str) -> Error {
    Error::Invalid {
        field: "update",
        reason,
    }
}
