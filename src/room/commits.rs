//! What a room has accepted but not yet made durable, and whose ack waits for it.
//!
//! Updates are accepted in a turn, handed to the log as rows at its end, and
//! settled in the same order. A receipt waits with the work that it depends
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
    pub(super) audience: Audience,
    /// Whose client id it was the first to use.
    pub(super) author: Option<Author>,
    pub(super) reservation: Reservation,
}

/// Who is told what came into the document with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody but its sender, who has it.
    Others,
    /// Everybody: its sender may lack what it set free.
    All,
}

/// A promise to answer an update when it is durable.
pub(super) struct Receipt<P> {
    pub(super) peer: P,
    pub(super) ticket: Ticket,
    pub(super) received: Instant,
    pub(super) visibility: Visibility,
}

impl<P> Receipt<P> {
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
    pub(super) receipts: Vec<Receipt<P>>,
}

/// How long an ack waits for a relay, so that one write takes both.
const HELD: Duration = Duration::from_millis(15);

/// The accepted, the appended, and the durable that nobody was told of yet.
pub(super) struct Commits<P> {
    accepted: Vec<Accepted>,
    receipts: Vec<Receipt<P>>,
    under_way: VecDeque<Append<P>>,
    durable: Vec<(Receipt<P>, Seq)>,
    /// When those have to be told.
    due: Option<Instant>,
}

impl<P> Default for Commits<P> {
    fn default() -> Self {
        Self {
            accepted: Vec::new(),
            receipts: Vec::new(),
            under_way: VecDeque::new(),
            durable: Vec::new(),
            due: None,
        }
    }
}

impl<P> Commits<P> {
    /// Everything accepted is durable.
    pub(super) fn is_idle(&self) -> bool {
        self.accepted.is_empty() && self.under_way.is_empty()
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.len()
    }

    pub(super) fn accept(&mut self, accepted: Accepted, receipt: Receipt<P>) {
        self.accepted.push(accepted);
        self.receipts.push(receipt);
    }

    /// Holds `receipt` until all that was accepted so far is durable; gives it back if it is.
    pub(super) fn await_all(&mut self, receipt: Receipt<P>) -> Option<Receipt<P>> {
        if !self.accepted.is_empty() {
            self.receipts.push(receipt);
        } else if let Some(last) = self.under_way.back_mut() {
            last.receipts.push(receipt);
        } else {
            return Some(receipt);
        }
        None
    }

    /// Holds the acks of what is durable up to `seq` for the next relay, but not for long.
    pub(super) fn hold(&mut self, receipts: Vec<Receipt<P>>, seq: Seq, now: Instant) {
        self.due.get_or_insert(now + HELD);
        let acks = receipts.into_iter().map(|receipt| (receipt, seq));
        self.durable.extend(acks);
    }

    /// When the acks that are held have to go.
    pub(super) fn acks_due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes the acks that are held, in order.
    pub(super) fn take_acks(&mut self) -> Vec<(Receipt<P>, Seq)> {
        self.due = None;
        std::mem::take(&mut self.durable)
    }

    /// Takes what this turn accepted, with the receipts that wait for it: after a panic before
    /// [`begin`](Self::begin), none of them waits for something else.
    pub(super) fn take_turn(&mut self) -> (Vec<Accepted>, Vec<Receipt<P>>) {
        let accepted = std::mem::take(&mut self.accepted);
        (accepted, std::mem::take(&mut self.receipts))
    }

    /// Notes that `rows`, for which `receipts` wait, are being written.
    pub(super) fn begin(&mut self, rows: Vec<Bytes>, receipts: Vec<Receipt<P>>) {
        self.under_way.push_back(Append { rows, receipts });
    }

    /// Keeps the first `handed` appends under way, which the log has. Returns the receipts of the
    /// others, which it never got.
    pub(super) fn keep_handed(&mut self, handed: usize) -> Vec<Receipt<P>> {
        let lost = self.under_way.split_off(handed.min(self.under_way.len()));
        lost.into_iter()
            .flat_map(|append| append.receipts)
            .collect()
    }

    /// What is not durable yet may build on what has been refused: its acks promise
    /// no more than that it is durable.
    pub(super) fn doubt(&mut self) {
        let under_way = self.under_way.iter_mut();
        let receipts = under_way.flat_map(|append| &mut append.receipts);
        for receipt in receipts.chain(&mut self.receipts) {
            receipt.visibility = Visibility::Pending;
        }
    }

    /// What this turn accepted so far.
    pub(super) fn accepted_rows(&self) -> impl Iterator<Item = &Bytes> {
        self.accepted.iter().map(|accepted| &accepted.row)
    }

    /// Nobody is told any more of what this turn accepted: everybody synchronises anew, and what
    /// it builds on may be gone.
    pub(super) fn keep_untold(&mut self) {
        for accepted in &mut self.accepted {
            accepted.message = None;
        }
    }

    /// The oldest append is settled.
    pub(super) fn settle(&mut self) -> Option<Append<P>> {
        self.under_way.pop_front()
    }

    /// Everything that is not durable yet, in order: what a rebuilt document must hold besides its log.
    pub(super) fn unwritten(&self) -> Vec<Bytes> {
        let under_way = self
            .under_way
            .iter()
            .flat_map(|append| append.rows.iter().cloned());
        under_way
            .chain(self.accepted.iter().map(|accepted| accepted.row.clone()))
            .collect()
    }

    /// Gives up on everything: the receipts that will not be honoured.
    pub(super) fn abandon(&mut self) -> Vec<Receipt<P>> {
        self.accepted.clear();
        let mut receipts: Vec<Receipt<P>> = self
            .under_way
            .drain(..)
            .flat_map(|append| append.receipts)
            .collect();
        receipts.append(&mut self.receipts);
        receipts
    }
}
