//! idle: the cost of a connection that does nothing, or almost nothing.

use std::{rc::Rc, time::Duration};

use anyhow::{Result, ensure};
use nix::sys::resource::{Resource, getrlimit};

use super::{Interval, Plan, Stage, Target, figure};
use crate::{pace, report::Row};

/// Members of each document.
const MEMBERS: usize = 4;

/// One of so many connections is made before those whose memory is measured: by then the server has
/// the code in memory that serves any of them, and the caches that do not grow with their number.
const FIRST: usize = 4;

/// The number of open files besides the connections.
const FILES_BESIDES: u64 = 100;

/// The time in which all clients renew their presence. Stock clients take 15 s.
const RENEWAL: Duration = Duration::from_secs(6);

/// Runs the scenario once.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    let connections = plan.scaled(2000, 100);
    let (open_max, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let needed = connections as u64 + FILES_BESIDES;
    ensure!(
        open_max >= needed,
        "{needed} open files are needed and {open_max} allowed: raise the limit with ulimit -n"
    );
    let stage = Stage::new(plan, target)?;
    let empty = stage.process.memory()?;
    let interval = Interval::begin(&stage.process)?;
    let (count, first) = (connections / MEMBERS, connections / MEMBERS / FIRST);
    let mut rooms = stage.rooms(0..first, MEMBERS).await?;
    let some = stage.process.memory()?;
    rooms.append(&mut stage.rooms(first..count, MEMBERS).await?);
    let joining = interval.end(&stage.process)?;
    tokio::time::sleep(plan.warm_up).await;
    let full = stage.process.memory()?;

    let interval = Interval::begin(&stage.process)?;
    tokio::time::sleep(plan.measured).await;
    let idle = interval.end(&stage.process)?;

    let renewal = if plan.smoke { plan.measured } else { RENEWAL };
    let all = rooms.clone();
    let act = move |person: usize| all[person % all.len()].move_cursor(person / all.len());
    let interval = Interval::begin(&stage.process)?;
    stage.meter.start();
    let pace = pace::steady(connections, 1.0 / renewal.as_secs_f64(), act);
    tokio::time::sleep(renewal).await;
    let renewing = interval.end(&stage.process)?;
    stage.meter.stop();
    pace.abort();
    stage.settle(&rooms).await;
    let peak = stage.process.memory()?.peak;
    rooms.iter().for_each(|room| room.close());

    let meter = Rc::clone(&stage.meter);
    let verdict = stage.end(target, Ok(()))?;
    let measured = (count - first) * MEMBERS;
    let per_connection = (full.resident - some.resident) * 1024.0 / measured as f64;
    let per_join = joining.cpu.as_secs_f64() * 1e3 / connections as f64;
    let figures = [
        figure("KiB per connection", 1, Some(per_connection)),
        figure("MiB empty", 1, Some(empty.resident)),
        figure("MiB full", 1, Some(full.resident)),
        figure("MiB peak", 1, Some(peak)),
        figure("CPU % idle", 2, Some(idle.cpu_percent())),
        figure("CPU % renewing", 2, Some(renewing.cpu_percent())),
        figure("cursor p99 ms", 2, meter.latency_ms(0.99)),
        figure("CPU ms per join", 2, Some(per_join)),
    ];
    Ok(vec![Row {
        scenario: "idle",
        target: target.name(),
        variant: String::new(),
        figures: figures.into_iter().flatten().collect(),
        verdict,
    }])
}
