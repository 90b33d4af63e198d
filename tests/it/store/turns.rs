//! Transactions among others: held too long, in one another's way, and beside the log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use realtime_server::{
    error::Error,
    id::{Team, Timestamp},
    store::{Store, args},
};
use tokio::{sync::oneshot, time::sleep};

use super::{Home, append, create, on_both, transactions::listen};

on_both!(
    a_transaction_held_too_long_is_undone_while_appends_go_on,
    a_transaction_that_nobody_polls_stops_no_append,
    a_statement_without_end_is_ended_while_appends_go_on,
    many_transactions_do_not_keep_the_log_waiting,
    transactions_that_lock_in_opposite_order_both_succeed,
    a_commit_that_nobody_waits_for_is_told,
);

/// The longest that a transaction may be held.
fn hold_max(home: &Home) -> Duration {
    Duration::from_secs(if home.is_sqlite() { 1 } else { 3 })
}

async fn make_counters(home: &Home) {
    home.run("create table counter (id bigint primary key, number bigint not null)")
        .await;
    home.run("insert into counter values (1, 0), (2, 0)").await;
}

/// Appends one update after the other until told to stop; returns how many, and the longest that
/// one took.
async fn keep_appending(store: Store, mut stop: oneshot::Receiver<()>) -> (u32, Duration) {
    let document = create(&store, "a").await;
    let (mut appends, mut longest) = (0, Duration::ZERO);
    while stop.try_recv().is_err() {
        let began = Instant::now();
        append(&store, document, &[b"x"]).await.unwrap().unwrap();
        longest = longest.max(began.elapsed());
        appends += 1;
    }
    (appends, longest)
}

const RAISE: &str = "update counter set number = number + 1 where id = $1";

async fn a_transaction_held_too_long_is_undone_while_appends_go_on(home: Home) {
    let store = home.open().await;
    make_counters(&home).await;
    let (stop, stopped) = oneshot::channel();
    let appending = tokio::spawn(keep_appending(store.clone(), stopped));
    let began = Instant::now();
    let held = store
        .transact(async |tx| {
            tx.execute(RAISE, args![1_i64]).await?;
            sleep(Duration::from_secs(60)).await;
            Ok(())
        })
        .await;
    assert_eq!(held, Err(Error::StorageUnavailable));
    assert!(began.elapsed() < hold_max(&home) + Duration::from_secs(2));
    sleep(Duration::from_millis(300)).await;
    stop.send(()).unwrap();
    let (appends, longest) = appending.await.unwrap();
    println!("{appends} appends, the longest {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert!(appends >= 3);
    assert_eq!(
        home.number("select number from counter where id = 1").await,
        0
    );
    let raised = store.transact(async |tx| tx.execute(RAISE, args![1_i64]).await);
    assert_eq!(raised.await, Ok(1), "the connection is sound");
}

async fn a_transaction_that_nobody_polls_stops_no_append(home: Home) {
    let store = home.open().await;
    make_counters(&home).await;
    let document = create(&store, "a").await;
    let (inside, is_inside) = oneshot::channel();
    let inside = parking_lot::Mutex::new(Some(inside));
    let holding = store.transact(async |tx| {
        tx.execute(RAISE, args![1_i64]).await?;
        let _ = inside.lock().take().map(|inside| inside.send(()));
        std::future::pending::<()>().await;
        Ok(())
    });
    let mut holding = Box::pin(holding);
    tokio::select! {
        _ = &mut holding => unreachable!("it waits"),
        inside = is_inside => inside.unwrap(),
    }
    // From here on it is not polled, and it is not dropped.
    let began = Instant::now();
    append(&store, document, &[b"x"]).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    let raised = store.transact(async |tx| tx.execute(RAISE, args![1_i64]).await);
    assert_eq!(raised.await, Ok(1));
    assert_eq!(
        home.number("select number from counter where id = 1").await,
        1
    );
    drop(holding);
}

const ENDLESS: &str = "with recursive number (n) as (select 1 union all select n + 1 from number)
                       select n from number where n < 0";

async fn a_statement_without_end_is_ended_while_appends_go_on(home: Home) {
    let store = home.open().await;
    make_counters(&home).await;
    let (stop, stopped) = oneshot::channel();
    let appending = tokio::spawn(keep_appending(store.clone(), stopped));
    let endless = store
        .transact(async |tx| {
            tx.execute(RAISE, args![1_i64]).await?;
            tx.find::<(i64,)>(ENDLESS, args![]).await
        })
        .await;
    assert_eq!(endless, Err(Error::StorageUnavailable));
    // There are four readers: none of them is lost to it.
    for _ in 0..5 {
        let view = store.view(async |tx| tx.find::<(i64,)>(ENDLESS, args![]).await);
        let view = tokio::time::timeout(Duration::from_millis(10), view);
        assert!(view.await.is_err(), "it goes on without end");
    }
    let read = store.view(async |tx| tx.find::<(i64,)>("select 1 + $1", args![1_i64]).await);
    assert_eq!(read.await, Ok(Some((2,))));
    stop.send(()).unwrap();
    let (appends, longest) = appending.await.unwrap();
    println!("{appends} appends, the longest {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    let raised = store.transact(async |tx| tx.execute(RAISE, args![1_i64]).await);
    assert_eq!(raised.await, Ok(1), "the connection is sound");
}

async fn many_transactions_do_not_keep_the_log_waiting(home: Home) {
    let store = home.open().await;
    make_counters(&home).await;
    let (stop, stopped) = oneshot::channel();
    let appending = tokio::spawn(keep_appending(store.clone(), stopped));
    let mut transactions = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let store = store.clone();
        transactions.spawn(async move {
            store
                .transact(async |tx| {
                    sleep(Duration::from_millis(200)).await;
                    tx.execute(RAISE, args![1_i64]).await
                })
                .await
        });
    }
    while let Some(done) = transactions.join_next().await {
        assert_eq!(done.unwrap(), Ok(1));
    }
    stop.send(()).unwrap();
    let (appends, longest) = appending.await.unwrap();
    println!("{appends} appends, the longest {longest:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

/// Raises two counters, the first one `first`; counts its runs.
async fn raise_both(store: Store, [first, second]: [i64; 2], runs: Arc<AtomicU32>) {
    let raised = store.transact(async |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        tx.execute(RAISE, args![first]).await?;
        sleep(Duration::from_millis(200)).await;
        let (number,) = tx
            .find_locked::<(i64,)>("select number from counter where id = $1", args![second])
            .await?
            .unwrap();
        tx.execute(
            "update counter set number = $1 where id = $2",
            args![number + 1, second],
        )
        .await
    });
    assert_eq!(raised.await, Ok(1));
}

async fn transactions_that_lock_in_opposite_order_both_succeed(home: Home) {
    let store = home.open().await;
    make_counters(&home).await;
    let runs = Arc::new(AtomicU32::new(0));
    tokio::join!(
        raise_both(store.clone(), [1, 2], Arc::clone(&runs)),
        raise_both(store.clone(), [2, 1], Arc::clone(&runs)),
    );
    assert_eq!(
        home.number("select count(*) from counter where number = 2")
            .await,
        2
    );
    // SQLite has one writer: there is no other in its way.
    let runs = runs.load(Ordering::Relaxed);
    assert!(
        if home.is_sqlite() {
            runs == 2
        } else {
            runs > 2
        },
        "{runs}"
    );
}

async fn a_commit_that_nobody_waits_for_is_told(home: Home) {
    let store = home.open().await;
    make_counters(&home).await;
    let told = listen(&store);
    let team = Team::parse("acme").unwrap();
    let rounds = 100;
    for round in 0..rounds {
        let (store, team) = (store.clone(), team.clone());
        let writing = tokio::spawn(async move {
            store
                .transact(async |tx| {
                    tx.execute(RAISE, args![1_i64]).await?;
                    tx.publish(&team, Timestamp(0), &round)
                })
                .await
        });
        sleep(Duration::from_micros(round * 30)).await;
        writing.abort();
        let _ = writing.await;
    }
    // Whatever is under way ends before this one.
    store
        .transact(async |tx| {
            tx.execute(RAISE, args![1_i64]).await?;
            tx.publish(&team, Timestamp(0), &"last")
        })
        .await
        .unwrap();
    let told: Vec<_> = told.lock().iter().map(|event| event.event_id.0).collect();
    println!("{} of {rounds} were committed", told.len() - 1);
    let written = home.number("select number from counter where id = 1").await;
    assert_eq!(told, (1..=written).collect::<Vec<_>>());
    assert_eq!(home.number("select count(*) from event").await, written);
}
