//! The rows of the log, made of the updates that were accepted between two relays.
//!
//! Updates that stand next to each other are merged, which makes one message for the members and
//! one row for the log. Rows that are too large for the database are split again.

use bytes::Bytes;

use super::commits::{Accepted, Recipients};
use crate::{
    id::SessionId,
    store::{Author, Reservation},
};

/// The most updates merged into one: merging takes time with the square of
/// their number (yrs 0.28: 0.4 µs each in groups of 64, 27 µs each at 10,000).
const MERGED_MAX: usize = 64;

/// Larger rows are written as several: a database takes many small ones better than a
/// large one.
const ROW_BYTES_MAX: usize = 1024 * 1024;

/// One row for the log and one message for the members.
pub(super) struct Row {
    pub(super) bytes: Bytes,
    /// What the members are told; nothing of the part that is pending.
    pub(super) message: Option<Bytes>,
    pub(super) reservation: Reservation,
    /// The only sender, which has the content already and is not told.
    pub(super) from: Option<SessionId>,
    /// How many updates it holds.
    pub(super) updates: u64,
}

/// The accepted updates, as they are relayed and written.
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) authors: Vec<Author>,
}

/// Merges neighbours and keeps their order. An update that made pending content visible is not
/// merged, because that content is in the log already; nor is one with a pending part.
pub(super) fn merged_rows(mut accepted: Vec<Accepted>) -> Rows {
    let new_authors = accepted.iter_mut();
    let authors = new_authors
        .filter_map(|update| update.author.take())
        .collect();
    let mut rows = Vec::with_capacity(accepted.len().div_ceil(MERGED_MAX));
    let mut group: Vec<Accepted> = Vec::new();
    for update in accepted {
        let is_whole = update.message.as_ref() == Some(&update.row);
        let is_mergeable = is_whole && update.recipients == Recipients::Others;
        if !is_mergeable || group.len() == MERGED_MAX {
            merge(&mut group, &mut rows);
        }
        if is_mergeable {
            group.push(update);
        } else {
            rows.push(single(update));
        }
    }
    merge(&mut group, &mut rows);
    Rows { rows, authors }
}

/// Makes one row of a group and empties it.
fn merge(group: &mut Vec<Accepted>, rows: &mut Vec<Row>) {
    let merged = match group.len() {
        0 | 1 => None,
        _ => {
            let updates: Vec<&[u8]> = group.iter().map(|update| &*update.row).collect();
            // Each holds only what was new, so that they share no element.
            let merged = document::merge(&updates);
            debug_assert!(merged.is_ok(), "accepted updates overlap: {merged:?}");
            merged.ok()
        }
    };
    let Some(bytes) = merged else {
        rows.extend(group.drain(..).map(single));
        return;
    };
    let first = group[0].from;
    let from = group
        .iter()
        .all(|update| update.from == first)
        .then_some(first);
    let updates = group.len() as u64;
    let reservation = group
        .drain(..)
        .map(|update| update.reservation)
        .reduce(Reservation::join);
    if let Some(reservation) = reservation {
        let bytes = Bytes::from(bytes);
        rows.push(Row {
            message: Some(bytes.clone()),
            bytes,
            reservation,
            from,
            updates,
        });
    }
}

fn single(update: Accepted) -> Row {
    Row {
        bytes: update.row,
        message: update.message,
        reservation: update.reservation,
        from: (update.recipients == Recipients::Others).then_some(update.from),
        updates: 1,
    }
}

/// Splits a row that is larger than [`ROW_BYTES_MAX`].
pub(super) fn split(row: Row) -> Vec<(Bytes, Reservation)> {
    let parts = match row.bytes.len() > ROW_BYTES_MAX {
        true => document::split(&row.bytes, ROW_BYTES_MAX),
        false => None,
    };
    let Some(parts) = parts else {
        return vec![(row.bytes, row.reservation)];
    };
    let further = row.reservation.further();
    let reservations =
        std::iter::once(row.reservation).chain(std::iter::repeat_with(|| further.further()));
    parts
        .into_iter()
        .map(Bytes::from)
        .zip(reservations)
        .collect()
}
