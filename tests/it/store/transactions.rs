//! Transactions of features: all or nothing is written, and events are told after the commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use realtime_server::{
    error::Error,
    id::{EventId, Team},
    store::{Event, Store, args},
};
use serde_json::json;

use super::{
    Home, on_both,
    values::{INSERT, full, make_things, things, values},
    young,
};

on_both!(
    a_rollback_writes_nothing_and_tells_nothing,
    a_failing_statement_rolls_back_also_where_its_error_is_ignored,
    a_failing_statement_rolls_back_also_where_nobody_waits_for_it,
    event_ids_of_a_team_have_no_gaps_and_rise_with_the_commits,
    events_of_several_teams_are_written_together,
    a_subscriber_that_panics_affects_nobody_else,
    a_view_reads_and_cannot_write,
);

/// Collects the events that the store tells.
pub(super) fn subscribe(store: &Store) -> Arc<Mutex<Vec<Event>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&told);
    store
        .subscribe(move |events| collected.lock().extend_from_slice(events))
        .unwrap();
    told
}

async fn a_rollback_writes_nothing_and_tells_nothing(home: Home) {
    let store = home.open().await;
    make_things(&home).await;
    let told = subscribe(&store);
    let team = Team::parse("acme").unwrap();
    let gone = Error::NotFound { what: "thing" };
    let failed = store
        .transact(async |tx| {
            tx.execute(INSERT, values(1, &full())).await?;
            tx.publish(&team, young(1), &json!("made"))?;
            Err::<(), _>(gone.clone())
        })
        .await;
    assert_eq!(failed, Err(gone));
    store
        .transact(async |tx| tx.publish(&team, young(2), &json!("second")))
        .await
        .unwrap();
    assert_eq!(things(&home).await, 0);
    let told = told.lock().clone();
    let event = Event {
        team,
        event_id: EventId(1),
        payload: json!("second"),
        at: young(2),
    };
    assert_eq!(told, [event]);
}

async fn a_failing_statement_rolls_back_also_where_its_error_is_ignored(home: Home) {
    let store = home.open().await;
    make_things(&home).await;
    let told = subscribe(&store);
    let team = Team::parse("acme").unwrap();
    let swallowed = store
        .transact(async |tx| {
            tx.publish(&team, young(1), &json!("made"))?;
            tx.execute(INSERT, values(1, &full())).await?;
            let again = tx.execute(INSERT, values(1, &full())).await;
            assert_eq!(again, Err(Error::Internal));
            let later = tx.execute(INSERT, values(2, &full())).await;
            assert_eq!(later, Err(Error::Internal));
            Ok(())
        })
        .await;
    assert_eq!(swallowed, Err(Error::Internal));
    let misspelt = store
        .transact(async |tx| {
            tx.execute(INSERT, values(1, &full())).await?;
            tx.execute("insert into nothing values (1)", args![]).await
        })
        .await;
    assert!(misspelt.is_err());
    assert_eq!(things(&home).await, 0);
    assert_eq!(home.number("select count(*) from event").await, 0);
    assert_eq!(*told.lock(), []);
}

async fn a_failing_statement_rolls_back_also_where_nobody_waits_for_it(home: Home) {
    let store = home.open().await;
    make_things(&home).await;
    let abandoned = store
        .transact(async |tx| {
            tx.execute(INSERT, values(1, &full())).await?;
            let again = tx.execute(INSERT, values(1, &full()));
            let _ = tokio::time::timeout(Duration::ZERO, again).await;
            Ok(())
        })
        .await;
    assert!(abandoned.is_err());
    assert_eq!(things(&home).await, 0);
}

/// Publishes `count` events, and half as many that are not committed.
async fn publish(store: Store, team: Team, count: i64) {
    for number in 0..count {
        if number % 2 == 0 {
            let undone = store.transact(async |tx| {
                tx.publish(&team, young(0), &json!("undone"))?;
                // The rollback must not use up an id.
                tx.execute("insert into thing (id) values ($1)", args![-1_i64])
                    .await?;
                Err::<(), _>(Error::Overloaded)
            });
            assert_eq!(undone.await, Err(Error::Overloaded));
        }
        let done = store.transact(async |tx| tx.publish(&team, young(number), &json!(number)));
        done.await.unwrap();
    }
}

async fn event_ids_of_a_team_have_no_gaps_and_rise_with_the_commits(home: Home) {
    const WRITERS: i64 = 8;
    const EACH: i64 = 25;
    make_things_after_opening(&home).await;
    // Several instances, where the database allows them.
    let mut stores = vec![home.open().await];
    if !home.is_sqlite() {
        stores.push(home.open().await);
    }
    let told: Vec<_> = stores.iter().map(subscribe).collect();
    let team = Team::parse("acme").unwrap();
    let watching = Arc::new(AtomicBool::new(true));
    let watch = tokio::spawn(watch(stores[0].clone(), Arc::clone(&watching)));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = stores[writer as usize % stores.len()].clone();
        writers.spawn(publish(store, team.clone(), EACH));
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    watching.store(false, Ordering::Relaxed);
    assert!(watch.await.unwrap() > 0, "it has watched");

    let mut all = Vec::new();
    for told in told {
        let ids: Vec<_> = told.lock().iter().map(|event| event.event_id.0).collect();
        assert!(ids.is_sorted(), "told in the order of the commits: {ids:?}");
        all.extend(ids);
    }
    all.sort_unstable();
    assert_eq!(all, (1..=WRITERS * EACH).collect::<Vec<_>>());
    let rows = home.number("select count(*) from event where payload <> '\"undone\"'");
    assert_eq!(rows.await, WRITERS * EACH);
    assert_eq!(things(&home).await, 0);
}

async fn make_things_after_opening(home: &Home) {
    super::close(home.open().await).await;
    make_things(home).await;
}

/// Checks that no id is visible before a lower one; returns the number of checks.
async fn watch(store: Store, watching: Arc<AtomicBool>) -> u32 {
    let mut checks = 0;
    while watching.load(Ordering::Relaxed) {
        let seen = store
            .view(async |tx| {
                tx.find::<(i64, i64)>(
                    "select count(*), coalesce(max(event_id), 0) from event",
                    args![],
                )
                .await
            })
            .await;
        let (count, newest) = seen.unwrap().unwrap();
        assert_eq!(count, newest, "committed before a lower id");
        checks += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    checks
}

async fn events_of_several_teams_are_written_together(home: Home) {
    let store = home.open().await;
    let told = subscribe(&store);
    let [acme, beta] = ["acme", "beta"].map(|name| Team::parse(name).unwrap());
    for _ in 0..2 {
        store
            .transact(async |tx| {
                tx.publish(&beta, young(1), &json!(1))?;
                tx.publish(&acme, young(1), &json!(2))?;
                tx.publish(&beta, young(1), &json!(3))
            })
            .await
            .unwrap();
    }
    let of = |team: &Team| -> Vec<_> {
        let told = told.lock();
        let events = told.iter().filter(|event| event.team == *team);
        events
            .map(|event| (event.event_id.0, event.payload.clone()))
            .collect()
    };
    assert_eq!(of(&acme), [(1, json!(2)), (2, json!(2))]);
    assert_eq!(
        of(&beta),
        [(1, json!(1)), (2, json!(3)), (3, json!(1)), (4, json!(3))]
    );
    assert!(store.subscribe(|_| {}).is_err(), "there is one subscriber");
}

async fn a_subscriber_that_panics_affects_nobody_else(home: Home) {
    let store = home.open().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&told);
    let subscriber = move |events: &[Event]| {
        let [event] = events else { unreachable!() };
        collected.lock().push(event.event_id.0);
        assert_ne!(event.payload, json!("panic"), "injected");
    };
    store.subscribe(subscriber).unwrap();
    let team = Team::parse("acme").unwrap();
    for payload in ["panic", "calm"] {
        let published = store.transact(async |tx| tx.publish(&team, young(0), &json!(payload)));
        assert_eq!(published.await, Ok(()), "it is durable");
    }
    assert_eq!(*told.lock(), [1, 2]);
}

async fn a_view_reads_and_cannot_write(home: Home) {
    let store = home.open().await;
    make_things(&home).await;
    let (writing, reading) = (store.clone(), store.clone());
    writing
        .transact(async |tx| {
            tx.execute(INSERT, values(1, &full())).await?;
            let seen = reading
                .view(async |tx| tx.list::<(i64,)>("select id from thing", args![]).await)
                .await?;
            assert_eq!(seen, [], "not committed yet");
            Ok(())
        })
        .await
        .unwrap();
    let seen = store
        .view(async |tx| tx.list::<(i64,)>("select id from thing", args![]).await)
        .await;
    assert_eq!(seen.unwrap(), [(1,)]);
    let written = store
        .view(async |tx| tx.execute("delete from thing", args![]).await)
        .await;
    assert!(written.is_err());
    assert_eq!(things(&home).await, 1);
}
