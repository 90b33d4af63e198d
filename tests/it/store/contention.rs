//! Contention: transactions that take too long, that conflict, and that run beside appends.

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
use serde_json::json;
use tokio::{sync::oneshot, time::sleep};

use super::{Home, append, create, on_both, transactions::subscribe};

on_both!(
    a_transaction_that_takes_too_long_is_rolled_back_while_appends_continue,
    a_transaction_that_nobody_polls_blocks_no_append,
    an_endless_statement_is_cancelled_while_appends_continue,
    many_transactions_do_not_delay_appends,
    transactions_that_lock_in_opposite_orders_both_succeed,
    events_of_a_commit_that_nobody_waits_for_are_told,
);

/// The longest time that a transaction may take.
fn duration_max(home: &Home) -> Duration {
    Duration::from_secs(if home.is_sqlite() { 1 } else { 3 })
}

async fn create_counters(home: &Home) {
    home.run("create table counter (id bigint primary key, number bigint not null)")
        .await;
    home.run("insert into counter values (1, 0), (2, 0)").await;
}

/// Appends one update after the other until told to stop; returns their number and the longest time
/// of one append.
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

async fn a_transaction_that_takes_too_long_is_rolled_back_while_appends_continue(home: Home) {
    let store = home.open().await;
    create_counters(&home).await;
    let (stop, stopped) = oneshot::channel();
    let appending = tokio::spawn(keep_appending(store.clone(), stopped));
    let began = Instant::now();
    let cancelled = store
        .transact(async |tx| {
            tx.execute(RAISE, args![1_i64]).await?;
            sleep(Duration::from_secs(60)).await;
            Ok(())
        })
        .await;
    assert_eq!(cancelled, Err(Error::StorageUnavailable));
    assert!(began.elapsed() < duration_max(&home) + Duration::from_secs(10));
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
    assert_eq!(raised.await, Ok(1), "the connection works");
}

async fn a_transaction_that_nobody_polls_blocks_no_append(home: Home) {
    let store = home.open().await;
    create_counters(&home).await;
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
    // From now on it is neither polled nor dropped.
    let began = Instant::now();
    append(&store, document, &[b"x"]).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    let raise = || store.transact(async |tx| tx.execute(RAISE, args![1_i64]).await);
    let mut raised = raise().await;
    if raised == Err(Error::StorageUnavailable) {
        // It may wait for the row as long as the other one may hold it, and both began almost at once.
        raised = raise().await;
    }
    assert_eq!(raised, Ok(1));
    assert_eq!(
        home.number("select number from counter where id = 1").await,
        1
    );
    drop(holding);
}

const ENDLESS: &str = "with recursive number (n) as (select 1 union all select n + 1 from number)
                       select n from number where n < 0";

async fn an_endless_statement_is_cancelled_while_appends_continue(home: Home) {
    let store = home.open().await;
    create_counters(&home).await;
    let (stop, stopped) = oneshot::channel();
    let appending = tokio::spawn(keep_appending(store.clone(), stopped));
    let endless = store
        .transact(async |tx| {
            tx.execute(RAISE, args![1_i64]).await?;
            tx.find::<(i64,)>(ENDLESS, args![]).await
        })
        .await;
    assert_eq!(endless, Err(Error::StorageUnavailable));
    // There are four reading connections: none of them is lost.
    for _ in 0..5 {
        let view = store.view(async |tx| tx.find::<(i64,)>(ENDLESS, args![]).await);
        let view = tokio::time::timeout(Duration::from_millis(10), view);
        assert!(view.await.is_err(), "it is endless");
    }
    let read = store.view(async |tx| tx.find::<(i64,)>("select 1 + $1", args![1_i64]).await);
    assert_eq!(read.await, Ok(Some((2,))));
    stop.send(()).unwrap();
    let (appends, longest) = appending.await.unwrap();
    println!("{appends} appends, the longest {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    let raised = store.transact(async |tx| tx.execute(RAISE, args![1_i64]).await);
    assert_eq!(raised.await, Ok(1), "the connection works");
}

async fn many_transactions_do_not_delay_appends(home: Home) {
    let store = home.open().await;
    create_counters(&home).await;
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
    // The transactions take longer than that together.
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

/// Raises the two counters in the given order; counts its runs.
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

async fn transactions_that_lock_in_opposite_orders_both_succeed(home: Home) {
    let store = home.open().await;
    create_counters(&home).await;
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
    // SQLite has one writer, so there is no conflict.
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

async fn events_of_a_commit_that_nobody_waits_for_are_told(home: Home) {
    let store = home.open().await;
    create_counters(&home).await;
    let told = subscribe(&store);
    let team = Team::parse("acme").unwrap();
    let rounds = 100;
    for round in 0..rounds {
        let (store, team) = (store.clone(), team.clone());
        let writing = tokio::spawn(async move {
            store
                .transact(async |tx| {
                    tx.execute(RAISE, args![1_i64]).await?;
                    tx.publish(&team, Timestamp(0), &json!(round))
                })
                .await
        });
        sleep(Duration::from_micros(round * 30)).await;
        writing.abort();
        let _ = writing.await;
    }
    // All transactions that have begun end before this one.
    store
        .transact(async |tx| {
            tx.execute(RAISE, args![1_i64]).await?;
            tx.publish(&team, Timestamp(0), &json!("last"))
        })
        .await
        .unwrap();
    let told: Vec<_> = told.lock().iter().map(|event| event.event_id.0).collect();
    println!("{} of {rounds} were committed", told.len() - 1);
    let written = home.number("select number from counter where id = 1").await;
    assert_eq!(told, (1..=written).collect::<Vec<_>>());
    assert_eq!(home.number("select count(*) from event").await, written);
}
