//! typing, room, crowd, many: letters that are delivered to the other members; alone, pair, ten: how long their acks take.

use std::{rc::Rc, time::Duration};

use anyhow::Result;

use super::{Interval, Plan, Stage, Target, figure};
use crate::{
    client::Client,
    pace, replica,
    report::{CPU_PER_MILLION, Row},
    room::Room,
};

/// The rate of the letters.
pub enum Load {
    /// The letters a second of each member, each with a move of the cursor.
    Steady(f64),
    /// The number of updates of each member that are under way.
    ClosedLoop(usize),
}

/// The parameters of one of these scenarios.
pub struct Shape {
    scenario: &'static str,
    rooms: usize,
    members: usize,
    load: Load,
}

/// 25 documents of 4 people who type and see one another's cursors.
pub fn typing(plan: &Plan) -> Shape {
    Shape {
        scenario: "typing",
        rooms: plan.scaled(25, 5),
        members: 4,
        load: Load::Steady(10.0),
    }
}

/// So many people in one document type, to measure how long an ack takes.
fn typists(scenario: &'static str, members: usize) -> Shape {
    Shape {
        scenario,
        rooms: 1,
        members,
        load: Load::Steady(10.0),
    }
}

/// One person types alone.
pub fn alone() -> Shape {
    typists("alone", 1)
}

/// Two people type in one document.
pub fn pair() -> Shape {
    typists("pair", 2)
}

/// Ten people type in one document.
pub fn ten() -> Shape {
    typists("ten", 10)
}

/// 5 documents of 20.
pub fn room(plan: &Plan) -> Shape {
    Shape {
        scenario: "room",
        rooms: plan.scaled(5, 1),
        members: plan.scaled(20, 10),
        load: Load::Steady(5.0),
    }
}

/// One document under full load.
pub fn crowd(plan: &Plan) -> Shape {
    Shape {
        scenario: "crowd",
        rooms: 1,
        members: plan.scaled(50, 10),
        load: Load::ClosedLoop(4),
    }
}

/// Many documents under full load.
pub fn many(plan: &Plan) -> Shape {
    Shape {
        scenario: "many",
        rooms: plan.scaled(50, 5),
        members: 4,
        load: Load::ClosedLoop(4),
    }
}

/// Runs `shape` once.
pub async fn run(plan: &Plan, target: Target, shape: &Shape) -> Result<Vec<Row>> {
    let stage = Stage::new(plan, target)?;
    let rooms = stage.rooms(0..shape.rooms, shape.members).await?;
    let before = stage.process.memory()?;
    let pace = match shape.load {
        Load::Steady(rate) => {
            let all = rooms.clone();
            let act = move |person: usize| {
                let (room, member) = (&all[person % all.len()], person / all.len());
                room.type_letter(member);
                room.move_cursor(member);
            };
            Some(pace::steady(shape.rooms * shape.members, rate, act))
        }
        Load::ClosedLoop(window) => {
            rooms.iter().for_each(|room| room.open_loop(window));
            None
        }
    };
    tokio::time::sleep(plan.warm_up).await;
    let interval = Interval::begin(&stage.process)?;
    stage.meter.start();
    if plan.sabotage {
        rooms[0].sabotage();
    }
    tokio::time::sleep(plan.measured).await;
    let used = interval.end(&stage.process)?;
    stage.meter.stop();
    if let Some(pace) = pace {
        pace.abort();
    }
    rooms.iter().for_each(|room| room.close_loop());
    stage.settle(&rooms).await;
    let after = stage.process.memory()?;
    let mut late = Vec::new();
    if target.is_server() {
        for room in &rooms {
            late.push(late_joiner(&stage, room).await?);
        }
    }
    rooms.iter().for_each(|room| room.close());
    tokio::time::sleep(Duration::from_millis(50)).await;

    let meter = Rc::clone(&stage.meter);
    let logs: Vec<_> = rooms.iter().map(|room| room.take_logs()).collect();
    let verdict = stage.end(target, replica::converged(&logs, &late))?;
    let (updates, cursors) = meter.deliveries();
    let deliveries = (updates + cursors) as f64;
    let per_million = (deliveries > 0.0).then(|| used.cpu.as_secs_f64() / deliveries * 1e6);
    let figures = [
        figure(
            "deliveries/s",
            0,
            Some(deliveries / used.wall.as_secs_f64()),
        ),
        figure(CPU_PER_MILLION, 2, per_million),
        figure("p50 ms", 2, meter.latency_ms(0.5)),
        figure("p95 ms", 2, meter.latency_ms(0.95)),
        figure("p99 ms", 2, meter.latency_ms(0.99)),
        figure("ack p50 ms", 1, meter.saved_ms(0.5)),
        figure("ack p99 ms", 1, meter.saved_ms(0.99)),
        figure("MiB before", 1, Some(before.resident)),
        figure("MiB peak", 1, Some(after.peak)),
        figure("CPU %", 0, Some(used.cpu_percent())),
        figure("generator %", 0, Some(used.own_percent)),
        figure("resyncs", 0, Some(meter.resyncs() as f64)),
    ];
    Ok(vec![Row {
        scenario: shape.scenario,
        target: target.name(),
        variant: String::new(),
        figures: figures.into_iter().flatten().collect(),
        verdict,
    }])
}

/// The document that a client receives that joins at the end.
async fn late_joiner(stage: &Stage, room: &Rc<Room>) -> Result<Option<Vec<u8>>> {
    let deaf = Rc::new(super::Deaf);
    let client = Client::connect(&stage.address, "late", room.name(), deaf, &stage.meter).await?;
    let answer = client.join().await?;
    client.close();
    Ok(answer.field("update")?.map(Vec::from))
}
