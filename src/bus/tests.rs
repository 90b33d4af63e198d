//! Tests of the bus: which sessions and rooms receive an event, and how often.

use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::{
    config::{Limits, Timing},
    id::{EventId, RoomName, Team, Timestamp, UserId},
    metrics::Metrics,
    session::tests::{claims, sessions},
};

/// A subscriber that records each delivery.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Subscriber for Recorder {
    fn tell_room(&self, room: &DocumentKey, event: &Arc<Published>) {
        let (team, room) = (room.team.as_str(), room.room.as_str());
        let delivery = format!("{} to {team}/{room}", event.event_id.expect("an id").0);
        self.0.lock().push(delivery);
    }

    fn tell_sessions(&self, sessions: &[Arc<Session>], event: &Arc<Published>) {
        for session in sessions {
            let claims = session.claims();
            let (team, user) = (claims.team.as_str(), claims.user.id.as_str());
            let delivery = format!("{} to {user} of {team}", event.event_id.expect("an id").0);
            self.0.lock().push(delivery);
        }
    }
}

/// A subscriber that panics.
struct Panicking;

impl Subscriber for Panicking {
    fn tell_sessions(&self, _: &[Arc<Session>], _: &Arc<Published>) {
        panic!("injected");
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a name")
}

fn published(id: i64, to: Vec<Audience>) -> Published {
    Published {
        team: Team::parse("acme").expect("a team"),
        event_id: Some(EventId(id)),
        at: Timestamp(7),
        event: Event::new("happened", to, &json!({ "what": "a test" })).expect("an object"),
    }
}

fn bus_for(sessions: &Sessions) -> (EventBus, Arc<Recorder>) {
    let bus = EventBus::new(sessions.clone(), Supervisor::new(Metrics::new()));
    let recorder = Arc::new(Recorder::default());
    bus.subscribe(Arc::clone(&recorder) as _);
    (bus, recorder)
}

#[test]
fn an_event_is_delivered_to_its_rooms_people_and_team_and_to_no_other_team() {
    let sessions = sessions();
    let _connected = [("acme", "ana"), ("acme", "ben"), ("other", "ana")]
        .map(|(team, user)| sessions.admit(claims(team, user)).expect("admitted"));
    let (bus, recorder) = bus_for(&sessions);
    let ben = UserId::parse("ben").expect("an id");
    bus.deliver(&[published(1, vec![Audience::Room(room("a"))]).into()]);
    bus.deliver(&[published(2, vec![Audience::User(ben)]).into()]);
    bus.deliver(&[published(3, vec![Audience::Team]).into()]);
    let mut deliveries = recorder.0.lock().clone();
    deliveries[2..].sort_unstable();
    let expected = [
        "1 to acme/a",
        "2 to ben of acme",
        "3 to ana of acme",
        "3 to ben of acme",
    ];
    assert_eq!(deliveries, expected);
}

#[test]
fn a_session_in_several_audiences_receives_an_event_once() {
    let sessions = sessions();
    let _connected = sessions.admit(claims("acme", "ana")).expect("admitted");
    let (bus, recorder) = bus_for(&sessions);
    let ana = UserId::parse("ana").expect("an id");
    let to = vec![
        Audience::Team,
        Audience::User(ana.clone()),
        Audience::User(ana),
    ];
    bus.deliver(&[published(1, to).into()]);
    assert_eq!(*recorder.0.lock(), ["1 to ana of acme"]);
}

#[test]
fn only_sessions_that_may_view_a_document_receive_events_about_it() {
    let sessions = sessions();
    let mut stranger = claims("acme", "ben");
    stranger.roles.clear();
    let ana = sessions.admit(claims("acme", "ana")).expect("admitted");
    let _ben = sessions.admit(stranger).expect("admitted");
    let (bus, recorder) = bus_for(&sessions);
    let mut event = published(1, vec![Audience::Team]);
    event.event = event.event.about(&room("secret"));
    bus.deliver(&[event.clone().into()]);
    assert_eq!(*recorder.0.lock(), ["1 to ana of acme"]);
    let mut without = claims("acme", "ana");
    without.roles.clear();
    ana.renew(without).expect("the same person");
    bus.deliver(&[event.into()]);
    assert_eq!(
        recorder.0.lock().len(),
        1,
        "a removed right has an effect at once"
    );
}

#[test]
fn other_subscribers_are_called_after_one_has_panicked() {
    let sessions = sessions();
    let _connected = sessions.admit(claims("acme", "ana")).expect("admitted");
    let metrics = Metrics::new();
    let bus = EventBus::new(sessions, Supervisor::new(metrics.clone()));
    let recorder = Arc::new(Recorder::default());
    bus.subscribe(Arc::new(Panicking));
    bus.subscribe(Arc::clone(&recorder) as _);
    bus.deliver(&[published(1, vec![Audience::Team]).into()]);
    assert_eq!(*recorder.0.lock(), ["1 to ana of acme"]);
    let counted = "realtime_task_panics_total{task=\"delivery\"} 1";
    assert!(metrics.render().lines().any(|line| line == counted));
}

#[test]
fn a_stored_event_is_read_as_it_was_published() {
    let ana = UserId::parse("ana").expect("an id");
    let to = vec![
        Audience::Room(room("a")),
        Audience::User(ana),
        Audience::Team,
    ];
    let mut event = published(1, to);
    event.event = event.event.about(&room("a"));
    let stored = crate::store::Event {
        team: event.team.clone(),
        event_id: event.event_id.expect("an id"),
        payload: serde_json::to_value(&event.event).expect("JSON"),
        at: event.at,
    };
    assert_eq!(Published::read(&stored).expect("an event"), event);
    let foreign = crate::store::Event {
        payload: json!({ "something": "else" }),
        ..stored
    };
    assert!(Published::read(&foreign).is_err());
}

/// Counts how often sessions are sent what is queued for them.
#[derive(Default)]
struct Flushes(Mutex<Vec<usize>>);

impl Subscriber for Flushes {
    fn flush(&self, sessions: &[Arc<Session>]) {
        self.0.lock().push(sessions.len());
    }
}

#[tokio::test(start_paused = true)]
async fn events_for_a_crowd_are_sent_together() {
    let supervisor = Supervisor::new(Metrics::new());
    let sessions = Sessions::new(Limits::default(), Timing::default(), supervisor);
    let admit = |user: usize| sessions.admit(claims("acme", &format!("user-{user}")));
    let mut connected: Vec<_> = (1..CROWD)
        .map(|user| admit(user).expect("admitted"))
        .collect();
    let bus = EventBus::new(sessions.clone(), Supervisor::new(Metrics::new()));
    let flushes = Arc::new(Flushes::default());
    bus.subscribe(Arc::clone(&flushes) as _);
    let deliver = |id| bus.deliver(&[published(id, vec![Audience::Team]).into()]);
    for id in 1..=3 {
        deliver(id);
    }
    assert_eq!(flushes.0.lock().len(), 3, "it is no crowd");

    connected.push(admit(CROWD).expect("admitted"));
    flushes.0.lock().clear();
    for id in 4..=6 {
        deliver(id);
    }
    assert_eq!(*flushes.0.lock(), [CROWD], "the first is sent at once");
    tokio::time::sleep(CROWD_INTERVAL + Duration::from_millis(1)).await;
    assert_eq!(*flushes.0.lock(), [CROWD; 2], "the others together");
    deliver(7);
    assert_eq!(flushes.0.lock().len(), 2, "not twice within the interval");
    tokio::time::sleep(CROWD_INTERVAL * 3).await;
    deliver(8);
    assert_eq!(*flushes.0.lock(), [CROWD; 4]);
}
