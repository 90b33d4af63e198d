//! How accepted updates are relayed, appended to the log and acknowledged, and what the room does
//! when the log refuses rows or holds rows of other instances.

use tracing::{info, warn};

use super::{
    Message, ResyncReason, StorageStatus,
    commits::{ACK_DELAY_MAX, Append},
    core::{AfterFetch, Phase, RoomCore},
    interface::{Fetch, Output},
    members::PeerHandle,
    open_document::Opened,
    rows::{self, Row},
};
use crate::{
    error::{Error, Result},
    id::{DocumentId, Seq},
    store::{AppendError, Availability, Loaded, NewRows, Writers},
};

impl<P: PeerHandle> RoomCore<P> {
    /// Relays the accepted updates.
    pub(super) fn flush(&mut self) {
        let now = self.now.instant;
        let (mut accepted, acks) = self.commits.take_accepted();
        let authors = accepted
            .iter_mut()
            .filter_map(|update| update.author.take())
            .collect();
        let rows = rows::merged(accepted.into_iter().map(Row::from));
        self.last_relayed.clear();
        self.flushes += 1;
        for row in &rows {
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
        self.commits.relayed(rows, authors, acks);
    }

    /// Appends relayed rows to the log, if they have to be.
    pub(super) fn append_when_due(&mut self) {
        let Some(document) = self.document_id() else {
            return;
        };
        let Some(relayed) = self.commits.take_relayed(self.now.instant) else {
            return;
        };
        let rows = rows::merged(relayed.rows.into_iter());
        let rows: Vec<_> = rows.into_iter().flat_map(rows::split).collect();
        let bytes = rows.iter().map(|row| row.payload.clone());
        self.commits.begin_append(bytes.collect(), relayed.acks);
        let authors = relayed.authors;
        self.outputs
            .push(Output::Append(document, NewRows { rows, authors }));
    }

    /// Handles the result of the oldest append.
    pub(super) fn appended(&mut self, result: Result<Seq, AppendError>) {
        let Some(append) = self.commits.take_settled() else {
            return;
        };
        match result {
            Ok(seq) => self.written(append, seq),
            // It was deleted, or its creation was lost.
            Err(AppendError::Gone) => self.reconcile(append.acks, AfterFetch::Nothing),
            Err(AppendError::Refused { retry_after }) => {
                self.refuse_all(append, &Error::StorageUnavailable);
                self.storage_refused_until = Some(self.now.instant + retry_after);
                self.announce_storage();
                for ack in self.commits.rows_refused() {
                    self.refuse(ack, Error::StorageUnavailable);
                }
                self.reload();
            }
        }
    }

    /// Handles an append that is durable up to `seq`. If other instances have written rows before
    /// it, the log is read.
    fn written(&mut self, append: Append<P>, seq: Seq) {
        let now = self.now.instant;
        if self.storage_refused_until.take().is_some() {
            self.announce_storage();
        }
        let since = self.document.durable;
        let has_foreign_rows = self.document.appended(seq, &append.rows);
        let next_relay = self.relay_due().filter(|due| *due <= now + ACK_DELAY_MAX);
        self.commits
            .delay(append.acks, seq, next_relay.unwrap_or(now));
        if next_relay.is_none() {
            self.acknowledge();
        }
        self.edited();
        if let Some(document) = self.document_id().filter(|_| has_foreign_rows) {
            self.fetch(Fetch::Log { document, since }, AfterFetch::Nothing);
        }
    }

    /// Reads the log on if it has rows that other instances have written: its newest position in the database is `head`.
    ///
    /// While own rows are under way, the position may be theirs. Then nothing is read: the position at which they were written
    /// tells whether there are others before them.
    pub(super) fn head_seen(&mut self, head: Option<Seq>) {
        match head {
            // It was deleted, or its creation was lost.
            None => self.reconcile(Vec::new(), AfterFetch::Nothing),
            Some(head) if head > self.document.durable && !self.commits.is_in_log() => {
                self.read_on(AfterFetch::Nothing);
            }
            Some(_) => {}
        }
    }

    /// Whether the log may have rows that other instances have written and that were not looked for in this turn. While the
    /// database is unavailable nothing is looked for.
    pub(super) fn may_be_behind(&self) -> bool {
        self.writers == Writers::Several
            && !self.is_log_compared
            && self.availability == Availability::Ok
    }

    /// Reads what the log has after the rows that are known here, and continues with `then`.
    pub(super) fn read_on(&mut self, then: AfterFetch<P>) {
        self.is_log_compared = true;
        if let Some(document) = self.document_id() {
            let since = self.document.durable;
            self.fetch(Fetch::Log { document, since }, then);
        }
    }

    fn refuse_all(&mut self, append: Append<P>, error: &Error) {
        for ack in append.acks {
            self.refuse(ack, error.clone());
        }
    }

    /// Whether the database has refused rows of this document lately, so that no update is
    /// accepted.
    pub(super) fn is_storage_refused(&self) -> bool {
        let now = self.now.instant;
        self.storage_refused_until.is_some_and(|until| now < until)
    }

    /// The storage status of this document, as members are told it.
    pub(super) fn storage(&self) -> StorageStatus {
        if self.availability == Availability::Unavailable || self.storage_refused_until.is_some() {
            StorageStatus::Unavailable
        } else if self.document.is_damaged() {
            StorageStatus::Damaged
        } else {
            StorageStatus::Ok
        }
    }

    /// Tells every member the storage status.
    pub(super) fn announce_storage(&mut self) {
        let storage = Message::Storage(self.storage());
        self.outputs.push(Output::Announce(storage));
    }

    /// Sends the delayed acks.
    pub(super) fn acknowledge(&mut self) {
        let acks = self.commits.take_acks();
        if !acks.is_empty() {
            self.outputs.push(Output::Acks(acks));
        }
    }

    /// Takes in the rows that other instances have written to the log, and continues with the join for which it was read. If the
    /// database did not answer, the join is answered with what is known here.
    pub(super) fn caught_up(&mut self, log: Result<Loaded>, then: AfterFetch<P>) {
        if let Some(document) = self.document_id() {
            match log {
                Ok(loaded) => self.take_in(document, loaded),
                // It was deleted, or its creation was lost.
                Err(Error::NotFound { .. }) => return self.reconcile(Vec::new(), then),
                Err(error) => {
                    warn!(code = error.code(), %document, "the log could not be read on");
                }
            }
        }
        self.answer_join(then);
    }

    /// Answers the join for which the log was read.
    pub(super) fn answer_join(&mut self, then: AfterFetch<P>) {
        if let AfterFetch::Join {
            peer,
            ticket,
            has,
            queued_bytes,
        } = then
        {
            let metadata = match self.phase {
                Phase::Open => self.metadata.clone().ok_or(Error::NO_DOCUMENT),
                Phase::Draining => Err(Error::Draining),
                Phase::Closed => Err(Error::NO_DOCUMENT),
            };
            self.admit(peer, ticket, metadata, has.as_ref(), queued_bytes);
        }
    }

    /// Applies the rows that other instances have written to the log, and relays them.
    fn take_in(&mut self, document: DocumentId, mut loaded: Loaded) {
        self.ownership.load(std::mem::take(&mut loaded.authors));
        let new_rows = self.document.apply_new_rows(document, loaded);
        for update in new_rows.updates {
            self.last_relayed.push(update.clone());
            self.outputs.push(Output::Tell {
                message: Message::Update(update),
                except: None,
                updates: 1,
            });
        }
        if !new_rows.refused.is_empty() {
            self.outputs
                .push(Output::SetAside(document, new_rows.refused));
        }
        if self.document.is_damaged() {
            self.announce_storage();
        }
    }

    /// Has the document rebuilt from its log and from the updates that are not in it yet.
    pub(super) fn reload(&mut self) {
        let Some(metadata) = self.metadata.clone() else {
            return;
        };
        self.commits.drop_messages();
        let unwritten = self.commits.unwritten();
        let reload = Fetch::Reload {
            metadata,
            unwritten,
        };
        self.fetch(reload, AfterFetch::Nothing);
    }

    /// Puts the rebuilt document in place, and has every member resync.
    pub(super) fn reloaded(&mut self, reloaded: Result<Opened>) {
        let Some(metadata) = self.metadata.clone() else {
            return;
        };
        let document = metadata.document_id;
        let had = self.state_before_last_relay();
        match reloaded {
            Ok(opened) => self.install(metadata, opened),
            Err(error) => return self.close(error),
        }
        info!(%document, "the document was rebuilt from its log");
        self.announce_storage();
        self.resync_all(ResyncReason::Rebuilt, &had);
    }

    /// Writes a snapshot if the log has grown enough.
    pub(super) fn put_snapshot_when_due(&mut self) {
        let Some(document) = self.document_id() else {
            return;
        };
        if self.availability != Availability::Ok || !self.document.snapshot_is_due() {
            return;
        }
        if let Ok((seq, state)) = self.document.take_snapshot() {
            self.outputs.push(Output::PutSnapshot {
                document,
                lineage: self.document.lineage,
                seq,
                state,
            });
        }
    }
}
