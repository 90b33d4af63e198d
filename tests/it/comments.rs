//! Threads of comments on both databases: after a kill between any two steps of a change, its rows, its
//! activity, its notifications and its events are all there, or none of them.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use std::{
    io::{BufRead, BufReader},
    pin::Pin,
    process::{Child, Command, Stdio},
    task::{Context, Poll},
    time::Duration,
};

use realtime_server::{
    comments::{Comments, NewComment, NewThread},
    config::{Limits, PrivateAddresses, Timing, Webhook},
    error::Result,
    id::Timestamp,
    idempotency::RequestKey,
    metrics::Metrics,
    notifications::Notifications,
    payload::Payload,
    session::Sessions,
    store::{JournalOptions, Store},
    webhooks::Webhooks,
};
use serde_json::{Value, json};

use crate::rooms::{claims, rooms};
use crate::store::{Home, close, create, on_both, supervisor};

on_both!(
    a_process_that_aborts_between_two_steps_writes_all_or_nothing,
    a_process_that_is_killed_at_any_time_writes_all_or_nothing,
);

/// What the tests count: everything that a change writes.
const COUNTS: [(&str, &str); 8] = [
    ("threads", "select count(*) from thread"),
    ("comments", "select count(*) from comment"),
    // `coalesce` makes a `bigint` of the sum.
    (
        "the counted comments",
        "select cast(coalesce(sum(comments), 0) as bigint) from thread",
    ),
    (
        "activities",
        "select count(*) from activity where verb <> 'created'",
    ),
    (
        "notifications",
        "select cast(coalesce(sum(count), 0) as bigint) from notification",
    ),
    ("events", "select count(*) from event"),
    (
        "answers",
        "select count(*) from answered_request where answer is not null",
    ),
    (
        "messages to the main service",
        "select count(*) from webhook_message",
    ),
];

/// The wait after an attempt to send such a message: longer than the tests.
const RETRY_MS: u64 = 600_000;

type Counts = [i64; COUNTS.len()];

async fn counts(home: &Home) -> Counts {
    let mut counts = Counts::default();
    for (count, (_, sql)) in counts.iter_mut().zip(COUNTS) {
        *count = home.number(sql).await;
    }
    let head = "select coalesce(max(head_event_id), 0) from event_counter";
    assert_eq!(
        home.number(head).await,
        counts[5],
        "an id of an event was lost"
    );
    counts
}

fn payload(fields: Value) -> Payload {
    match fields {
        Value::Object(fields) => Payload::new(fields),
        _ => panic!("an object"),
    }
}

fn comments(store: &Store) -> Comments {
    let sessions = Sessions::new(Limits::default(), Timing::default(), supervisor());
    let notifications = Notifications::new(store.clone(), sessions);
    // Nobody listens there, so that the messages stay in the outbox.
    let nobody = Webhook {
        url: "http://127.0.0.1:9/".to_owned(),
        secrets: vec![vec![7; 32]],
        private_addresses: PrivateAddresses::Allowed,
        retry_ms: RETRY_MS,
    };
    // Fails where another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (metrics, supervisor) = (Metrics::new(), supervisor());
    let webhooks = Webhooks::start(store.clone(), Some(&nobody), &metrics, &supervisor).unwrap();
    Comments::new(store.clone(), notifications, webhooks, rooms(store))
}

async fn create_thread(comments: &Comments, user: &str, key: &str) -> Result<Value> {
    let fields = payload(json!({
        "room": "a", "body": "text", "quote": "quoted", "mentions": ["ben", "cleo"], "client_id": key,
    }));
    let (new, key) = (NewThread::read(&fields)?, RequestKey::find(&fields)?);
    let claims = claims("acme", user);
    comments
        .create_thread(&claims, &new, key, Timestamp::now())
        .await
}

async fn create_comment(comments: &Comments, thread: &str, key: &str) -> Result<Value> {
    let fields = payload(json!({
        "thread_id": thread, "body": "text", "mentions": ["dan"], "client_id": key,
    }));
    let (new, key) = (NewComment::read(&fields)?, RequestKey::find(&fields)?);
    let claims = claims("acme", "ana");
    comments
        .create_comment(&claims, &new, key, Timestamp::now())
        .await
}

/// A future that aborts the process instead of being polled for the n-th time. On a runtime of one
/// thread a transaction is polled at least once after each of its statements, so that each moment
/// between two of them has its n.
struct AbortAt<F> {
    polls_left: u32,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for AbortAt<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.polls_left == 0 {
            std::process::abort();
        }
        self.polls_left -= 1;
        self.work.as_mut().poll(context)
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Starts a process that creates comments in `thread`, or threads where it is empty, each with a key that
/// begins with `key`: `count` of them, and it aborts at the poll `abort_at`.
fn spawn(home: &Home, thread: &str, key: &str, count: u32, abort_at: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["comments::child", "--exact", "--ignored", "--nocapture"])
        .env("COMMENTS_URL", home.url())
        .env("COMMENTS_THREAD", thread)
        .env("COMMENTS_KEY", key)
        .env("COMMENTS_COUNT", count.to_string())
        .env("COMMENTS_ABORT_AT", abort_at.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

// On one thread, a transaction that has sent a statement waits for its reply.
#[tokio::test(flavor = "current_thread")]
#[ignore = "a process that other tests start"]
async fn child() {
    let (Some(url), Some(key)) = (setting("COMMENTS_URL"), setting("COMMENTS_KEY")) else {
        return;
    };
    let number = |name| setting(name).unwrap().parse::<u32>().unwrap();
    let journal = JournalOptions {
        bytes_max: 1 << 20,
        commit_interval: Duration::ZERO..=Duration::from_millis(50),
        history: Duration::ZERO,
    };
    let store = Store::open(&url, journal, Metrics::new(), &supervisor())
        .await
        .unwrap();
    let comments = comments(&store);
    let thread = setting("COMMENTS_THREAD").unwrap();
    for nth in 0..number("COMMENTS_COUNT") {
        let key = format!("{key}-{nth}");
        let work = async {
            match thread.as_str() {
                "" => create_thread(&comments, "ana", &key).await,
                thread => create_comment(&comments, thread, &key).await,
            }
        };
        let polls_left = number("COMMENTS_ABORT_AT");
        let work = Box::pin(work);
        AbortAt { polls_left, work }.await.unwrap();
        println!("created {nth}");
    }
}

/// A document with a thread of Ben; its id.
async fn begin(home: &Home) -> String {
    let store = home.open().await;
    create(&store, "a").await;
    let thread = create_thread(&comments(&store), "ben", "first")
        .await
        .unwrap();
    close(store).await;
    thread["id"].as_str().unwrap().to_owned()
}

async fn a_process_that_aborts_between_two_steps_writes_all_or_nothing(home: Home) {
    let first = begin(&home).await;
    // A thread: Ben and Cleo are notified. A reply to a resolved thread opens it again; Ben, Cleo and
    // Dan are notified. Each notification and each activity has an event, and so have the change
    // itself and the reopening. The main service is told of each comment.
    for (thread, whole) in [
        ("", [1, 1, 1, 1, 2, 4, 1, 1]),
        (&first, [0, 1, 1, 2, 3, 7, 1, 1]),
    ] {
        let mut written = 0;
        for at in 0.. {
            home.run("update thread set resolved = true").await;
            let before = counts(&home).await;
            let key = format!("{thread}{at}");
            let ended = spawn(&home, thread, &key, 1, at)
                .wait_with_output()
                .unwrap();
            let after = counts(&home).await;
            let mut new = after;
            for (new, before) in new.iter_mut().zip(before) {
                *new -= before;
            }
            let names = COUNTS.map(|(name, _)| name);
            assert!(
                new == whole || new == Counts::default(),
                "{at}: {names:?} {new:?}"
            );
            written += u32::from(new == whole);
            if ended.status.success() {
                assert_eq!(new, whole);
                assert!(at > 10, "it was aborted between its steps, {at} times");
                assert!(written > 1, "it was aborted after its commit, too");
                break;
            }
        }
    }
}

async fn a_process_that_is_killed_at_any_time_writes_all_or_nothing(home: Home) {
    begin(&home).await;
    let mut created = 1;
    for round in 0..8_u32 {
        let mut child = spawn(&home, "", &round.to_string(), 100_000, u32::MAX);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || lines.next().map(|line| line.unwrap().contains("created "));
        // It has begun once it has created a thread.
        while !next().unwrap() {}
        created += 1;
        let salt = std::hash::RandomState::new();
        let wait = std::hash::BuildHasher::hash_one(&salt, round) % 40_000;
        std::thread::sleep(Duration::from_micros(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(is_created) = next() {
            created += i64::from(is_created);
        }
        let counts = counts(&home).await;
        let threads = counts[0];
        assert!(threads >= created, "{created} were answered");
        // Ben's own thread notifies Cleo alone.
        let notices = 2 * threads - 1;
        let document = home
            .number("select count(*) from activity where verb = 'created'")
            .await;
        let events = 2 * threads + notices + 2 * document;
        assert_eq!(
            counts,
            [
                threads, threads, threads, threads, notices, events, threads, threads
            ]
        );
    }
}
