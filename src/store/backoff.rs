//! Documents whose updates the database refuses, and how long the writer waits before it tries
//! each of them again.
//!
//! A refusal is permanent, so trying the next update of the same document at once would most
//! likely fail as well, again and again, at the cost of all other documents. Appends to a document
//! that is backing off wait in the journal; they are not refused without an attempt, because the
//! refusal may have concerned one bad update.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::id::DocumentId;

/// The delay after a document's first refusal; it doubles with each in a row.
const DELAY_MIN: Duration = Duration::from_millis(250);
const DELAY_MAX: Duration = Duration::from_secs(5);
/// So long after the end of its delay a document's refusals are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// The documents that were refused and have not been written since.
#[derive(Default)]
pub(super) struct DocumentBackoffs {
    documents: HashMap<DocumentId, Backoff>,
}

struct Backoff {
    delay: Duration,
    until: Instant,
}

impl DocumentBackoffs {
    /// Notes a refusal; returns how long the document is not written from `now` on.
    pub(super) fn note_refusal(&mut self, document: DocumentId, now: Instant) -> Duration {
        self.documents
            .retain(|_, backoff| now < backoff.until + FORGOTTEN_AFTER);
        let before = self.documents.get(&document);
        let delay = before.map_or(DELAY_MIN, |backoff| (backoff.delay * 2).min(DELAY_MAX));
        let until = now + delay;
        self.documents.insert(document, Backoff { delay, until });
        delay
    }

    /// Notes that the database has accepted updates of the document.
    pub(super) fn note_success(&mut self, document: DocumentId) {
        if !self.documents.is_empty() {
            self.documents.remove(&document);
        }
    }

    /// Whether the document is not to be written at `now`.
    pub(super) fn is_backing_off(&self, document: DocumentId, now: Instant) -> bool {
        // Nearly always there are none, and this is called for every append.
        !self.documents.is_empty()
            && self
                .documents
                .get(&document)
                .is_some_and(|backoff| now < backoff.until)
    }

    /// When the next of the documents that are backing off at `now` is tried again.
    pub(super) fn next_retry(&self, now: Instant) -> Option<Instant> {
        let retries = self.documents.values().map(|backoff| backoff.until);
        retries.filter(|&until| now < until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> (DocumentBackoffs, DocumentId, Instant) {
        let backoffs = DocumentBackoffs::default();
        (backoffs, DocumentId::generate(), Instant::now())
    }

    #[test]
    fn the_delay_grows_with_each_refusal_in_a_row() {
        let (mut backoffs, document, now) = parts();
        let mut refused = |now| backoffs.note_refusal(document, now).as_millis();
        let delays: Vec<_> = (0..7).map(|_| refused(now)).collect();
        assert_eq!(delays, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(refused(now + Duration::from_secs(64)), 5000);
        assert_eq!(refused(now + Duration::from_secs(200)), 250);
        backoffs.note_success(document);
        assert_eq!(backoffs.note_refusal(document, now), DELAY_MIN);
    }

    #[test]
    fn a_backoff_ends_and_concerns_no_other_document() {
        let (mut backoffs, document, now) = parts();
        assert!(!backoffs.is_backing_off(document, now));
        assert_eq!(backoffs.next_retry(now), None);
        backoffs.note_refusal(document, now);
        assert!(backoffs.is_backing_off(document, now));
        assert!(!backoffs.is_backing_off(DocumentId::generate(), now));
        assert_eq!(backoffs.next_retry(now), Some(now + DELAY_MIN));
        assert!(!backoffs.is_backing_off(document, now + DELAY_MIN));
        assert_eq!(backoffs.next_retry(now + DELAY_MIN), None);
    }
}
