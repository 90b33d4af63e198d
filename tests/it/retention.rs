//! What features keep for a time only: it is deleted afterwards, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use std::collections::BTreeSet;

use realtime_server::{
    activity::{self, Activities, NewActivity},
    config::{Limits, Timing},
    id::Timestamp,
    idempotency::{self, RequestKey, once},
    notifications::{Notice, Notifications},
    payload::Payload,
    session::Sessions,
    store::Store,
};
use serde_json::{Value, json};

use crate::{
    rooms::claims,
    store::{Home, ana, close, on_both, supervisor},
};

on_both!(
    old_rows_are_deleted_and_the_number_of_unread_notifications_stays_right,
    a_repeated_request_is_answered_with_the_first_result_for_24_hours,
);

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

async fn old_rows_are_deleted_and_the_number_of_unread_notifications_stays_right(home: Home) {
    let store = home.open().await;
    let sessions = Sessions::new(Limits::default(), Timing::default(), supervisor());
    let notifications = Notifications::new(store.clone(), sessions);
    let activities = Activities::new(store.clone());
    let (now, ben) = (Timestamp::now(), claims("acme", "ben"));
    for (number, days) in [91, 91, 89, 0].into_iter().enumerate() {
        let at = Timestamp(now.0 - days * DAY_MS);
        let title = format!("title {number}");
        let to = BTreeSet::from([ben.user.id.clone(), ana().id]);
        let notice = [Notice {
            to: &to,
            kind: "note",
            subject: &title,
            title: &title,
            body: None,
            room: None,
            thread: None,
            actor: None,
            url: None,
            at,
        }];
        let new = || NewActivity {
            team: &ben.team,
            document: None,
            verb: "noted",
            actor: &ben.user,
            subject: None,
            at,
        };
        let written = store.transact(async |tx| {
            notifications.notify(&tx, &ben.team, &notice).await?;
            activity::record(&tx, new()).await.map(drop)
        });
        written.await.unwrap();
    }
    let mut deleted = 0;
    loop {
        let round = notifications.trim(now).await.unwrap() + activities.trim(now).await.unwrap();
        if round == 0 {
            break;
        }
        deleted += round;
    }
    // Two notifications of each of two people, and two entries.
    assert_eq!(deleted, 6);
    assert_eq!(home.number("select count(*) from notification").await, 4);
    assert_eq!(home.number("select count(*) from activity").await, 2);
    for person in [&ben, &claims("acme", "ana")] {
        assert_eq!(notifications.unread(person).await.unwrap(), 2);
    }
    close(store).await;
}

/// Carries out a request with a key at the time `at`; `result` is what it answers, if it is the first.
async fn request(store: &Store, result: &str, at: Timestamp) -> Value {
    let mut fields = Payload::default();
    fields.set("client_id", "key");
    let key = RequestKey::find(&fields).unwrap();
    let ana = claims("acme", "ana");
    let work = async || Ok(json!(result));
    let answered = store.transact(async |tx| once(&tx, &ana, "note", key.as_ref(), at, work).await);
    answered.await.unwrap()
}

async fn a_repeated_request_is_answered_with_the_first_result_for_24_hours(home: Home) {
    let store = home.open().await;
    let began = Timestamp::now();
    let after = |hours: i64| Timestamp(began.0 + hours * HOUR_MS);
    assert_eq!(request(&store, "first", began).await, "first");
    assert_eq!(idempotency::trim(&store, after(23)).await.unwrap(), 0);
    assert_eq!(request(&store, "second", after(23)).await, "first");
    // It is also too old where it is not deleted yet.
    assert_eq!(request(&store, "third", after(25)).await, "third");
    assert_eq!(idempotency::trim(&store, after(48)).await.unwrap(), 0);
    assert_eq!(idempotency::trim(&store, after(50)).await.unwrap(), 1);
    let keys = "select count(*) from answered_request";
    assert_eq!(home.number(keys).await, 0);
    assert_eq!(request(&store, "fourth", after(50)).await, "fourth");
    close(store).await;
}
