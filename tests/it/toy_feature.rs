//! A feature on the store's transactions: after a kill between any two steps, everything is written or
//! nothing.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use realtime_server::{
    bus::{EventBus, Published, Subscriber},
    config::{Limits, Timing},
    error::Error,
    id::{DocumentKey, RoomName, Team, Timestamp, UserId},
    metrics::Metrics,
    session::{Session, Sessions},
    store::{JournalOptions, Store},
};
use tokio::sync::mpsc;

use crate::rooms::claims;
use crate::store::{Home, close, on_both, supervisor, young};

mod toys;

on_both!(
    the_team_and_the_room_are_told_of_a_toy,
    a_process_that_aborts_at_a_step_writes_all_or_nothing,
    a_process_that_is_killed_at_any_time_writes_all_or_nothing,
);

/// The steps of creating a toy, in their order. It is durable from `committed` on.
const STEPS: [&str; 9] = [
    "asked",
    "begun",
    "toy",
    "activity",
    "event",
    "committed",
    "room told",
    "team told",
    "answered",
];

/// Aborts the process if this is the step to abort at.
fn step(name: &str) {
    assert!(STEPS.contains(&name));
    if setting("TOY_ABORT_AT").is_some_and(|at| at == name) {
        std::process::abort();
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn create_tables(home: &Home) {
    close(home.open().await).await;
    let time_type = if home.is_sqlite() {
        "integer"
    } else {
        "timestamptz"
    };
    home.run(&format!(
        "create table toy (name text primary key, team text not null, made_at {time_type} not null);
         create table toy_activity
         (user_id text not null, verb text not null, subject text not null, at {time_type} not null)"
    ))
    .await;
}

fn owner() -> toys::Owner {
    toys::Owner {
        team: Team::parse("acme").unwrap(),
        room: RoomName::parse("nursery").unwrap(),
        user: UserId::parse("ana").unwrap(),
    }
}

/// A door to a room and to a team, which passes on what it is told.
struct TestDoor {
    room: mpsc::UnboundedSender<Arc<Published>>,
    team: mpsc::UnboundedSender<Arc<Published>>,
}

impl Subscriber for TestDoor {
    fn tell_room(&self, room: &DocumentKey, event: &Arc<Published>) {
        step("committed");
        assert_eq!(room.room, owner().room);
        self.room.send(Arc::clone(event)).unwrap();
        step("room told");
    }

    fn tell_sessions(&self, sessions: &[Arc<Session>], event: &Arc<Published>) {
        assert_eq!(sessions.len(), 1, "one of the team is connected");
        self.team.send(Arc::clone(event)).unwrap();
        step("team told");
    }
}

/// What a room and a team hear.
struct Heard {
    room: mpsc::UnboundedReceiver<Arc<Published>>,
    team: mpsc::UnboundedReceiver<Arc<Published>>,
    _connected: Arc<Session>,
    _bus: EventBus,
}

/// Has a room and a team told of what `store` commits, with one of the team connected.
fn listen(store: &Store) -> Heard {
    let limits = Limits::default();
    let sessions = Sessions::new(limits, Timing::default(), supervisor());
    let bus = EventBus::new(sessions.clone(), supervisor());
    let (to_room, room) = mpsc::unbounded_channel();
    let (to_team, team) = mpsc::unbounded_channel();
    bus.subscribe(Arc::new(TestDoor {
        room: to_room,
        team: to_team,
    }));
    bus.attach(store).unwrap();
    sessions.admit(claims("another team", "ana")).unwrap();
    Heard {
        room,
        team,
        _connected: sessions.admit(claims("acme", "ana")).unwrap(),
        _bus: bus,
    }
}

async fn the_team_and_the_room_are_told_of_a_toy(home: Home) {
    create_tables(&home).await;
    let store = home.open().await;
    let mut heard = listen(&store);
    let create = |name| toys::create(&store, owner_of_all(), name, young(7));
    create("bear").await.unwrap();
    let taken = create("bear").await;
    assert!(matches!(taken, Err(Error::Conflict { .. })), "{taken:?}");
    create("kite").await.unwrap();
    for heard in [&mut heard.room, &mut heard.team] {
        for (id, name) in [(1, "bear"), (2, "kite")] {
            let made = heard.try_recv().unwrap();
            assert_eq!(
                (made.event_id.expect("an id").0, &made.event.body["name"]),
                (id, &name.into())
            );
        }
        assert!(heard.try_recv().is_err());
    }
    assert_eq!(parts(&home, "name").await, [2, 2, 2]);
}

fn owner_of_all() -> &'static toys::Owner {
    static OWNER: std::sync::LazyLock<toys::Owner> = std::sync::LazyLock::new(owner);
    &OWNER
}

/// The numbers of toys, activities and events of the toy `name`, which is SQL, in one consistent
/// view.
async fn parts(home: &Home, name: &str) -> [i64; 3] {
    let of_event = "payload -> 'body' ->> 'name'";
    let seen = home
        .number(&format!(
            "select (select count(*) from toy where name = {name}) * 1000000
                  + (select count(*) from toy_activity where subject = {subject}) * 1000
                  + (select count(*) from event where {of_event} = {event})",
            subject = if name == "name" { "subject" } else { name },
            event = if name == "name" { of_event } else { name },
        ))
        .await;
    [seen / 1_000_000, seen / 1000 % 1000, seen % 1000]
}

/// Starts a process that creates `toys` toys, called `name` with a number, and aborts at the step
/// `abort_at`.
fn spawn(home: &Home, name: &str, toys: u64, abort_at: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["toy_feature::child", "--exact", "--ignored", "--nocapture"])
        .env("TOY_URL", home.url())
        .env("TOY_NAME", name)
        .env("TOY_COUNT", toys.to_string())
        .env("TOY_ABORT_AT", abort_at)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that other tests start"]
async fn child() {
    let (Some(url), Some(name)) = (setting("TOY_URL"), setting("TOY_NAME")) else {
        return;
    };
    let count: u64 = setting("TOY_COUNT").unwrap().parse().unwrap();
    let journal = JournalOptions {
        bytes_max: 1 << 20,
        commit_interval: Duration::ZERO..=Duration::from_millis(50),
        history: Duration::ZERO,
    };
    let store = Store::open(&url, journal, Metrics::new(), &supervisor())
        .await
        .unwrap();
    let mut heard = listen(&store);
    for number in 0..count {
        let name = format!("{name}{number}");
        toys::create(&store, owner_of_all(), &name, Timestamp::now())
            .await
            .unwrap();
        let made = heard.team.try_recv().unwrap();
        println!("told {}", made.event_id.expect("an id").0);
        step("answered");
    }
}

async fn a_process_that_aborts_at_a_step_writes_all_or_nothing(home: Home) {
    create_tables(&home).await;
    let committed = STEPS.iter().position(|step| *step == "committed").unwrap();
    let mut durable = 0;
    for (index, at) in STEPS.iter().enumerate() {
        let output = spawn(&home, &format!("toy-{index}-"), 1, at)
            .wait_with_output()
            .unwrap();
        assert!(!output.status.success(), "{at}: the process aborts");
        let expected = i64::from(index >= committed);
        let name = format!("'toy-{index}-0'");
        assert_eq!(parts(&home, &name).await, [expected; 3], "{at}");
        durable += expected;
        let counted = home.number("select coalesce(max(head_event_id), 0) from event_counter");
        assert_eq!(counted.await, durable, "{at}: an id was lost");
    }
    let unaborted = spawn(&home, "last", 1, "never").wait().unwrap();
    assert!(unaborted.success());
    assert_eq!(parts(&home, "'last0'").await, [1; 3]);
}

async fn a_process_that_is_killed_at_any_time_writes_all_or_nothing(home: Home) {
    create_tables(&home).await;
    let mut told = HashSet::new();
    for round in 0..12_u64 {
        let mut child = spawn(&home, &format!("toy-{round}-"), 100_000, "never");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next_told = || {
            let line = lines.next()?.unwrap();
            let (_, id) = line.split_once("told ").unwrap_or_default();
            Some(id.parse::<i64>().ok())
        };
        // It has begun once it has told of an event.
        while next_told().unwrap().is_none_or(|id| !told.insert(id)) {}
        std::thread::sleep(Duration::from_micros(random_below(20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(id) = next_told() {
            told.extend(id);
        }
        let [toys, activities, events] = parts(&home, "name").await;
        assert_eq!((toys, activities), (events, events), "round {round}");
    }
    let events = home.number("select count(*) from event").await;
    let newest = home.number("select max(event_id) from event").await;
    let head = home.number("select head_event_id from event_counter").await;
    assert_eq!((newest, head), (events, events), "there is no gap");
    assert!(told.iter().all(|id| (1..=events).contains(id)));
    println!("{events} durable, {} told", told.len());
}

/// A random number below `limit`.
fn random_below(limit: u64) -> u64 {
    static SALT: AtomicU64 = AtomicU64::new(0);
    let salt = SALT.fetch_add(1, Ordering::Relaxed);
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), salt) % limit
}
