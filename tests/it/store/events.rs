//! Events are read in the order of their ids, and deleted when they are seven days old.

use std::time::{Duration, Instant};

use realtime_server::{
    id::{EventId, Team, Timestamp},
    store::{Event, EventsAfter, Store},
};
use serde_json::json;

use super::{Home, append, close, create, on_both};

on_both!(
    events_are_read_in_the_order_of_their_ids,
    the_answer_tells_ids_from_the_future_and_deleted_events,
    old_events_are_deleted_and_ids_continue,
    a_young_event_keeps_the_later_ones,
    deleting_many_events_does_not_delay_appends,
);

const HOUR_MS: i64 = 60 * 60 * 1000;

fn team(name: &str) -> Team {
    Team::parse(name).unwrap()
}

/// The time `hours` ago.
fn hours_ago(hours: i64) -> Timestamp {
    Timestamp(Timestamp::now().0 - hours * HOUR_MS)
}

async fn publish(store: &Store, team: &Team, at: Timestamp, number: i64) {
    let publish = store.transact(async |tx| tx.publish(team, at, &json!({ "number": number })));
    publish.await.unwrap();
}

async fn after(store: &Store, team: &Team, event_id: i64, limit: usize) -> EventsAfter {
    store
        .events_after(team, EventId(event_id), limit)
        .await
        .unwrap()
}

/// The ids of the events after `event_id`, which have to be kept.
async fn ids_after(store: &Store, team: &Team, event_id: i64) -> Vec<i64> {
    match after(store, team, event_id, 500).await {
        EventsAfter::Events { events, has_more } => {
            assert!(!has_more);
            events.iter().map(|event| event.event_id.0).collect()
        }
        other => panic!("not the events after {event_id}: {other:?}"),
    }
}

/// Waits until the database has `count` events.
async fn until_kept(home: &Home, count: i64) {
    let began = Instant::now();
    loop {
        let kept = home.number("select count(*) from event").await;
        if kept == count {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{kept} of {count}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn events_are_read_in_the_order_of_their_ids(home: Home) {
    let store = home.open().await;
    let (acme, other) = (team("acme"), team("other"));
    let now = Timestamp::now();
    for number in 1..=5 {
        publish(&store, &acme, Timestamp(now.0 + number), number).await;
        publish(&store, &other, now, -number).await;
    }
    let event = |id: i64| Event {
        team: acme.clone(),
        event_id: EventId(id),
        payload: json!({ "number": id }),
        at: Timestamp(now.0 + id),
    };
    let events = |ids: std::ops::RangeInclusive<i64>, has_more| EventsAfter::Events {
        events: ids.map(event).collect(),
        has_more,
    };
    assert_eq!(after(&store, &acme, 0, 500).await, events(1..=5, false));
    assert_eq!(after(&store, &acme, 0, 5).await, events(1..=5, false));
    assert_eq!(after(&store, &acme, 0, 4).await, events(1..=4, true));
    assert_eq!(after(&store, &acme, 3, 500).await, events(4..=5, false));
}

async fn the_answer_tells_ids_from_the_future_and_deleted_events(home: Home) {
    let store = home.open().await;
    let (acme, silent) = (team("acme"), team("silent"));
    for number in 1..=5 {
        publish(&store, &acme, Timestamp::now(), number).await;
    }
    assert!(ids_after(&store, &acme, 5).await.is_empty());
    assert_eq!(after(&store, &acme, 6, 500).await, EventsAfter::Future);
    assert!(ids_after(&store, &silent, 0).await.is_empty());
    assert_eq!(after(&store, &silent, 1, 500).await, EventsAfter::Future);

    home.run("delete from event where event_id <= 2").await;
    for event_id in [0, 1] {
        let answer = after(&store, &acme, event_id, 500).await;
        assert_eq!(answer, EventsAfter::Expired);
    }
    assert_eq!(ids_after(&store, &acme, 2).await, [3, 4, 5]);
    home.run("delete from event").await;
    assert_eq!(after(&store, &acme, 4, 500).await, EventsAfter::Expired);
    assert!(ids_after(&store, &acme, 5).await.is_empty());
}

async fn old_events_are_deleted_and_ids_continue(home: Home) {
    let store = home.open().await;
    let (acme, other) = (team("acme"), team("other"));
    for number in 1..=3 {
        publish(&store, &acme, hours_ago(7 * 24 + 1), number).await;
        publish(&store, &other, hours_ago(7 * 24 + 1), number).await;
    }
    for number in 4..=5 {
        publish(&store, &acme, hours_ago(7 * 24 - 1), number).await;
    }
    close(store).await;

    let store = home.open().await;
    until_kept(&home, 2).await;
    assert_eq!(after(&store, &acme, 2, 500).await, EventsAfter::Expired);
    assert_eq!(ids_after(&store, &acme, 3).await, [4, 5]);
    assert_eq!(after(&store, &other, 0, 500).await, EventsAfter::Expired);
    for team in [&acme, &other] {
        publish(&store, team, Timestamp::now(), 6).await;
    }
    assert_eq!(ids_after(&store, &acme, 3).await, [4, 5, 6]);
    assert_eq!(ids_after(&store, &other, 3).await, [4]);
}

async fn a_young_event_keeps_the_later_ones(home: Home) {
    let store = home.open().await;
    let acme = team("acme");
    for (number, hours) in [(1, 200), (2, 1), (3, 200), (4, 1)] {
        publish(&store, &acme, hours_ago(hours), number).await;
    }
    close(store).await;
    let store = home.open().await;
    until_kept(&home, 3).await;
    assert_eq!(ids_after(&store, &acme, 1).await, [2, 3, 4]);
}

async fn deleting_many_events_does_not_delay_appends(home: Home) {
    const OLD: i64 = 20_000;
    const TEAMS: i64 = 2_100;
    let store = home.open().await;
    let document = create(&store, "a").await;
    close(store).await;
    let old = home.time(hours_ago(8 * 24));
    home.run(&format!(
        "delete from event;
         delete from event_counter;
         insert into event (team, event_id, payload, at)
         with recursive number (n) as (select 1 union all select n + 1 from number where n < {OLD})
         select 'acme', n, '{{}}', {old} from number;
         insert into event_counter values ('acme', {OLD});
         insert into event_counter (team, head_event_id)
         with recursive number (n) as (select 1 union all select n + 1 from number where n < {TEAMS})
         select 'team-' || n, 1 from number;
         insert into event (team, event_id, payload, at)
         select team, 1, '{{}}', {old} from event_counter where team = 'team-{TEAMS}'"
    ))
    .await;

    let store = home.open().await;
    let (mut longest, mut appends) = (Duration::ZERO, 0);
    while home.number("select count(*) from event").await > 0 {
        let began = Instant::now();
        append(&store, document, &[b"x"]).await.unwrap().unwrap();
        longest = longest.max(began.elapsed());
        appends += 1;
    }
    println!("{appends} appends, the longest {longest:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let acme = team("acme");
    assert!(ids_after(&store, &acme, OLD).await.is_empty());
    assert_eq!(after(&store, &acme, OLD - 1, 1).await, EventsAfter::Expired);
}
