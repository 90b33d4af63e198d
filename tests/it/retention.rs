//! What features keep for a time only: it is deleted afterwards, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use std::collections::BTreeSet;

use realtime_server::{
    activity::{self, Activities, NewActivity},
    config::{Limits, Timing},
    id::Timestamp,
    notifications::{Notice, Notifications},
    session::Sessions,
};

use crate::{
    rooms::claims,
    store::{Home, ana, close, on_both, supervisor},
};

on_both!(old_rows_are_deleted_and_the_number_of_unread_notifications_stays_right);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn old_rows_are_deleted_and_the_number_of_unread_notifications_stays_right(home: Home) {
    let store = home.open().await;
    let sessions = Sessions::new(Limits::default(), Timing::default(), supervisor());
    let notifications = Notifications::new(store.clone(), sessions);
    let activities = Activities::new(store.clone());
    let (now, ben) = (Timestamp::now(), claims("acme", "ben"));
    for (number, days) in [91, 91, 89, 0].into_iter().enumerate() {
        let at = Timestamp(now.0 - days * DAY_MS);
        let title = format!("title {number}");
        let notice = Notice {
            team: &ben.team,
            kind: "note",
            subject: &title,
            title: &title,
            body: None,
            room: None,
            thread: None,
            actor: None,
            url: None,
            at,
        };
        let new = || NewActivity {
            team: &ben.team,
            document: None,
            verb: "noted",
            actor: &ben.user,
            subject: None,
            at,
        };
        let to = BTreeSet::from([ben.user.id.clone(), ana().id]);
        let written = store.transact(async |tx| {
            notifications.notify(&tx, &to, &notice).await?;
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
