//! What a room does when the database may have lost rows that were acknowledged: another server has taken its place that had not
//! received them, or it was restored from a backup.
//!
//! The document is read again, what only memory holds is written again, and the members synchronise again, which also brings what
//! only they hold. A document whose creation was lost is created again under the same id.

use bytes::Bytes;
use document::ApplyError;
use tracing::{error, warn};

use super::{
    ResyncReason,
    commits::Ack,
    core::{AfterFetch, RoomCore},
    edits::row,
    interface::{Fetch, Output},
    members::PeerHandle,
    open_document::{OpenDocument, Opened},
    rows::{self, Row},
};
use crate::{
    error::{Error, Result},
    store::{Lineage, NewRows},
};

impl<P: PeerHandle> RoomCore<P> {
    /// Another lineage of the database is present.
    pub(super) fn lineage_ended(&mut self, present: Lineage) {
        if self.document.lineage != present {
            self.reconcile(Vec::new(), AfterFetch::Nothing);
        }
    }

    /// Reads the document again and writes what only memory holds. `acks` are sent when that is durable; it goes on with `then`.
    pub(super) fn reconcile(&mut self, acks: Vec<Ack<P>>, then: AfterFetch<P>) {
        let Some(metadata) = self.metadata.clone() else {
            return self.refuse_acks(acks, &Error::NO_DOCUMENT);
        };
        let unwritten = self.commits.unwritten();
        let reload = Fetch::Reload {
            metadata,
            unwritten,
        };
        let then = Box::new(then);
        self.fetch(reload, AfterFetch::Reconcile { acks, then });
    }

    /// Continues with the document as the database has it.
    pub(super) fn reconciled(
        &mut self,
        reloaded: Result<Opened>,
        acks: Vec<Ack<P>>,
        then: AfterFetch<P>,
    ) {
        match (reloaded, self.document_id()) {
            (Ok(opened), Some(_)) => self.complete(opened, acks),
            (reloaded, _) => {
                let error = reloaded.err().unwrap_or(Error::NO_DOCUMENT);
                self.refuse_acks(acks, &error);
                self.close(error);
            }
        }
        self.answer_join(then);
    }

    fn complete(&mut self, mut opened: Opened, mut acks: Vec<Ack<P>>) {
        let Some(metadata) = self.metadata.clone() else {
            return;
        };
        let document = metadata.document_id;
        let had = self.state_before_last_relay();
        let lost = self.document.add_to(&mut opened.document);
        let is_same = opened.document.has_content_of(&mut self.document);
        let authors = self.ownership.missing_in(&opened.authors);
        let (from, to) = (self.document.durable.0, opened.document.durable.0);
        self.install(metadata, opened);
        let lost = lost.unwrap_or_else(|reason| {
            error!(%document, ?reason, "what the database has lost of a document cannot be written again");
            None
        });
        let is_lost = lost.is_some();
        if is_lost || !acks.is_empty() {
            if is_lost {
                self.metrics.document_rewritten();
                // Rows that are under way may be written before what they build upon.
                acks.extend(self.commits.rows_lost());
                warn!(%document, from, to, "the database has lost updates of an open document: they are written again");
            }
            let at = self.now.time;
            let rows = lost.into_iter().map(|bytes| Row::again(bytes, at));
            let rows: Vec<_> = rows.flat_map(rows::split).collect();
            let bytes = rows.iter().map(|row| row.payload.clone());
            self.commits.begin_append(bytes.collect(), acks);
            let new_rows = NewRows { rows, authors };
            self.outputs.push(Output::Append(document, new_rows));
        }
        if is_lost || !is_same {
            self.commits.drop_messages();
            self.announce_storage();
            self.resync_all(ResyncReason::Rebuilt, &had);
        }
    }

    fn refuse_acks(&mut self, acks: Vec<Ack<P>>, error: &Error) {
        for ack in acks {
            self.refuse(ack, error.clone());
        }
    }
}

impl OpenDocument {
    /// Adds to `stored`, the same document as the log has it, what only this one holds; returns that as an update, if it is
    /// anything.
    ///
    /// # Errors
    /// As applying an update; `stored` then has none of it.
    fn add_to(&mut self, stored: &mut Self) -> Result<Option<Bytes>, ApplyError> {
        let theirs = stored.clocks().collect();
        let here = self.difference_to_store(&theirs);
        let here = here.map_err(|_| ApplyError::Panicked)?;
        let checked = document::validate(&here).map_err(|_| ApplyError::Undecodable)?;
        let applied = stored.restore(&here, &checked)?;
        row(here, &applied).map_err(|_| ApplyError::Undecodable)
    }
}
