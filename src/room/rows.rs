//! The rows of the log, made of the updates that were accepted between two relays.
//!
//! Updates that stand next to each other are merged, which makes one message for the members and
//! one row for the log. Rows that are too large for the database are split again.

use bytes::Bytes;

use super::commits::{Accepted, Recipients};
use crate::{
    id::{SessionId, Timestamp, UserId},
    store::{Author, NewRow, Reservation},
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
    /// Who wrote all of it; `None` if it holds insertions of several people.
    pub(super) user: Option<UserId>,
    /// How many updates it holds.
    pub(super) updates: u64,
}

/// The accepted updates, as they are relayed and written.
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) authors: Vec<Author>,
}

/// Updates that become one row.
#[derive(Default)]
struct Group {
    updates: Vec<Accepted>,
    /// Whether some of them delete something.
    deletes: bool,
    /// Whether they are of several people.
    is_mixed: bool,
}

/// Merges neighbours and keeps their order. An update that made pending content visible is not
/// merged, because that content is in the log already; nor is one with a pending part.
///
/// The owner of a client id wrote what was inserted with it, but a row alone tells who deleted: so
/// a row that deletes is of one person.
pub(super) fn merged_rows(mut accepted: Vec<Accepted>) -> Rows {
    let new_authors = accepted.iter_mut();
    let authors = new_authors
        .filter_map(|update| update.author.take())
        .collect();
    let mut rows = Vec::with_capacity(accepted.len().div_ceil(MERGED_MAX));
    let mut group = Group::default();
    for update in accepted {
        let is_whole = update.message.as_ref() == Some(&update.row);
        let is_mergeable = is_whole && update.recipients == Recipients::Others;
        if !is_mergeable || !group.takes(&update) {
            group.merge_into(&mut rows);
        }
        if is_mergeable {
            group.add(update);
        } else {
            rows.push(single(update));
        }
    }
    group.merge_into(&mut rows);
    Rows { rows, authors }
}

impl Group {
    fn takes(&self, update: &Accepted) -> bool {
        let is_mixed = self.is_mixed || self.is_of_another(update);
        let deletes = self.deletes || document::deletes(&update.row);
        self.updates.len() < MERGED_MAX && !(is_mixed && deletes)
    }

    fn is_of_another(&self, update: &Accepted) -> bool {
        let first = self.updates.first();
        first.is_some_and(|first| first.user != update.user)
    }

    fn add(&mut self, update: Accepted) {
        self.is_mixed |= self.is_of_another(&update);
        self.deletes |= document::deletes(&update.row);
        self.updates.push(update);
    }

    /// Makes one row of the group and empties it.
    fn merge_into(&mut self, rows: &mut Vec<Row>) {
        let Self {
            mut updates,
            is_mixed,
            ..
        } = std::mem::take(self);
        let merged = match updates.len() {
            0 | 1 => None,
            _ => {
                let updates: Vec<&[u8]> = updates.iter().map(|update| &*update.row).collect();
                // Each holds only what was new, so that they share no element.
                let merged = document::merge(&updates);
                debug_assert!(merged.is_ok(), "accepted updates overlap: {merged:?}");
                merged.ok()
            }
        };
        let Some(bytes) = merged else {
            rows.extend(updates.drain(..).map(single));
            return;
        };
        let first = updates[0].from;
        let from = updates
            .iter()
            .all(|update| update.from == first)
            .then_some(first);
        let user = (!is_mixed).then(|| updates[0].user.clone());
        let count = updates.len() as u64;
        let reservation = updates
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
                user,
                updates: count,
            });
        }
    }
}

fn single(update: Accepted) -> Row {
    Row {
        bytes: update.row,
        message: update.message,
        reservation: update.reservation,
        from: (update.recipients == Recipients::Others).then_some(update.from),
        user: Some(update.user),
        updates: 1,
    }
}

/// Rows of the log that hold `row`, which was accepted at `at`: several if it is larger than [`ROW_BYTES_MAX`].
pub(super) fn split(row: Row, at: Timestamp) -> Vec<NewRow> {
    let new_row = |payload, reservation| NewRow {
        payload,
        reservation,
        user: row.user.clone(),
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
            commit_interval: Duration::ZERO,
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
                recipients: Recipients::Others,
                author: None,
            }
        });
        let rows = merged_rows(accepted.collect()).rows;
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
