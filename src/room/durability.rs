//! What becomes of accepted updates: relayed, written, acknowledged; and what is done
//! when the log refuses, or holds what the document lacks.

use bytes::Bytes;
use tracing::{error, info};

use super::{
    Message, ResyncReason, StorageStatus,
    commits::Append,
    core::{RoomCore, Then},
    interface::{Fetch, Output},
    live::Opened,
    members::Asker,
    pace::{self, Row},
};
use crate::{
    error::{Error, Result},
    id::Seq,
    store::{AppendError, Availability, Loaded, NewRows, Reservation},
};

/// Larger rows are written as several: a database takes many small ones better than a
/// large one.
const ROW_BYTES_MAX: usize = 1024 * 1024;

impl<P: Asker> RoomCore<P> {
    /// Relays what was accepted, then hands it to the log.
    pub(super) fn flush(&mut self) {
        let Some(record) = self.record else { return };
        let now = self.now.instant;
        let (accepted, receipts) = self.commits.take_turn();
        let rows = pace::merged_rows(accepted);
        let authors = rows.authors;
        self.told.clear();
        self.flushes += 1;
        for row in &rows.rows {
            let Some(message) = &row.message else {
                continue;
            };
            let receivers = self.members.listening(row.from);
            self.relays.went(receivers.max(1), now);
            self.told.push(message.clone());
            self.outputs.push(Output::Tell {
                message: Message::Update(message.clone()),
                except: row.from,
                updates: row.updates,
            });
        }
        let rows: Vec<_> = rows.rows.into_iter().flat_map(in_parts).collect();
        let bytes = rows.iter().map(|(bytes, _)| bytes.clone());
        self.commits.begin(bytes.collect(), receipts);
        let new_rows = NewRows { rows, authors };
        self.outputs.push(Output::Append(record.id, new_rows));
    }

    pub(super) fn appended(&mut self, result: Result<Seq, AppendError>) {
        let Some(append) = self.commits.settle() else {
            return;
        };
        match result {
            Ok(seq) => self.written(append, seq),
            Err(AppendError::Gone) => {
                let gone = Error::NotFound { what: "document" };
                self.refuse_all(append, &gone);
                self.close(gone);
            }
            Err(AppendError::Refused { retry_after }) => {
                self.refuse_all(append, &Error::StorageUnavailable);
                self.left_alone_until = Some(self.now.instant + retry_after);
                self.announce_storage();
                self.commits.doubt();
                self.reload();
            }
        }
    }

    fn written(&mut self, append: Append<P>, seq: Seq) {
        let now = self.now.instant;
        if self.left_alone_until.take().is_some() {
            self.announce_storage();
        }
        let hole = self.document.appended(seq, &append.rows);
        self.commits.hold(append.receipts, seq, now);
        if self.members.len() < 2 || self.relays.is_quiet(now) {
            self.acknowledge();
        }
        if let Some(record) = self.record.filter(|_| hole) {
            let document = record.id;
            self.fetch(Fetch::Log { document }, Then::Nothing);
        }
    }

    fn refuse_all(&mut self, append: Append<P>, error: &Error) {
        for receipt in append.receipts {
            self.refuse(receipt, error.clone());
        }
    }

    /// Whether the database refused this document lately, so that nothing is accepted.
    pub(super) fn is_left_alone(&self) -> bool {
        let now = self.now.instant;
        self.left_alone_until.is_some_and(|until| now < until)
    }

    /// What the members are told of the storage of this document.
    pub(super) fn storage(&self) -> StorageStatus {
        if self.availability == Availability::Unavailable || self.left_alone_until.is_some() {
            StorageStatus::Unavailable
        } else if self.document.is_damaged() {
            StorageStatus::Damaged
        } else {
            StorageStatus::Ok
        }
    }

    pub(super) fn announce_storage(&mut self) {
        let storage = Message::Storage(self.storage());
        self.outputs.push(Output::Announce(storage));
    }

    /// Sends the acks of what is durable.
    pub(super) fn acknowledge(&mut self) {
        let acks = self.commits.take_acks();
        if !acks.is_empty() {
            self.outputs.push(Output::Acks(acks));
        }
    }

    /// Takes in what others wrote into this document's log, and shows it to the members.
    pub(super) fn caught_up(&mut self, log: Result<Loaded>) {
        let Some(document) = self.record.map(|record| record.id) else {
            return;
        };
        let loaded = match log {
            Ok(loaded) => loaded,
            Err(error) => {
                return error!(code = error.code(), %document, "the log could not be read again");
            }
        };
        let news = self.document.take_news(document, loaded);
        for update in news.updates {
            self.told.push(update.clone());
            self.outputs.push(Output::Tell {
                message: Message::Update(update),
                except: None,
                updates: 1,
            });
        }
        if !news.refused.is_empty() {
            self.outputs.push(Output::SetAside(document, news.refused));
        }
        if self.document.is_damaged() {
            self.announce_storage();
        }
    }

    /// Has the document built anew from its log and from what is not in it yet.
    pub(super) fn reload(&mut self) {
        let Some(record) = self.record else { return };
        self.commits.keep_untold();
        let (document, unwritten) = (record.id, self.commits.unwritten());
        let reload = Fetch::Reload {
            document,
            unwritten,
        };
        self.fetch(reload, Then::Nothing);
    }

    pub(super) fn reloaded(&mut self, reloaded: Result<Opened>) {
        let Some(record) = self.record else { return };
        let had = self.had_before_told();
        match reloaded {
            Ok(opened) => self.take_on(record, opened),
            Err(error) => return self.close(error),
        }
        info!(document = %record.id, "the document was rebuilt from its log");
        self.announce_storage();
        self.resync_all(ResyncReason::Rebuilt, &had);
    }

    pub(super) fn put_snapshot_when_due(&mut self) {
        let Some(record) = self.record else { return };
        if self.availability != Availability::Ok || !self.document.snapshot_is_due() {
            return;
        }
        if let Ok((seq, state)) = self.document.take_snapshot() {
            self.outputs.push(Output::PutSnapshot {
                document: record.id,
                seq,
                state,
            });
        }
    }
}

/// The row as it is written.
fn in_parts(row: Row) -> Vec<(Bytes, Reservation)> {
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
