//! team: a comment reaches the members of a crowded room, and its activity the whole team.

use std::{cell::RefCell, rc::Rc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Interval, Plan, Stage, Target, figure};
use crate::{
    client::{ANSWER_TIMEOUT, Client, Listener},
    histogram::Histogram,
    meter::Meter,
    report::Row,
    wire::Kind,
};

/// The pause between two comments, in which the clients read what they were sent.
const PAUSE: Duration = Duration::from_millis(500);

/// The arrivals of one kind of event.
#[derive(Default)]
struct Arrivals {
    took: Histogram,
    /// How many clients have received the event of the last comment.
    received: usize,
}

/// What all clients have received.
#[derive(Default)]
struct Counts {
    /// When the last comment was sent.
    sent: u64,
    comments: Arrivals,
    activities: Arrivals,
}

/// Counts the events that arrive at one client.
struct Ear {
    counts: Rc<RefCell<Counts>>,
    meter: Rc<Meter>,
}

impl Listener for Ear {
    fn data(&self, _: Kind, _: &[u8]) {}

    fn caught_up(&self, _: &[u8]) {}

    fn known(&self) -> Vec<u8> {
        crate::yjs::NOTHING_KNOWN.to_vec()
    }

    fn event(&self, json: &str) {
        if self.meter.is_on() {
            self.counts.borrow_mut().event(json, self.meter.now());
        }
    }
}

impl Counts {
    fn event(&mut self, json: &str, now: u64) {
        let arrivals = if json.starts_with(r#"["comment_created""#) {
            &mut self.comments
        } else if json.starts_with(r#"["activity""#) {
            &mut self.activities
        } else {
            return;
        };
        arrivals.took.add(now.saturating_sub(self.sent));
        arrivals.received += 1;
    }
}

/// Runs the scenario once; a relay has no teams.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    if target != Target::Server {
        return Ok(Vec::new());
    }
    let people = plan.scaled(2_000, 30);
    let stage = Stage::new(plan, target)?;
    let room = stage.room_name(0);
    let counts = Rc::<RefCell<Counts>>::default();
    let mut clients = Vec::new();
    for number in 0..people {
        let ear = Ear {
            counts: Rc::clone(&counts),
            meter: Rc::clone(&stage.meter),
        };
        let user = format!("u{number}");
        let client =
            Client::connect(&stage.address, &user, &room, Rc::new(ear), &stage.meter).await?;
        client.join().await?;
        clients.push(client);
    }
    let begun = json!({ "room": room, "body": "What about this?" });
    let thread = clients[0].ask("thread_create", &begun).await?;
    let thread: Value = serde_json::from_str(&thread.json)?;
    let thread = &thread[0]["thread"]["id"];
    ensure!(thread.is_string(), "a thread without an id");
    tokio::time::sleep(plan.warm_up).await;

    stage.meter.start();
    let interval = Interval::begin(&stage.process)?;
    let began = Instant::now();
    let mut comments = 0;
    while began.elapsed() < plan.measured {
        comment(&clients[0], thread, &stage, &counts, people).await?;
        comments += 1;
        tokio::time::sleep(PAUSE).await;
    }
    let used = interval.end(&stage.process)?;
    stage.meter.stop();
    clients.iter().for_each(|client| client.close());

    let counts = counts.borrow();
    let ms = |arrivals: &Arrivals, share| {
        let took = arrivals.took.quantile(share);
        took.map(|took| took.as_secs_f64() * 1e3)
    };
    let cpu_ms = used.cpu.as_secs_f64() * 1e3 / comments as f64;
    let figures = [
        figure("comment p50 ms", 1, ms(&counts.comments, 0.5)),
        figure("comment p99 ms", 1, ms(&counts.comments, 0.99)),
        figure("comment last ms", 1, ms(&counts.comments, 1.0)),
        figure("activity p50 ms", 1, ms(&counts.activities, 0.5)),
        figure("activity p99 ms", 1, ms(&counts.activities, 0.99)),
        figure("activity last ms", 1, ms(&counts.activities, 1.0)),
        figure("CPU ms per comment", 1, Some(cpu_ms)),
        figure("generator %", 0, Some(used.own_percent)),
    ];
    let verdict = stage.end(target, Ok(()))?;
    Ok(vec![Row {
        scenario: "team",
        target: target.name(),
        variant: format!("{people} clients"),
        figures: figures.into_iter().flatten().collect(),
        verdict,
    }])
}

/// Has `author` write a comment, and waits until all people have received both of its events.
async fn comment(
    author: &Client,
    thread: &Value,
    stage: &Stage,
    counts: &RefCell<Counts>,
    people: usize,
) -> Result<()> {
    {
        let mut counts = counts.borrow_mut();
        counts.sent = stage.meter.now();
        counts.comments.received = 0;
        counts.activities.received = 0;
    }
    let written = json!({ "thread_id": thread, "body": "I would write it in another way." });
    author.ask("comment_create", &written).await?;
    let arrived = async {
        loop {
            let (comments, activities) = {
                let counts = counts.borrow();
                (counts.comments.received, counts.activities.received)
            };
            if (comments, activities) == (people, people) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let arrived = tokio::time::timeout(ANSWER_TIMEOUT, arrived).await;
    arrived.with_context(|| {
        let counts = counts.borrow();
        format!(
            "a comment has reached {} and its activity {} of {people} people",
            counts.comments.received, counts.activities.received
        )
    })
}
