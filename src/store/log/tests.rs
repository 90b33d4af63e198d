//! The journal's bounds, and what wakes the writer.

use futures_util::FutureExt;

use super::*;
use crate::metrics::Metrics;

#[test]
fn reservations_bound_the_journal_and_are_given_back() {
    let (log, _journal) = UpdateLog::new(JournalOptions {
        bytes_max: 1000,
        commit_interval: Duration::ZERO,
    });
    let first = log.reserve(500).expect("there is room");
    assert_eq!(log.journal_bytes(), 628);
    assert!(log.reserve(245).is_none());
    let second = log.reserve(244).expect("there is just room");
    drop(first);
    assert_eq!(log.journal_bytes(), 372);
    drop(second);
    assert_eq!(log.journal_bytes(), 0);
    assert!(log.reserve(usize::MAX).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_appended_beside_what_is_held_wakes_the_writer() {
    let (log, journal) = UpdateLog::new(JournalOptions {
        bytes_max: 1000,
        commit_interval: Duration::ZERO,
    });
    let (held, other) = (DocumentId::generate(), DocumentId::generate());
    let (mut holds, now) = (Holds::default(), Instant::now());
    let hold = holds.refused(held, now);
    let append = |document| {
        let reservation = log.reserve(1).expect("there is room");
        let entry = Entry {
            rows: vec![(Bytes::from_static(b"x"), reservation)],
            authors: Vec::new(),
        };
        log.append(document, entry, Box::new(|_| {}));
    };
    append(held);
    let mut next = Box::pin(journal.next(1000, now, &holds));
    assert!((&mut next).now_or_never().is_none(), "it is held");
    append(other);
    let batch = next.now_or_never().flatten().expect("woken");
    assert_eq!((batch.appends(), batch.span()), (1, 2));

    let supervisor = Supervisor::new(Metrics::new());
    journal.settle(vec![None, Some(Ok(Seq(1)))], &supervisor);
    let batch = journal.next(1000, now, &holds).await.expect("a batch");
    assert_eq!((batch.appends(), batch.span()), (1, 1));
    assert_eq!(Instant::now(), now + hold, "not sooner");
}
