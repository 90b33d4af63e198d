//! The rows of the log, made of the updates that were accepted between two relays.
//!
//! Updates that stand next to each other are merged, which makes one message for the members.
//! Messages that are written together are merged again, which makes one row for the log. Rows that
//! are too large for the database are split.

use bytes::Bytes;

use crate::{
    id::{SessionId, Timestamp, UserId},
    store::{Author, NewRow, Reservation},
};

/// The most updates merged into one: merging takes time with the square of
/// their number (yrs 0.28: 0.4 µs each in groups of 64, 27 µs each at 10,000).
const MERGED_MAX: u64 = 64;

/// Larger rows are written as several: a database takes many small ones better than a
/// large one.
const ROW_BYTES_MAX: usize = 1024 * 1024;

/// The part of an update that was applied. No two of them hold the same element, except that one
/// that made pending content visible repeats that content.
pub(super) struct Accepted {
    /// All of it, as it is written to the log.
    pub(super) row: Bytes,
    /// What the members are told; nothing of the part that is pending.
    pub(super) message: Option<Bytes>,
    pub(super) from: SessionId,
    /// Who wrote it.
    pub(super) user: UserId,
    /// When it was accepted.
    pub(super) at: Timestamp,
    pub(super) recipients: Recipients,
    /// Set if it is the first update with this client id.
    pub(super) author: Option<Author>,
    pub(super) reservation: Reservation,
}

/// Who is told of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipients {
    /// Every member but its sender, who has the content.
    Others,
    /// Every member: the sender may lack the pending content that it made visible.
    All,
}

/// Accepted updates as one message for the members and as one row for the log.
pub(super) struct Row {
    pub(super) bytes: Bytes,
    /// What the members are told; nothing of the part that is pending.
    pub(super) message: Option<Bytes>,
    pub(super) reservation: Reservation,
    /// The only sender, which has the content already and is not told.
    pub(super) from: Option<SessionId>,
    /// Who wrote all of it; `None` if it holds insertions of several people, or if that is not known any more.
    user: Option<UserId>,
    /// When the first of its updates was accepted.
    at: Timestamp,
    /// How many updates it holds.
    pub(super) updates: u64,
    /// Whether it shares no element with other rows and has no pending part.
    is_mergeable: bool,
}

impl Row {
    /// A row of what was accepted before and has to be written again. The members have it already, and who wrote it is not known.
    pub(super) fn again(bytes: Bytes, at: Timestamp) -> Self {
        Self {
            bytes,
            message: None,
            reservation: Reservation::none(),
            from: None,
            user: None,
            at,
            updates: 1,
            is_mergeable: false,
        }
    }
}

/// Rows that become one.
#[derive(Default)]
struct Group {
    rows: Vec<Row>,
    updates: u64,
    /// Whether some of them delete something.
    deletes: bool,
    /// Whether they are of several people.
    is_mixed: bool,
}

impl From<Accepted> for Row {
    fn from(update: Accepted) -> Self {
        let is_for_others = update.recipients == Recipients::Others;
        Self {
            is_mergeable: is_for_others && update.message.as_ref() == Some(&update.row),
            bytes: update.row,
            message: update.message,
            reservation: update.reservation,
            from: is_for_others.then_some(update.from),
            user: Some(update.user),
            at: update.at,
            updates: 1,
        }
    }
}

/// Merges neighbours, up to [`MERGED_MAX`] updates, and keeps their order. An update that made
/// pending content visible is not merged, because that content is in the log already; nor is one
/// with a pending part.
///
/// The owner of a client id wrote what was inserted with it, but a row alone tells who deleted: so
/// a row that deletes is of one person.
pub(super) fn merged(rows: impl ExactSizeIterator<Item = Row>) -> Vec<Row> {
    let mut merged = Vec::with_capacity(rows.len().div_ceil(MERGED_MAX as usize));
    let mut group = Group::default();
    for row in rows {
        if !group.takes(&row) {
            group.merge_into(&mut merged);
        }
        if row.is_mergeable {
            group.add(row);
        } else {
            merged.push(row);
        }
    }
    group.merge_into(&mut merged);
    merged
}

impl Group {
    fn takes(&self, row: &Row) -> bool {
        let is_mixed = self.is_mixed || self.is_of_others(row);
        let deletes = self.deletes || document::deletes(&row.bytes);
        row.is_mergeable && self.updates + row.updates <= MERGED_MAX && !(is_mixed && deletes)
    }

    /// Whether `row` is not of the one person who wrote these.
    fn is_of_others(&self, row: &Row) -> bool {
        let first = self.rows.first();
        row.user.is_none() || first.is_some_and(|first| first.user != row.user)
    }

    fn add(&mut self, row: Row) {
        self.is_mixed |= self.is_of_others(&row);
        self.deletes |= document::deletes(&row.bytes);
        self.updates += row.updates;
        self.rows.push(row);
    }

    /// Makes one row of the group and empties it.
    fn merge_into(&mut self, merged: &mut Vec<Row>) {
        let group = std::mem::take(self);
        if group.rows.len() < 2 {
            merged.extend(group.rows);
            return;
        }
        let updates: Vec<&[u8]> = group.rows.iter().map(|row| &*row.bytes).collect();
        // Each holds only what was new, so that they share no element.
        let bytes = document::merge(&updates);
        debug_assert!(bytes.is_ok(), "accepted updates overlap: {bytes:?}");
        let Ok(bytes) = bytes.map(Bytes::from) else {
            merged.extend(group.rows);
            return;
        };
        let is_from = |from| group.rows.iter().all(|row| row.from == from);
        let from = group.rows[0].from.filter(|from| is_from(Some(*from)));
        let user = group.rows[0].user.clone().filter(|_| !group.is_mixed);
        let at = group.rows[0].at;
        let reservations = group.rows.into_iter().map(|row| row.reservation);
        if let Some(reservation) = reservations.reduce(Reservation::join) {
            merged.push(Row {
                message: Some(bytes.clone()),
                bytes,
                reservation,
                from,
                user,
                at,
                updates: group.updates,
                is_mergeable: true,
            });
        }
    }
}

/// Rows of the log that hold `row`: several if it is larger than [`ROW_BYTES_MAX`].
pub(super) fn split(row: Row) -> Vec<NewRow> {
    let (user, at) = (row.user, row.at);
    let new_row = |payload, reservation| NewRow {
        payload,
        reservation,
        user: user.clone(),
        at,
    };
    let parts = match row.bytes.len() > ROW_BYTES_MAX {
        true => document::split(&row.bytes, ROW_BYTES_MAX),
        false => None,
    };
    let Some(parts) = parts else {
        return vec![new_row(row.bytes, row.reservation)];
    };
    let further = row.reservation.further();
    let reservations =
        std::iter::once(row.reservation).chain(std::iter::repeat_with(|| further.further()));
    let parts = parts.into_iter().map(Bytes::from).zip(reservations);
    parts
        .map(|(payload, reservation)| new_row(payload, reservation))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{JournalOptions, UpdateLog};

    /// Inserts `x` with the client id 1 to 9.
    fn insertion(client: u8) -> Vec<u8> {
        vec![1, 1, client, 0, 4, 1, 1, b't', 1, b'x', 0]
    }

    /// Deletes the first element of a client id.
    fn deletion(client: u8) -> Vec<u8> {
        vec![0, 1, client, 1, 0, 1]
    }

    /// The authors of the rows that are made of these updates, each with its author.
    fn users(updates: &[(&str, Vec<u8>)]) -> Vec<Option<String>> {
        let (log, _) = UpdateLog::new(JournalOptions {
            bytes_max: 1 << 20,
            commit_interval: Duration::ZERO..=Duration::ZERO,
            history: Duration::ZERO,
        });
        let accepted = updates.iter().map(|(user, update)| {
            document::validate(update).expect("an update");
            let row = Bytes::from(update.clone());
            Accepted {
                message: Some(row.clone()),
                reservation: log.reserve(row.len()).expect("there is room"),
                row,
                from: SessionId(7),
                user: UserId::parse(user).expect("an id"),
                at: Timestamp::now(),
                recipients: Recipients::Others,
                author: None,
            }
        });
        let rows = merged(accepted.map(Row::from));
        let user = |row: Row| row.user.map(|user| user.as_str().to_owned());
        rows.into_iter().map(user).collect()
    }

    #[test]
    fn a_row_that_deletes_is_of_one_person() {
        let one = |user: &str| Some(user.to_owned());
        let insertions = [("ana", insertion(1)), ("ben", insertion(2))];
        assert_eq!(users(&insertions), [None], "their client ids tell");
        let of_one = [
            ("ana", insertion(1)),
            ("ana", deletion(2)),
            ("ana", deletion(3)),
        ];
        assert_eq!(users(&of_one), [one("ana")]);
        let deletes_later = [
            ("ana", insertion(1)),
            ("ben", insertion(2)),
            ("ben", deletion(1)),
        ];
        assert_eq!(users(&deletes_later), [None, one("ben")]);
        let deletes_first = [
            ("ana", deletion(3)),
            ("ben", insertion(2)),
            ("ana", insertion(1)),
        ];
        assert_eq!(users(&deletes_first), [one("ana"), None]);
    }
}
