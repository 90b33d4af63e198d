//! joins: many come at once to a large document.

use std::{cell::OnceCell, rc::Rc};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::{Deaf, Interval, Plan, Stage, Target, figure};
use crate::{client::Client, histogram::Histogram, replica, report::Row, yjs};

/// People who wrote the document, in turn.
const WRITERS: u64 = 4;

/// Letters of a paragraph; its place in the document takes a dozen bytes more.
const LETTERS: u32 = 2_000;

/// Paragraphs in one update: about a megabyte, below what an update may be.
const PARAGRAPHS_AT_ONCE: usize = 500;

/// Runs it once; a floor has no documents.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    if target != Target::Server {
        return Ok(Vec::new());
    }
    let people = plan.scaled(150, 10);
    let paragraphs = plan.scaled(10_000, 500);
    let updates = yjs::paragraphs(WRITERS, paragraphs, LETTERS, PARAGRAPHS_AT_ONCE);
    let stage = Stage::new(plan, target)?;
    let room = stage.room_name(0);
    let keeper = connect(&stage, "keeper", &room).await?;
    keeper.join().await?;
    for update in &updates {
        keeper.send_update(update.clone(), stage.meter.now());
        stage.acknowledged(&keeper).await?;
    }
    tokio::time::sleep(plan.warm_up).await;
    let before = stage.process.memory()?;

    // All get the same bytes or the document is written anew for each: keep what differs.
    let first: OnceCell<Bytes> = OnceCell::new();
    let began = Instant::now();
    let interval = Interval::begin(&stage.process)?;
    let join = async |number: usize| -> Result<(f64, Option<Bytes>)> {
        let client = connect(&stage, &format!("u{number}"), &room).await?;
        let answer = client.join().await?;
        let update = answer
            .field("update")?
            .context("a join without the document")?;
        let took = began.elapsed();
        client.close();
        let differs = *first.get_or_init(|| update.clone()) != update;
        Ok((took.as_secs_f64(), differs.then_some(update)))
    };
    let joined = try_join_all((0..people).map(join)).await?;
    let all = began.elapsed();
    let used = interval.end(&stage.process)?;
    let peak = stage.process.memory()?.peak;
    keeper.close();

    let checked = same(
        &updates,
        first.get(),
        joined.iter().filter_map(|(_, differs)| differs.as_ref()),
    );
    let verdict = stage.end(target, checked)?;
    let mut took = Histogram::default();
    for (seconds, _) in &joined {
        took.add((seconds * 1e9) as u64);
    }
    let bytes = first.get().map(|update| update.len() as f64 / 1e6);
    let figures = [
        figure("document MB", 1, bytes),
        figure(
            "half of them s",
            2,
            took.quantile(0.5).map(|took| took.as_secs_f64()),
        ),
        figure("all s", 2, Some(all.as_secs_f64())),
        figure("CPU s", 2, Some(used.cpu.as_secs_f64())),
        figure("MiB before", 1, Some(before.resident)),
        figure("MiB peak", 1, Some(peak)),
        figure("generator %", 0, Some(used.own_percent)),
    ];
    Ok(vec![Row {
        scenario: "joins",
        target: target.name(),
        variant: format!("{people} clients"),
        figures: figures.into_iter().flatten().collect(),
        verdict,
    }])
}

async fn connect(stage: &Stage, user: &str, room: &str) -> Result<Rc<Client>> {
    Client::connect(&stage.address, user, room, Rc::new(Deaf), &stage.meter).await
}

fn same<'a>(
    written: &[Vec<u8>],
    first: Option<&'a Bytes>,
    others: impl Iterator<Item = &'a Bytes>,
) -> Result<()> {
    let wanted = replica::apply(written.iter().map(Vec::as_slice))?;
    for update in first.into_iter().chain(others) {
        let got = replica::apply([update.as_ref()].into_iter())?;
        ensure!(got == wanted, "another document than was written");
    }
    Ok(())
}
