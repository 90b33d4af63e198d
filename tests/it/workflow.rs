//! Steps of the workflow: after a kill at any time, all of a step is written or nothing, and of steps at
//! once none is lost.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use realtime_server::{
    config::{Limits, Timing, WorkflowTable},
    error::Error,
    id::{RoomName, Timestamp},
    metrics::Metrics,
    notifications::Notifications,
    session::Sessions,
    store::{JournalOptions, Store},
    workflow::{Transition, Workflow},
};

use crate::rooms::claims;
use crate::store::{Home, close, create, on_both, supervisor, webhooks};

on_both!(
    a_process_that_is_killed_at_any_time_writes_all_of_a_step_or_nothing,
    steps_of_several_instances_at_once_are_taken_one_after_the_other,
);

/// The document that is moved; Ana has created it.
const ROOM: &str = "plan";
const KILLS: u32 = 12;

fn workflow(store: &Store) -> Workflow {
    let sessions = Sessions::new(Limits::default(), Timing::default(), supervisor());
    let notifications = Notifications::new(store.clone(), sessions);
    let webhooks = webhooks(store);
    Workflow::new(
        store.clone(),
        notifications,
        webhooks,
        WorkflowTable::default(),
    )
}

/// Moves the document as Ben, an editor.
async fn step(workflow: &Workflow, to: &str) -> Result<(), Error> {
    let transition = Transition {
        room: RoomName::parse(ROOM).unwrap(),
        to: to.to_owned(),
        from: None,
        note: Some("a note".to_owned()),
    };
    let (ben, now) = (claims("acme", "ben"), Timestamp::now());
    let moved = workflow.transition(&ben, &transition, None, now).await;
    moved.map(drop)
}

/// The number of steps that the database holds, in one consistent view: the rows of the history, the
/// entries of the activity, the events of each kind, and what is folded into Ana's notification have to
/// agree, and the status has to be that of the last step.
async fn steps(home: &Home) -> i64 {
    let events =
        |name: &str| format!("(select count(*) from event where payload ->> 'name' = '{name}')");
    let counted = format!(
        "select case when steps = moves and steps = updates and steps = notices and steps = folded
                      and (steps % 2 = 0) = (status = 'draft') then steps else -1 end
         from (select (select count(*) from workflow_step) as steps,
                      (select count(*) from activity where verb = 'moved') as moves,
                      {} as updates, {} as notices,
                      coalesce((select count from notification where user_id = 'ana'), 0) as folded,
                      (select coalesce(status, 'draft') from document) as status) as counted",
        events("workflow_update"),
        events("notification"),
    );
    home.number(&counted).await
}

async fn prepare(home: &Home) {
    let store = home.open().await;
    create(&store, ROOM).await;
    close(store).await;
}

/// Starts a process that moves the document to and fro, and writes a line for each step that was
/// acknowledged.
fn spawn(home: &Home) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["workflow::child", "--exact", "--ignored", "--nocapture"])
        .env("WORKFLOW_URL", home.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that other tests start"]
async fn child() {
    let Ok(url) = std::env::var("WORKFLOW_URL") else {
        return;
    };
    let journal = JournalOptions {
        bytes_max: 1 << 20,
        commit_interval: Duration::ZERO..=Duration::from_millis(50),
        history: Duration::ZERO,
    };
    let opened = Store::open(&url, journal, Metrics::new(), &supervisor()).await;
    let workflow = workflow(&opened.unwrap());
    // Where the process before was killed, the document may be at either status.
    let _ = step(&workflow, "draft").await;
    loop {
        for to in ["in_review", "draft"] {
            step(&workflow, to).await.unwrap();
            println!("moved");
        }
    }
}

async fn a_process_that_is_killed_at_any_time_writes_all_of_a_step_or_nothing(home: Home) {
    prepare(&home).await;
    let mut before = 0;
    for round in 0..KILLS {
        let mut child = spawn(&home);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut moved = lines
            .map(|line| line.unwrap())
            .filter(|line| line.ends_with("moved"));
        moved.next().expect("it has begun");
        let wait = rand::random_range(0..20_000);
        std::thread::sleep(Duration::from_micros(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = 1 + i64::try_from(moved.count()).unwrap();
        let after = steps(&home).await;
        assert!(
            after >= before + acknowledged,
            "round {round}: {after} steps"
        );
        before = after;
    }
}

async fn steps_of_several_instances_at_once_are_taken_one_after_the_other(home: Home) {
    prepare(&home).await;
    let store = home.open().await;
    // Two features that share nothing but the database, as on two instances.
    let instances = [workflow(&store), workflow(&store)];
    for round in 1..=20 {
        let to = if round % 2 == 1 { "in_review" } else { "draft" };
        let [one, other] = &instances;
        let (one, other) = tokio::join!(step(one, to), step(other, to));
        let lost = match (one, other) {
            (Ok(()), Err(lost)) | (Err(lost), Ok(())) => lost,
            both => panic!("one of them wins: {both:?}"),
        };
        let next = if round % 2 == 1 { "draft" } else { "in_review" };
        assert_eq!(lost.allowed(), Some(&[next.to_owned()][..]));
        assert_eq!(steps(&home).await, round);
    }
}
