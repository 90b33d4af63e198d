//! people: the messages about who is present in one crowded room.

use std::{cell::Cell, rc::Rc};

use anyhow::Result;
use serde_json::json;

use super::{Interval, Plan, Stage, Target, figure};
use crate::{pace, report::Row};

/// The part of the people who change their status in each second, where people do.
const CHANGES_PER_SECOND: f64 = 0.1;

/// Runs the scenario once; a relay does not know people.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    if target != Target::Server {
        return Ok(Vec::new());
    }
    // Of a team of at most 128 people everybody is told everything.
    let sizes: &[usize] = if plan.smoke { &[30] } else { &[128, 1500] };
    let mut rows = Vec::new();
    for people in sizes {
        rows.extend(with(plan, target, *people).await?);
    }
    Ok(rows)
}

async fn with(plan: &Plan, target: Target, people: usize) -> Result<[Row; 2]> {
    let stage = Stage::new(plan, target)?;
    let rooms = stage.rooms(0..1, people).await?;
    // What is told of those who have joined is told by then.
    tokio::time::sleep(plan.warm_up * 3).await;
    let quiet = measured(plan, &stage, people).await?;

    let room = Rc::clone(&rooms[0]);
    let changes = Cell::new(0_usize);
    let pace = pace::steady(people, CHANGES_PER_SECOND, move |person| {
        let change = changes.get();
        changes.set(change + 1);
        // Everybody is busy and online in turns.
        let status = ["busy", "online"][change / people % 2];
        room.ask_of(person, "presence_update", json!({ "status": status }));
    });
    tokio::time::sleep(plan.warm_up).await;
    let changing = measured(plan, &stage, people).await?;
    pace.abort();
    rooms.iter().for_each(|room| room.close());

    let verdict = stage.end(target, Ok(()))?;
    let row = |what: &str, figures: Vec<_>| Row {
        scenario: "people",
        target: target.name(),
        variant: format!("{people} people, {what}"),
        figures,
        verdict: verdict.clone(),
    };
    Ok([
        row("quiet", quiet),
        row("10 % change each second", changing),
    ])
}

/// Measures what is received for a while.
async fn measured(plan: &Plan, stage: &Stage, people: usize) -> Result<Vec<crate::report::Figure>> {
    let before = stage.meter.bytes();
    let interval = Interval::begin(&stage.process)?;
    stage.meter.start();
    tokio::time::sleep(plan.measured).await;
    stage.meter.stop();
    let used = interval.end(&stage.process)?;
    let bytes = (stage.meter.bytes() - before) as f64;
    let per_receiver = bytes / people as f64 / used.wall.as_secs_f64();
    let figures = [
        figure("bytes/s per receiver", 0, Some(per_receiver)),
        figure("CPU %", 2, Some(used.cpu_percent())),
        figure("generator %", 0, Some(used.own_percent)),
    ];
    Ok(figures.into_iter().flatten().collect())
}
