//! Accepted updates that are not durable yet, and the acks that depend on them.
//!
//! Updates are accepted during a turn, relayed, handed to the log as one append, and settled in the
//! same order. While an append is under way, the next one waits for a few milliseconds for more, so
//! that a busy room does not write a row for each relay. An ack is kept with the
//! append that it depends on; an ack that depends on no unsettled append is sent at once.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Acked, Ticket,
    rows::{Accepted, Row},
};
use crate::{id::Seq, store::Author};
use document::Visibility;

/// The ack of an update, which is sent when the update is durable.
pub(super) struct Ack<P> {
    pub(super) peer: P,
    pub(super) ticket: Ticket,
    pub(super) received: Instant,
    pub(super) visibility: Visibility,
    pub(super) content: Content,
}

/// Which rows hold the content of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Its own row.
    InOwnRow,
    /// Earlier rows too, or alone: a part of it, or all, was known before.
    InEarlierRows,
}

impl<P> Ack<P> {
    /// Its content, once the log is durable up to `seq`.
    pub(super) fn acked(&self, seq: Seq) -> Acked {
        Acked {
            seq,
            visibility: self.visibility,
        }
    }
}

/// The rows of one append that the log has not settled yet.
pub(super) struct Append<P> {
    pub(super) rows: Vec<Bytes>,
    pub(super) acks: Vec<Ack<P>>,
}

/// Rows that were relayed and are not appended yet.
pub(super) struct Relayed<P> {
    pub(super) rows: Vec<Row>,
    pub(super) authors: Vec<Author>,
    /// The acks that depend on these rows.
    pub(super) acks: Vec<Ack<P>>,
    bytes: usize,
}

/// While an append is under way, the next one begins so long after it, if it is not settled earlier.
const APPEND_INTERVAL: Duration = Duration::from_millis(8);
/// With so many rows or bytes relayed, they are appended at once: an append is written as a whole.
const RELAYED_ROWS_MAX: usize = 1024;
const RELAYED_BYTES_MAX: usize = 256 << 10;

/// The longest delay of an ack. It waits for the next relay, with which it goes out in one write, if that is due within this time.
pub(super) const ACK_DELAY_MAX: Duration = Duration::from_millis(8);

/// Updates that are accepted, relayed, appended, or durable and not yet acknowledged.
pub(super) struct Commits<P> {
    accepted: Vec<Accepted>,
    /// The acks that depend on these.
    acks: Vec<Ack<P>>,
    /// How many updates were accepted before the last relay: as many are expected before the next one.
    expected: usize,
    relayed: Relayed<P>,
    /// When the last append began.
    appended_at: Option<Instant>,
    /// The appends that were handed to the log and are not settled yet, the oldest first.
    in_log: VecDeque<Append<P>>,
    /// The acks of durable updates, which are delayed.
    durable: Vec<(Ack<P>, Seq)>,
    /// When these have to be sent.
    due: Option<Instant>,
}

impl<P> Default for Commits<P> {
    fn default() -> Self {
        Self {
            accepted: Vec::new(),
            acks: Vec::new(),
            expected: 0,
            relayed: Relayed::default(),
            appended_at: None,
            in_log: VecDeque::new(),
            durable: Vec::new(),
            due: None,
        }
    }
}

impl<P> Default for Relayed<P> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            authors: Vec::new(),
            acks: Vec::new(),
            bytes: 0,
        }
    }
}

impl<P> Commits<P> {
    /// Whether all accepted updates are durable.
    pub(super) fn is_idle(&self) -> bool {
        self.accepted.is_empty() && self.relayed.rows.is_empty() && self.in_log.is_empty()
    }

    /// Whether the log has appends that it has not settled.
    pub(super) fn is_in_log(&self) -> bool {
        !self.in_log.is_empty()
    }

    /// How many updates were accepted since the last relay.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.len()
    }

    /// Adds an accepted update with its ack.
    pub(super) fn accept(&mut self, accepted: Accepted, ack: Ack<P>) {
        if self.accepted.is_empty() {
            self.accepted.reserve(self.expected);
            self.acks.reserve(self.expected);
        }
        self.accepted.push(accepted);
        self.acks.push(ack);
    }

    /// Keeps `ack` until all updates accepted so far are durable; returns it if they are.
    pub(super) fn await_all(&mut self, ack: Ack<P>) -> Option<Ack<P>> {
        if !self.accepted.is_empty() {
            self.acks.push(ack);
        } else if !self.relayed.rows.is_empty() {
            self.relayed.acks.push(ack);
        } else if let Some(last) = self.in_log.back_mut() {
            last.acks.push(ack);
        } else {
            return Some(ack);
        }
        None
    }

    /// Delays the acks of updates that are durable up to `seq`, until `due` or until earlier delayed ones are sent.
    pub(super) fn delay(&mut self, acks: Vec<Ack<P>>, seq: Seq, due: Instant) {
        self.due.get_or_insert(due);
        let acks = acks.into_iter().map(|ack| (ack, seq));
        self.durable.extend(acks);
    }

    /// When the delayed acks have to be sent.
    pub(super) fn acks_due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes the delayed acks, in order.
    pub(super) fn take_acks(&mut self) -> Vec<(Ack<P>, Seq)> {
        self.due = None;
        std::mem::take(&mut self.durable)
    }

    /// Takes the updates accepted since the last relay, with their acks. If a panic follows before
    /// [`relayed`](Self::relayed), these acks are lost and not released by another append.
    pub(super) fn take_accepted(&mut self) -> (Vec<Accepted>, Vec<Ack<P>>) {
        let accepted = std::mem::take(&mut self.accepted);
        self.expected = accepted.len();
        (accepted, std::mem::take(&mut self.acks))
    }

    /// Notes that `rows`, on which `acks` depend, were relayed.
    pub(super) fn relayed(&mut self, rows: Vec<Row>, authors: Vec<Author>, acks: Vec<Ack<P>>) {
        self.relayed.bytes += rows.iter().map(|row| row.bytes.len()).sum::<usize>();
        self.relayed.rows.extend(rows);
        self.relayed.authors.extend(authors);
        self.relayed.acks.extend(acks);
    }

    /// When the relayed rows have to be appended; `None` if there are none.
    pub(super) fn append_due(&self, now: Instant) -> Option<Instant> {
        let Relayed { rows, bytes, .. } = &self.relayed;
        let is_urgent = rows.len() >= RELAYED_ROWS_MAX || *bytes >= RELAYED_BYTES_MAX;
        let waits_from = self.appended_at.filter(|_| self.is_in_log() && !is_urgent);
        (!rows.is_empty()).then(|| waits_from.map_or(now, |from| from + APPEND_INTERVAL))
    }

    /// Takes the relayed rows if they have to be appended now. If a panic follows before
    /// [`begin_append`](Self::begin_append), their acks are lost.
    pub(super) fn take_relayed(&mut self, now: Instant) -> Option<Relayed<P>> {
        self.append_due(now).filter(|due| *due <= now)?;
        self.appended_at = Some(now);
        Some(std::mem::take(&mut self.relayed))
    }

    /// Notes that `rows`, on which `acks` depend, are handed to the log.
    pub(super) fn begin_append(&mut self, rows: Vec<Bytes>, acks: Vec<Ack<P>>) {
        self.in_log.push_back(Append { rows, acks });
    }

    /// Keeps the oldest `handed` appends, which the log has. Returns the acks of the others, which
    /// the log never got.
    pub(super) fn keep_first(&mut self, handed: usize) -> Vec<Ack<P>> {
        let unhanded = self.in_log.split_off(handed.min(self.in_log.len()));
        unhanded
            .into_iter()
            .flat_map(|append| append.acks)
            .collect()
    }

    /// Handles that the log has refused rows. All unsettled updates may depend on these: they are marked as pending, so that their
    /// acks promise only that they are durable. Returns the acks of those that may have content in the refused rows.
    pub(super) fn rows_refused(&mut self) -> Vec<Ack<P>> {
        let in_log = self.in_log.iter_mut();
        let unsettled = in_log
            .map(|append| &mut append.acks)
            .chain([&mut self.relayed.acks, &mut self.acks]);
        let mut lost = Vec::new();
        for acks in unsettled {
            let in_earlier = |ack: &mut Ack<P>| ack.content == Content::InEarlierRows;
            lost.extend(acks.extract_if(.., in_earlier));
            for ack in acks {
                ack.visibility = Visibility::Pending;
            }
        }
        lost
    }

    /// Handles that the log has lost rows, which are written again in a further append. Takes all acks of the appends before that one:
    /// these updates may have content in the lost rows, or depend on them.
    pub(super) fn rows_lost(&mut self) -> Vec<Ack<P>> {
        let in_log = self.in_log.iter_mut();
        let mut acks: Vec<_> = in_log.flat_map(|append| append.acks.drain(..)).collect();
        for ack in &mut acks {
            ack.content = Content::InEarlierRows;
        }
        acks
    }

    /// The rows of the updates that were accepted since the last relay.
    pub(super) fn accepted_rows(&self) -> impl Iterator<Item = &Bytes> {
        self.accepted.iter().map(|accepted| &accepted.row)
    }

    /// Drops the messages of the accepted updates: every member has to resync, and what these
    /// updates depend on may be missing.
    pub(super) fn drop_messages(&mut self) {
        for accepted in &mut self.accepted {
            accepted.message = None;
        }
    }

    /// Takes the oldest append, which is settled.
    pub(super) fn take_settled(&mut self) -> Option<Append<P>> {
        self.in_log.pop_front()
    }

    /// All rows that are not durable yet, in order: a rebuilt document must hold them besides its
    /// log.
    pub(super) fn unwritten(&self) -> Vec<Bytes> {
        let in_log = self
            .in_log
            .iter()
            .flat_map(|append| append.rows.iter().cloned());
        let relayed = self.relayed.rows.iter().map(|row| row.bytes.clone());
        in_log
            .chain(relayed)
            .chain(self.accepted.iter().map(|accepted| accepted.row.clone()))
            .collect()
    }

    /// Drops all updates that are not durable yet. Returns their acks, which have to be refused.
    pub(super) fn abandon(&mut self) -> Vec<Ack<P>> {
        self.accepted.clear();
        let mut acks: Vec<Ack<P>> = self
            .in_log
            .drain(..)
            .flat_map(|append| append.acks)
            .collect();
        acks.append(&mut std::mem::take(&mut self.relayed).acks);
        acks.append(&mut self.acks);
        acks
    }
}
