//! open: clients open a document with a long history that is in memory.

use std::{rc::Rc, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::{Interval, Plan, Stage, Target, Used, figure};
use crate::{client::Client, histogram::Histogram, replica, report::Row};

/// The times of one opening.
struct Opened {
    /// From the TCP connect to the document.
    whole: Duration,
    /// From the request to join to the document.
    join: Duration,
    update: Bytes,
}

/// Runs the scenario once; a relay has no documents.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    if target != Target::Server {
        return Ok(Vec::new());
    }
    let people = plan.scaled(50, 10);
    let replayed = plan.replayed()?;
    let stage = Stage::new(plan, target)?;
    let room = stage.room_name(0);
    let deaf = Rc::new(super::Deaf);
    let keeper = Client::connect(&stage.address, "keeper", &room, deaf, &stage.meter).await?;
    keeper.join().await?;
    keeper.send_update(replayed.state.clone(), stage.meter.now());
    stage.acknowledged(&keeper).await?;
    tokio::time::sleep(plan.warm_up).await;
    for number in 0..plan.scaled(10, 2) {
        open(&stage, &room, number).await?;
    }
    let loaded = stage.process.memory()?;

    let interval = Interval::begin(&stage.process)?;
    let mut in_turn = Vec::new();
    for number in 0..people {
        in_turn.push(open(&stage, &room, number).await?);
    }
    let turn_used = interval.end(&stage.process)?;

    tokio::time::sleep(Duration::from_millis(200)).await;
    let interval = Interval::begin(&stage.process)?;
    let at_once = try_join_all((0..people).map(|number| open(&stage, &room, number))).await?;
    let at_once_used = interval.end(&stage.process)?;
    let peak = stage.process.memory()?.peak;
    keeper.close();

    let checked = same(in_turn.iter().chain(&at_once), &replayed.state);
    let verdict = stage.end(target, checked)?;
    let row = |variant: &str, opened: &[Opened], used: &Used| {
        let quantile = |share, part: fn(&Opened) -> Duration| {
            let mut histogram = Histogram::default();
            for opened in opened {
                histogram.add(part(opened).as_nanos() as u64);
            }
            histogram
                .quantile(share)
                .map(|value| value.as_secs_f64() * 1e3)
        };
        let per_open = used.cpu.as_secs_f64() * 1e3 / opened.len() as f64;
        let figures = [
            figure("join p50 ms", 2, quantile(0.5, |opened| opened.join)),
            figure("join p99 ms", 2, quantile(0.99, |opened| opened.join)),
            figure(
                "with connecting p50 ms",
                2,
                quantile(0.5, |opened| opened.whole),
            ),
            figure("p99 ms", 2, quantile(0.99, |opened| opened.whole)),
            figure("CPU ms per opening", 2, Some(per_open)),
            figure("MiB loaded", 1, Some(loaded.resident)),
            figure("MiB peak", 1, Some(peak)),
            figure("generator %", 0, Some(used.own_percent)),
        ];
        Row {
            scenario: "open",
            target: target.name(),
            variant: variant.to_owned(),
            figures: figures.into_iter().flatten().collect(),
            verdict: verdict.clone(),
        }
    };
    Ok(vec![
        row("one by one", &in_turn, &turn_used),
        row("at once", &at_once, &at_once_used),
    ])
}

async fn open(stage: &Stage, room: &str, number: usize) -> Result<Opened> {
    let began = Instant::now();
    let user = format!("u{number}");
    let deaf = Rc::new(super::Deaf);
    let client = Client::connect(&stage.address, &user, room, deaf, &stage.meter).await?;
    let connected = Instant::now();
    let answer = client.join().await?;
    let (join, whole) = (connected.elapsed(), began.elapsed());
    client.close();
    let update = answer
        .field("update")?
        .context("a join without the document")?;
    Ok(Opened {
        whole,
        join,
        update,
    })
}

/// Checks that every client received the document; equal bytes are checked only once.
fn same<'a>(opened: impl Iterator<Item = &'a Opened>, state: &[u8]) -> Result<()> {
    let wanted = replica::apply([state].into_iter())?;
    let mut seen: Vec<&[u8]> = Vec::new();
    for opened in opened {
        if !seen.contains(&opened.update.as_ref()) {
            let got = replica::apply([opened.update.as_ref()].into_iter())?;
            ensure!(got == wanted, "the document differs from the written one");
            seen.push(&opened.update);
        }
    }
    Ok(())
}
