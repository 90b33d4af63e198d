//! Events that a feature publishes, and the clients of a running server that receive them.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use realtime_server::{
    bus::{Audience, Event},
    error::Error,
    id::{RoomName, Team, UserId},
    store::Store,
};
use serde_json::json;

use crate::{
    rooms::written,
    server::{Client, Server},
    store::{Home, young},
};

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

/// Publishes `name` in the team "acme", about the document "nursery".
async fn publish(store: &Store, name: &'static str, to: Vec<Audience>) {
    let team = Team::parse("acme").unwrap();
    let event = Event::new(name, to, &json!({ "room": "nursery" })).unwrap();
    let event = event.about(&room("nursery"));
    let published = store.transact(async |tx| tx.publish(&team, young(7), &event));
    published.await.unwrap();
}

/// How many times `text` has the event `name`. Each time it must have the id `id`.
fn count(text: &str, name: &str, id: u64) -> usize {
    let packet = format!(r#"42["{name}",{{"event_id":{id},"room":"nursery"}}]"#);
    assert_eq!(text.matches(&packet).count(), text.matches(name).count());
    text.matches(&packet).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_sent_once_to_each_client_in_its_audiences_and_to_no_other() {
    let home = Home::sqlite();
    let server = Server::start(home.url()).await;
    let [ana, ben] = ["ana", "ben"].map(|user| server.token(user));
    let in_room = Client::connect_with(&server, &ana).await;
    let second_tab = Client::connect_with(&server, &ana).await;
    let in_team = Client::connect_with(&server, &ben).await;
    let without_view = server.token_of("cleo", "acme", &[("nursery", "none")]);
    let without_view = Client::connect_with(&server, &without_view).await;
    let other_team = server.token_of("ana", "other", &[]);
    let other_team = Client::connect_with(&server, &other_team).await;
    in_room.join("nursery").await;
    other_team.join("nursery").await;

    let everybody = vec![Audience::Room(room("nursery")), Audience::Team];
    publish(&server.store, "toy_made", everybody).await;
    let of_ana = vec![Audience::User(UserId::parse("ana").unwrap())];
    publish(&server.store, "toy_given", of_ana).await;
    publish(
        &server.store,
        "toy_moved",
        vec![Audience::Room(room("nursery"))],
    )
    .await;

    let expected = [
        (&in_room, [1, 1, 1]),
        (&second_tab, [1, 1, 0]),
        (&in_team, [1, 0, 0]),
        (&without_view, [0, 0, 0]),
        (&other_team, [0, 0, 0]),
    ];
    for (at, (client, expected)) in expected.into_iter().enumerate() {
        // The room's task sends the event to its members a moment after the commit.
        let mut text = String::new();
        if expected[2] > 0 {
            text = client.reads("toy_moved").await;
        }
        text.push_str(&client.reads_to_now().await);
        // The first events were the creation of the document and its activity.
        let [made, given, moved] = [("toy_made", 3), ("toy_given", 4), ("toy_moved", 5)]
            .map(|(name, id)| count(&text, name, id));
        assert_eq!([made, given, moved], expected, "client {at}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_receive_an_event_after_the_updates_before_it() {
    let home = Home::sqlite();
    // The room gathers updates for a tick; the event does not wait for the tick.
    let server = Server::start_gathering(home.url()).await;
    let [ana, ben] = [
        Client::connect(&server, "ana").await,
        Client::connect(&server, "ben").await,
    ];
    ana.join("nursery").await;
    ben.join("nursery").await;
    for number in 0..40 {
        ana.edit(
            "nursery",
            &written(100 + number, "text", "a word"),
            number as u32,
        )
        .await;
    }
    publish(
        &server.store,
        "toy_made",
        vec![Audience::Room(room("nursery"))],
    )
    .await;
    let text = ben.reads("toy_made").await;
    let (before, _) = text.split_once("toy_made").unwrap();
    let relayed = before.matches("document_update").count();
    assert!(relayed > 0, "{text}");
    // The last update is acknowledged, so all updates have been relayed.
    ana.reads("4339[").await;
    let after = ben.reads_to_now().await;
    assert_eq!(after.matches("document_update").count(), 0, "{after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_joins_again_receives_the_missed_events_of_the_room_once_and_in_order() {
    let home = Home::sqlite();
    let server = Server::start(home.url()).await;
    let ana = Client::connect(&server, "ana").await;
    ana.join("nursery").await;
    let in_room = || vec![Audience::Room(room("nursery"))];
    publish(&server.store, "toy_seen", in_room()).await;
    ana.reads("toy_seen").await;
    ana.close().await;
    for name in ["toy_a", "toy_b", "toy_c"] {
        publish(&server.store, name, in_room()).await;
    }
    let elsewhere = vec![Audience::Room(room("garden"))];
    publish(&server.store, "toy_elsewhere", elsewhere).await;
    publish(&server.store, "toy_team", vec![Audience::Team]).await;

    let ana = Client::connect(&server, "ana").await;
    let join = r#"421["join_room",{"room":"nursery","since":3}]"#;
    ana.send(join).await;
    // They go on while the client joins.
    let now = tokio::spawn({
        let store = server.store.clone();
        async move {
            for _ in 0..20 {
                publish(&store, "toy_now", vec![Audience::Room(room("nursery"))]).await;
            }
        }
    });
    let mut text = ana.reads("-1[{\"ok\":true").await;
    let before = text.clone();
    now.await.unwrap();
    publish(&server.store, "toy_last", in_room()).await;
    if !text.contains("toy_last") {
        text.push_str(&ana.reads("toy_last").await);
    }
    assert!(before.contains(r#""recovered":true"#), "{before}");
    let (missed, _) = before.split_once("\"recovered\"").unwrap();
    let places = ["toy_a", "toy_b", "toy_c"].map(|name| missed.find(name).unwrap());
    assert!(places.is_sorted(), "{missed}");
    for name in ["toy_seen", "toy_elsewhere", "toy_team"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    let mut ids = Vec::new();
    for event in text.split("42[\"toy_").skip(1) {
        let (_, id) = event.split_once("\"event_id\":").unwrap();
        ids.push(id.split([',', '}']).next().unwrap().parse::<i64>().unwrap());
    }
    // 4 to 6, then 9 to 28, then 29: the ids between them are the room's that is elsewhere and the team's.
    let expected: Vec<i64> = (4..=6).chain(9..=29).collect();
    assert_eq!(ids, expected, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_for_the_events_of_a_room_since_the_future_is_told_that_some_are_missing()
 {
    let home = Home::sqlite();
    let server = Server::start(home.url()).await;
    let ana = Client::connect(&server, "ana").await;
    ana.send(r#"421["join_room",{"room":"nursery","since":999}]"#)
        .await;
    let text = ana.reads("-1[{\"ok\":true").await;
    assert!(text.contains(r#""recovered":false"#), "{text}");
    ana.send(r#"422["join_room",{"room":"nursery","since":"x"}]"#)
        .await;
    let text = ana.reads("432[{\"ok\":false").await;
    assert!(text.contains(r#""field":"since""#), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_failed_transaction_is_not_sent() {
    let home = Home::sqlite();
    let server = Server::start(home.url()).await;
    let ana = Client::connect(&server, "ana").await;
    let team = Team::parse("acme").unwrap();
    let event = Event::new("toy_made", vec![Audience::Team], &json!({})).unwrap();
    let failed: Result<(), Error> = server
        .store
        .transact(async |tx| {
            tx.publish(&team, young(7), &event)?;
            Err(Error::Overloaded)
        })
        .await;
    assert_eq!(failed, Err(Error::Overloaded));
    assert!(!ana.reads_to_now().await.contains("toy_made"));
}
