//! What a room does with its document's metadata: it keeps it up to date, has the team told of
//! edits, and ends when the document is deleted.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Message,
    core::{Phase, RoomCore},
    interface::Output,
    members::PeerHandle,
};
use crate::{
    bus::Published, catalog::Change, error::Error, id::DocumentId, store::Metadata, workflow::Moved,
};

impl<P: PeerHandle> RoomCore<P> {
    /// The id of the document, if it exists.
    pub(super) fn document_id(&self) -> Option<DocumentId> {
        self.metadata.as_ref().map(|metadata| metadata.document_id)
    }

    /// Takes note of `event`, and tells every member of it, behind the updates that were accepted
    /// before it, unless they receive it as part of the team. A room whose document was deleted ends, also without members: a later join must
    /// not find it.
    pub(super) fn happened(&mut self, event: Arc<Published>) {
        let document = self.document_id();
        let change = document.and_then(|document| Change::of(document, &event.event));
        if let (Some(Change::Titled(title)), Some(metadata)) = (&change, &mut self.metadata) {
            Arc::make_mut(metadata).title.clone_from(title);
        }
        let status = document.and_then(|document| Moved::status_of(document, &event));
        if let (Some(_), Some(metadata)) = (&status, &mut self.metadata) {
            Arc::make_mut(metadata).status = status;
        }
        if !self.members.is_empty() && !event.event.is_for_team() {
            if self.commits.accepted() > 0 {
                self.flush();
            }
            let event = Output::Announce(Message::Event(event));
            self.outputs.push(event);
        }
        if change == Some(Change::Deleted) && self.phase != Phase::Closed {
            self.close(Error::NO_DOCUMENT);
        }
    }

    /// Notes that updates of the document are durable.
    pub(super) fn edited(&mut self) {
        let time = self.now.time;
        self.edit_notices.untold = Some(time);
        if let Some(metadata) = &mut self.metadata {
            Arc::make_mut(metadata).updated_at = time;
        }
    }

    /// When the team is told of an edit, if there is one to tell of.
    pub(super) fn edit_notice_due(&self) -> Option<Instant> {
        self.edit_notices.untold.map(|_| self.edit_notices.due)
    }

    /// Has the team told of an edit, if that is due.
    pub(super) fn notice_edit_when_due(&mut self) {
        if self
            .edit_notice_due()
            .is_some_and(|due| due <= self.now.instant)
        {
            self.notice_edit();
        }
    }

    /// Has the team told of an edit that it was not told of yet.
    pub(super) fn notice_edit(&mut self) {
        if let (Some(at), Some(metadata)) = (self.edit_notices.untold.take(), &self.metadata) {
            let metadata: Arc<Metadata> = Arc::clone(metadata);
            let writers = self.edit_notices.take_writers();
            self.outputs.push(Output::NoticeEdit(metadata, at, writers));
        }
    }

    /// Delays the next notice by `wait`.
    pub(super) fn next_edit_notice_after(&mut self, wait: Duration) {
        self.edit_notices.due = self.now.instant + wait;
    }
}
