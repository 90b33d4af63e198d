//! The journal's bounds, and what wakes the writer.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;

use super::*;
use crate::{
    id::{Seq, Timestamp},
    metrics::Metrics,
    store::{JournalOptions, NewRow, NewRows, UpdateLog},
};

const OPTIONS: JournalOptions = JournalOptions {
    bytes_max: 1000,
    commit_interval: Duration::ZERO..=Duration::ZERO,
    history: Duration::ZERO,
};

#[test]
fn reservations_bound_the_journal_and_are_given_back() {
    let (log, _journal) = UpdateLog::new(OPTIONS);
    let first = log.reserve(500).expect("there is room");
    assert_eq!(log.journal_bytes(), 628);
    assert!(log.reserve(245).is_none());
    let second = log.reserve(244).expect("there is just enough room");
    drop(first);
    assert_eq!(log.journal_bytes(), 372);
    drop(second);
    assert_eq!(log.journal_bytes(), 0);
    assert!(log.reserve(usize::MAX).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_append_wakes_the_writer_while_another_document_is_backing_off() {
    let (log, journal) = UpdateLog::new(OPTIONS);
    let (refused, other) = (DocumentId::generate(), DocumentId::generate());
    let (mut backoffs, now) = (DocumentBackoffs::default(), Instant::now());
    let delay = backoffs.note_refusal(refused, now);
    let append = |document| {
        let reservation = log.reserve(1).expect("there is room");
        let new_rows = NewRows {
            rows: vec![NewRow {
                payload: Bytes::from_static(b"x"),
                reservation,
                user: None,
                at: Timestamp::now(),
            }],
            authors: Vec::new(),
        };
        log.append(document, new_rows, Box::new(|_| {}));
    };
    append(refused);
    let mut next = Box::pin(journal.next(1000, now, &backoffs));
    assert!((&mut next).now_or_never().is_none(), "it is backing off");
    append(other);
    let batch = next.now_or_never().flatten().expect("the writer is woken");
    assert_eq!((batch.appends(), batch.journal_span()), (1, 2));

    let supervisor = Supervisor::new(Metrics::new());
    journal.settle(vec![None, Some(Ok(Seq(1)))], &supervisor);
    let batch = journal.next(1000, now, &backoffs).await.expect("a batch");
    assert_eq!((batch.appends(), batch.journal_span()), (1, 1));
    assert_eq!(Instant::now(), now + delay, "not sooner");
}
