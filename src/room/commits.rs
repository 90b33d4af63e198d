//! What a room has accepted but not yet made durable, and whose ack waits for it.
//!
//! Updates are accepted in a turn, handed to the log as rows at its end, and
//! settled in the same order. An ack waits with the work that it depends
//! on; one that depends on nothing under way is due at once.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Acked, Ticket};
use crate::{
    id::{Seq, SessionId},
    store::{Author, Reservation},
};
use document::Visibility;

/// What the document has taken in of an update: no two hold the same element,
/// but for what was held and has been set free.
pub(super) struct Accepted {
    /// All of it, as it is written.
    pub(super) row: Bytes,
    /// What the members are told; nothing of what waits for its dependencies.
    pub(super) message: Option<Bytes>,
    pub(super) from: SessionId,
    pub(super) recipients: Recipients,
    /// Whose client id it was the first to use.
    pub(super) author: Option<Author>,
    pub(super) reservation: Reservation,
}

/// Who is told what came into the document with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipients {
    /// Everybody but its sender, who has it.
    Others,
    /// Everybody: its sender may lack what it set free.
    All,
}

/// A promise to answer an update when it is durable.
pub(super) struct Ack<P> {
    pub(super) peer: P,
    pub(super) ticket: Ticket,
    pub(super) received: Instant,
    pub(super) visibility: Visibility,
}

impl<P> Ack<P> {
    /// What the ack says.
    pub(super) fn acked(&self, seq: Seq) -> Acked {
        Acked {
            seq,
            visibility: self.visibility,
        }
    }
}

/// Rows that the log is writing, in one append.
pub(super) struct Append<P> {
    pub(super) rows: Vec<Bytes>,
    pub(super) acks: Vec<Ack<P>>,
}

/// How long an ack waits for a relay, so that one write takes both.
const ACK_DELAY_MAX: Duration = Duration::from_millis(15);

/// The accepted, the appended, and the durable that nobody was told of yet.
pub(super) struct Commits<P> {
    accepted: Vec<Accepted>,
    acks: Vec<Ack<P>>,
    in_log: VecDeque<Append<P>>,
    durable: Vec<(Ack<P>, Seq)>,
    /// When those have to be told.
    due: Option<Instant>,
}

impl<P> Default for Commits<P> {
    fn default() -> Self {
        Self {
            accepted: Vec::new(),
            acks: Vec::new(),
            in_log: VecDeque::new(),
            durable: Vec::new(),
            due: None,
        }
    }
}

impl<P> Commits<P> {
    /// Everything accepted is durable.
    pub(super) fn is_idle(&self) -> bool {
        self.accepted.is_empty() && self.in_log.is_empty()
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.len()
    }

    pub(super) fn accept(&mut self, accepted: Accepted, ack: Ack<P>) {
        self.accepted.push(accepted);
        self.acks.push(ack);
    }

    /// Holds `ack` until all that was accepted so far is durable; gives it back if it is.
    pub(super) fn await_all(&mut self, ack: Ack<P>) -> Option<Ack<P>> {
        if !self.accepted.is_empty() {
            self.acks.push(ack);
        } else if let Some(last) = self.in_log.back_mut() {
            last.acks.push(ack);
        } else {
            return Some(ack);
        }
        None
    }

    /// Holds the acks of what is durable up to `seq` for the next relay, but not for long.
    pub(super) fn delay(&mut self, acks: Vec<Ack<P>>, seq: Seq, now: Instant) {
        self.due.get_or_insert(now + ACK_DELAY_MAX);
        let acks = acks.into_iter().map(|ack| (ack, seq));
        self.durable.extend(acks);
    }

    /// When the acks that are held have to go.
    pub(super) fn acks_due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes the acks that are held, in order.
    pub(super) fn take_acks(&mut self) -> Vec<(Ack<P>, Seq)> {
        self.due = None;
        std::mem::take(&mut self.durable)
    }

    /// Takes what this turn accepted, with the acks that wait for it: after a panic before
    /// [`begin`](Self::begin), none of them waits for something else.
    pub(super) fn take_turn(&mut self) -> (Vec<Accepted>, Vec<Ack<P>>) {
        let accepted = std::mem::take(&mut self.accepted);
        (accepted, std::mem::take(&mut self.acks))
    }

    /// Notes that `rows`, for which `acks` wait, are being written.
    pub(super) fn begin_append(&mut self, rows: Vec<Bytes>, acks: Vec<Ack<P>>) {
        self.in_log.push_back(Append { rows, acks });
    }

    /// Keeps the first `handed` appends under way, which the log has. Returns the acks of the
    /// others, which it never got.
    pub(super) fn keep_first(&mut self, handed: usize) -> Vec<Ack<P>> {
        let lost = self.in_log.split_off(handed.min(self.in_log.len()));
        lost.into_iter().flat_map(|append| append.acks).collect()
    }

    /// What is not durable yet may build on what has been refused: its acks promise
    /// no more than that it is durable.
    pub(super) fn mark_pending(&mut self) {
        let in_log = self.in_log.iter_mut();
        let acks = in_log.flat_map(|append| &mut append.acks);
        for ack in acks.chain(&mut self.acks) {
            ack.visibility = Visibility::Pending;
        }
    }

    /// What this turn accepted so far.
    pub(super) fn accepted_rows(&self) -> impl Iterator<Item = &Bytes> {
        self.accepted.iter().map(|accepted| &accepted.row)
    }

    /// Nobody is told any more of what this turn accepted: everybody synchronises anew, and what
    /// it builds on may be gone.
    pub(super) fn drop_messages(&mut self) {
        for accepted in &mut self.accepted {
            accepted.message = None;
        }
    }

    /// The oldest append is settled.
    pub(super) fn take_settled(&mut self) -> Option<Append<P>> {
        self.in_log.pop_front()
    }

    /// Everything that is not durable yet, in order: what a rebuilt document must hold besides its log.
    pub(super) fn unwritten(&self) -> Vec<Bytes> {
        let in_log = self
            .in_log
            .iter()
            .flat_map(|append| append.rows.iter().cloned());
        in_log
            .chain(self.accepted.iter().map(|accepted| accepted.row.clone()))
            .collect()
    }

    /// Gives up on everything: the acks that will not be honoured.
    pub(super) fn abandon(&mut self) -> Vec<Ack<P>> {
        self.accepted.clear();
        let mut acks: Vec<Ack<P>> = self
            .in_log
            .drain(..)
            .flat_map(|append| append.acks)
            .collect();
        acks.append(&mut self.acks);
        acks
    }
}
