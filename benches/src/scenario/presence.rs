//! presence: many cursors in one document.

use std::rc::Rc;

use anyhow::Result;

use super::{Interval, Plan, Stage, Target, figure};
use crate::{
    pace,
    report::{CPU_PER_MILLION, Row},
};

/// The moves of each cursor in a second.
const MOVES_PER_SECOND: f64 = 5.0;

/// A relay sends every move to every client: with more clients than this it is overloaded, and its
/// figures mean nothing.
const FLOOR_CLIENTS_MAX: usize = 100;

/// Runs the scenario once, with few, many and very many clients.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    let sizes: &[usize] = if plan.smoke { &[30] } else { &[100, 500, 1500] };
    let mut rows = Vec::new();
    for clients in sizes {
        if target.is_server() || *clients <= FLOOR_CLIENTS_MAX {
            rows.push(with(plan, target, *clients).await?);
        }
    }
    Ok(rows)
}

async fn with(plan: &Plan, target: Target, clients: usize) -> Result<Row> {
    let stage = Stage::new(plan, target)?;
    let rooms = stage.rooms(0..1, clients).await?;
    let before = stage.process.memory()?;
    let room = Rc::clone(&rooms[0]);
    let pace = pace::steady(clients, MOVES_PER_SECOND, move |person| {
        room.move_cursor(person)
    });
    tokio::time::sleep(plan.warm_up).await;
    let interval = Interval::begin(&stage.process)?;
    stage.meter.start();
    tokio::time::sleep(plan.measured).await;
    let used = interval.end(&stage.process)?;
    stage.meter.stop();
    pace.abort();
    stage.settle(&rooms).await;
    let peak = stage.process.memory()?.peak;
    rooms.iter().for_each(|room| room.close());

    let meter = Rc::clone(&stage.meter);
    let verdict = stage.end(target, Ok(()))?;
    let (_, moves) = meter.deliveries();
    let moves = moves as f64;
    let states = meter.states() as f64;
    let figures = [
        figure("moves/s", 0, Some(moves / used.wall.as_secs_f64())),
        figure("cursors sent/s", 0, Some(states / used.wall.as_secs_f64())),
        figure(
            CPU_PER_MILLION,
            2,
            Some(used.cpu.as_secs_f64() / moves * 1e6),
        ),
        figure("p50 ms", 2, meter.latency_ms(0.5)),
        figure("p95 ms", 2, meter.latency_ms(0.95)),
        figure("p99 ms", 2, meter.latency_ms(0.99)),
        figure("CPU %", 0, Some(used.cpu_percent())),
        figure("MiB before", 1, Some(before.resident)),
        figure("MiB peak", 1, Some(peak)),
        figure("generator %", 0, Some(used.own_percent)),
        figure("resyncs", 0, Some(meter.resyncs() as f64)),
    ];
    Ok(Row {
        scenario: "presence",
        target: target.name(),
        variant: format!("{clients} clients"),
        figures: figures.into_iter().flatten().collect(),
        verdict,
    })
}
