//! What becomes of accepted updates: relayed, written, acknowledged; and what is done
//! when the log refuses, or holds what the document lacks.

use std::sync::Arc;

use tracing::{error, info};

use super::{
    Message, ResyncReason, StorageStatus,
    commits::Append,
    core::{AfterFetch, RoomCore},
    interface::{Fetch, Output},
    members::PeerHandle,
    open_document::Opened,
    rows,
};
use crate::{
    bus::Published,
    error::{Error, Result},
    id::Seq,
    store::{AppendError, Availability, Loaded, NewRows},
};

impl<P: PeerHandle> RoomCore<P> {
    /// Relays what was accepted, then hands it to the log.
    pub(super) fn flush(&mut self) {
        let Some(record) = self.record else { return };
        let now = self.now.instant;
        let (accepted, acks) = self.commits.take_turn();
        let rows = rows::merged_rows(accepted);
        let authors = rows.authors;
        self.last_relayed.clear();
        self.flushes += 1;
        for row in &rows.rows {
            let Some(message) = &row.message else {
                continue;
            };
            let receivers = self.members.receivers(row.from);
            self.relay_pace.sent(receivers.max(1), now);
            self.last_relayed.push(message.clone());
            self.outputs.push(Output::Tell {
                message: Message::Update(message.clone()),
                except: row.from,
                updates: row.updates,
            });
        }
        let rows: Vec<_> = rows.rows.into_iter().flat_map(rows::split).collect();
        let bytes = rows.iter().map(|(bytes, _)| bytes.clone());
        self.commits.begin_append(bytes.collect(), acks);
        let new_rows = NewRows { rows, authors };
        self.outputs.push(Output::Append(record.id, new_rows));
    }

    pub(super) fn appended(&mut self, result: Result<Seq, AppendError>) {
        let Some(append) = self.commits.take_settled() else {
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
                self.storage_refused_until = Some(self.now.instant + retry_after);
                self.announce_storage();
                self.commits.mark_pending();
                self.reload();
            }
        }
    }

    fn written(&mut self, append: Append<P>, seq: Seq) {
        let now = self.now.instant;
        if self.storage_refused_until.take().is_some() {
            self.announce_storage();
        }
        let hole = self.document.appended(seq, &append.rows);
        self.commits.delay(append.acks, seq, now);
        if self.members.len() < 2 || self.relay_pace.is_quiet(now) {
            self.acknowledge();
        }
        if let Some(record) = self.record.filter(|_| hole) {
            let document = record.id;
            self.fetch(Fetch::Log { document }, AfterFetch::Nothing);
        }
    }

    fn refuse_all(&mut self, append: Append<P>, error: &Error) {
        for ack in append.acks {
            self.refuse(ack, error.clone());
        }
    }

    /// Whether the database refused this document lately, so that nothing is accepted.
    pub(super) fn is_storage_refused(&self) -> bool {
        let now = self.now.instant;
        self.storage_refused_until.is_some_and(|until| now < until)
    }

    /// What the members are told of the storage of this document.
    pub(super) fn storage(&self) -> StorageStatus {
        if self.availability == Availability::Unavailable || self.storage_refused_until.is_some() {
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

    /// Tells every member of `event`, behind the updates that were accepted before it.
    pub(super) fn happened(&mut self, event: Arc<Published>) {
        if self.members.is_empty() {
            return;
        }
        if self.commits.accepted() > 0 {
            self.flush();
        }
        let event = Output::Announce(Message::Event(event));
        self.outputs.push(event);
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
        let news = self.document.apply_new_rows(document, loaded);
        for update in news.updates {
            self.last_relayed.push(update.clone());
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
        self.commits.drop_messages();
        let (document, unwritten) = (record.id, self.commits.unwritten());
        let reload = Fetch::Reload {
            document,
            unwritten,
        };
        self.fetch(reload, AfterFetch::Nothing);
    }

    pub(super) fn reloaded(&mut self, reloaded: Result<Opened>) {
        let Some(record) = self.record else { return };
        let had = self.state_before_last_relay();
        match reloaded {
            Ok(opened) => self.install(record, opened),
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
