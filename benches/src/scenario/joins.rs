//! joins: many clients open a large document at once.

use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::{Deaf, Interval, Plan, Stage, Target, figure};
use crate::{
    client::{ANSWER_TIMEOUT, Client},
    download::{Common, download},
    histogram::Histogram,
    replica,
    report::Row,
    yjs,
};

/// The number of users who wrote the document, in turn.
const WRITERS: u64 = 4;

/// The letters of a paragraph; its position in the document takes a dozen bytes more.
const LETTERS: u32 = 2_000;

/// The paragraphs of one update: about a megabyte, less than the limit of an update.
const PARAGRAPHS_AT_ONCE: usize = 500;

/// Runs the scenario once; a relay has no documents.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    if target != Target::Server {
        return Ok(Vec::new());
    }
    let people = plan.scaled(150, 10);
    let paragraphs = plan.scaled(10_000, 500);
    let updates = yjs::paragraphs(WRITERS, paragraphs, LETTERS, PARAGRAPHS_AT_ONCE);
    let stage = Stage::new(plan, target)?;
    let room = stage.room_name(0);
    let keeper =
        Client::connect(&stage.address, "keeper", &room, Rc::new(Deaf), &stage.meter).await?;
    keeper.join().await?;
    for update in &updates {
        keeper.send_update(update.clone(), stage.meter.now());
        stage.acknowledged(&keeper).await?;
    }
    tokio::time::sleep(plan.warm_up).await;
    let before = stage.process.memory()?;

    let common = Common::default();
    let began = Instant::now();
    let interval = Interval::begin(&stage.process)?;
    let join = async |number: usize| -> Result<f64> {
        let user = format!("u{number}");
        let downloading = download(&stage.address, &user, &room, &common);
        tokio::time::timeout(ANSWER_TIMEOUT, downloading)
            .await
            .context("no document")??;
        Ok(began.elapsed().as_secs_f64())
    };
    let joined = try_join_all((0..people).map(join)).await?;
    let all = began.elapsed();
    let used = interval.end(&stage.process)?;
    let peak = stage.process.memory()?.peak;
    keeper.close();

    let document = common.into_bytes();
    let checked = same(&updates, &document);
    let verdict = stage.end(target, checked)?;
    let mut took = Histogram::default();
    for seconds in &joined {
        took.add((seconds * 1e9) as u64);
    }
    let figures = [
        figure("document MB", 1, Some(document.len() as f64 / 1e6)),
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

/// Checks that `document`, which all clients received, is the one that was written.
fn same(written: &[Vec<u8>], document: &[u8]) -> Result<()> {
    let wanted = replica::apply(written.iter().map(Vec::as_slice))?;
    let got = replica::apply(std::iter::once(document))?;
    ensure!(got == wanted, "the document differs from the written one");
    Ok(())
}
