//! Documents whose updates the database refuses, and how long the writer leaves each alone.
//!
//! A refusal lasts, so trying the next update of the same document at once would
//! most likely fail as well, again and again, at the cost of everybody else. What is
//! appended to a document that is held waits in the journal; it is not refused
//! unseen, because what was refused may have been one bad update.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::id::DocumentId;

/// How long a document is held after its first refusal; it doubles with each in a row.
const HOLD_MIN: Duration = Duration::from_millis(250);
const HOLD_MAX: Duration = Duration::from_secs(5);
/// A document that was left alone for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// The documents that were refused and not written since.
#[derive(Default)]
pub(super) struct Holds {
    documents: HashMap<DocumentId, Hold>,
}

struct Hold {
    length: Duration,
    until: Instant,
}

impl Holds {
    /// Notes a refusal, and tells how long the document is held from `now` on.
    pub(super) fn refused(&mut self, document: DocumentId, now: Instant) -> Duration {
        self.documents
            .retain(|_, hold| now < hold.until + FORGOTTEN_AFTER);
        let before = self.documents.get(&document);
        let length = before.map_or(HOLD_MIN, |hold| (hold.length * 2).min(HOLD_MAX));
        let until = now + length;
        self.documents.insert(document, Hold { length, until });
        length
    }

    /// Notes that the database has taken updates of the document.
    pub(super) fn written(&mut self, document: DocumentId) {
        if !self.documents.is_empty() {
            self.documents.remove(&document);
        }
    }

    /// Whether the document is left alone at `now`.
    pub(super) fn is_held(&self, document: DocumentId, now: Instant) -> bool {
        // Nearly always there are none, and this is asked for every append.
        !self.documents.is_empty()
            && self
                .documents
                .get(&document)
                .is_some_and(|hold| now < hold.until)
    }

    /// When the next of the documents that are held at `now` is tried again.
    pub(super) fn next_end(&self, now: Instant) -> Option<Instant> {
        let ends = self.documents.values().map(|hold| hold.until);
        ends.filter(|&until| now < until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_grows_with_each_refusal_in_a_row() {
        let (mut holds, document, now) = (Holds::default(), DocumentId::generate(), Instant::now());
        let mut refused = |now| holds.refused(document, now).as_millis();
        let lengths: Vec<_> = (0..7).map(|_| refused(now)).collect();
        assert_eq!(lengths, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(refused(now + Duration::from_secs(64)), 5000);
        assert_eq!(refused(now + Duration::from_secs(200)), 250);
        holds.written(document);
        assert_eq!(holds.refused(document, now), HOLD_MIN);
    }

    #[test]
    fn a_hold_ends_and_holds_no_other() {
        let (mut holds, document, now) = (Holds::default(), DocumentId::generate(), Instant::now());
        assert!(!holds.is_held(document, now));
        assert_eq!(holds.next_end(now), None);
        holds.refused(document, now);
        assert!(holds.is_held(document, now));
        assert!(!holds.is_held(DocumentId::generate(), now));
        assert_eq!(holds.next_end(now), Some(now + HOLD_MIN));
        assert!(!holds.is_held(document, now + HOLD_MIN));
        assert_eq!(holds.next_end(now + HOLD_MIN), None);
    }
}
