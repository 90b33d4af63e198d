//! Appends that the database refuses permanently are given up, and their document is then not written
//! for a while; a large append gets a longer timeout.

use std::time::{Duration, Instant};

use realtime_server::{
    id::{DocumentId, Seq},
    metrics::Metrics,
    store::{AppendError, Availability, Store},
};

use super::{Home, MIB, append, close, create, journal, on_both, supervisor};

on_both!(
    the_delay_of_a_document_grows_with_each_refusal,
    appends_after_a_refusal_are_written,
    closing_does_not_wait_for_the_delay_of_a_refused_document,
    an_append_of_fifty_mebibytes_gets_a_longer_timeout,
);

/// Only Postgres has such errors; a pooler or a hosted database also answers them while its server is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internal_error_refuses_a_document_only_while_others_are_written() {
    let home = Home::postgres().await;
    let store = home.open().await;
    let (broken, other) = (
        create(&store, "broken").await,
        create(&store, "other").await,
    );
    let fail = "create function fail() returns trigger language plpgsql as $$ begin
                    if length(new.payload) = 7 then
                        raise exception 'an invalid page' using errcode = 'XX001';
                    end if;
                    return new;
                end $$;
                create trigger fail before insert on update_log
                    for each row execute function fail()";
    home.run(fail).await;
    let mut availability = store.log().availability();
    let mut waiting = append(&store, broken, &[b"is bad."]);
    let unavailable = availability.wait_for(|now| *now == Availability::Unavailable);
    let noticed = tokio::time::timeout(Duration::from_secs(10), unavailable).await;
    let noticed = noticed.map(drop); // Not the guard, for which the writer would wait.
    assert!(noticed.is_ok(), "an internal error was taken for a refusal");
    assert!(waiting.try_recv().is_err(), "it is tried again");
    assert_eq!(append(&store, other, &[b"x"]).await.unwrap(), Ok(Seq(1)));
    delay(waiting.await.unwrap());

    let waiting = append(&store, broken, &[b"is bad."]);
    home.run("drop trigger fail on update_log").await;
    assert_eq!(waiting.await.unwrap(), Ok(Seq(1)), "the error has passed");
}

async fn refused_and_another(home: &Home, store: &Store) -> (DocumentId, DocumentId) {
    let documents = (create(store, "refused").await, create(store, "other").await);
    home.forbid_seven_bytes().await;
    documents
}

/// Appends a row that is refused; returns the delay of the document after that.
async fn refusal(store: &Store, document: DocumentId) -> Duration {
    delay(append(store, document, &[b"is bad."]).await.unwrap())
}

fn delay(outcome: Result<Seq, AppendError>) -> Duration {
    match outcome {
        Err(AppendError::Refused { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    }
}

async fn the_delay_of_a_document_grows_with_each_refusal(home: Home) {
    let metrics = Metrics::new();
    let store = Store::open(&home.url, journal(MIB), metrics.clone(), &supervisor()).await;
    let store = store.unwrap();
    let (refused, other) = refused_and_another(&home, &store).await;
    let mut availability = store.log().availability();
    availability.mark_unchanged();
    let began = Instant::now();
    // Like a room that loads its document again and appends the update at once.
    let mut delays = Vec::new();
    for _ in 0..4 {
        delays.push(refusal(&store, refused).await.as_millis());
    }
    assert_eq!(delays, [250, 500, 1000, 2000]);
    assert!(began.elapsed() >= Duration::from_millis(250 + 500 + 1000));

    let mut again = append(&store, refused, &[b"is bad."]);
    let others = append(&store, other, &[b"x"]).await;
    assert_eq!(others.unwrap(), Ok(Seq(1)));
    assert!(
        again.try_recv().is_err(),
        "other documents do not wait for it"
    );
    assert_eq!(delay(again.await.unwrap()).as_millis(), 4000);
    assert_eq!(*store.log().availability().borrow(), Availability::Ok);
    assert!(!availability.has_changed().unwrap());
    let counted = "realtime_appends_refused_total 5";
    assert!(
        metrics.render().lines().any(|line| line == counted),
        "{}",
        metrics.render()
    );
    assert_eq!(store.log().journal_bytes(), 0);
}

async fn appends_after_a_refusal_are_written(home: Home) {
    let store = home.open().await;
    let (refused, _) = refused_and_another(&home, &store).await;
    let first = refusal(&store, refused).await;
    let waiting = [
        append(&store, refused, &[b"good"]),
        append(&store, refused, &[]),
        append(&store, refused, &[b"better"]),
    ];
    let mut seqs = Vec::new();
    for answer in waiting {
        seqs.push(answer.await.unwrap().unwrap().0);
    }
    assert_eq!(seqs, [1, 1, 2]);
    assert_eq!(
        refusal(&store, refused).await,
        first,
        "after a success the delay starts again"
    );
}

async fn closing_does_not_wait_for_the_delay_of_a_refused_document(home: Home) {
    let store = home.open().await;
    let (refused, _) = refused_and_another(&home, &store).await;
    for _ in 0..5 {
        refusal(&store, refused).await;
    }
    let good = append(&store, refused, &[b"good"]);
    let began = Instant::now();
    assert!(close(store).await.is_empty());
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "the delay is 4 s: {:?}",
        began.elapsed()
    );
    assert_eq!(good.await.unwrap(), Ok(Seq(1)));
}

async fn an_append_of_fifty_mebibytes_gets_a_longer_timeout(home: Home) {
    let store = home.open().await;
    let document = create(&store, "large").await;
    // A slow disk: more than five seconds for all of it.
    let slow = if home.is_sqlite() {
        "create table slow (n integer);
         create trigger slow after insert on log_tail begin
             delete from slow;
             insert into slow with recursive c(n) as
                 (select 1 union all select n + 1 from c where n < 600000)
                 select max(n) from c;
         end"
    } else {
        "create function slow() returns trigger as
             'begin perform pg_sleep(0.11); return new; end' language plpgsql;
         create trigger slow after insert on update_log for each row execute function slow()"
    };
    home.run(slow).await;
    let mut availability = store.log().availability();
    availability.mark_unchanged();
    let row = vec![7; MIB];
    let began = Instant::now();
    let written = append(&store, document, &vec![&row[..]; 50]).await;
    assert_eq!(written.unwrap(), Ok(Seq(50)));
    let took = began.elapsed();
    if !home.is_sqlite() {
        // In SQLite the time depends on the machine.
        assert!(
            took > Duration::from_secs(5),
            "{took:?}: the usual timeout was not exceeded"
        );
    }
    assert!(!availability.has_changed().unwrap());
    let loaded = store.load(document).await.unwrap();
    assert_eq!(loaded.updates.len(), 50);
    assert!(loaded.updates.iter().all(|(_, update)| update[..] == row));

    // The next small commit has the usual timeout.
    home.run(if home.is_sqlite() {
        "drop trigger slow"
    } else {
        "drop trigger slow on update_log"
    })
    .await;
    let written = append(&store, document, &[b"x"]).await;
    assert_eq!(written.unwrap(), Ok(Seq(51)));
}
