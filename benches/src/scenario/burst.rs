//! burst: one client sends a long history as fast as possible, and another one receives it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{sync::Notify, time::Instant};

use super::{Interval, Plan, Stage, Target, figure};
use crate::{
    client::{Client, Listener},
    meter::Meter,
    replica::{self, Log},
    report::{CPU_PER_MILLION_UPDATES, Row},
    trace::{Replayed, WRITER},
    wire::Kind,
    yjs,
};

/// The number of updates that are queued at once.
const CHUNK: usize = 512;

/// After this time the run has failed.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);

/// The second client.
struct Receiver {
    meter: Rc<Meter>,
    wanted: u32,
    known: Cell<u32>,
    frames: Cell<u64>,
    log: RefCell<Log>,
    complete: Notify,
    sabotage: Cell<bool>,
}

impl Receiver {
    fn take(&self, bytes: &[u8], strict: bool) {
        if self.sabotage.take() {
            return;
        }
        self.frames.set(self.frames.get() + 1);
        self.log.borrow_mut().add(bytes);
        let read = yjs::spans(bytes, |client, clock, len| {
            let known = self.known.get();
            if client != WRITER || (strict && clock != known) {
                let fault =
                    format!("clock {clock} of client {client} came where {known} was expected");
                self.meter.fault(fault);
            }
            self.known.set(known.max(clock + len));
        });
        if let Err(error) = read {
            self.meter
                .fault(format!("an update that cannot be read: {error:#}"));
        }
        if self.known.get() == self.wanted {
            self.complete.notify_one();
        }
    }
}

impl Listener for Receiver {
    fn data(&self, kind: Kind, bytes: &[u8]) {
        if kind == Kind::Update {
            self.take(bytes, true);
        }
    }

    fn caught_up(&self, update: &[u8]) {
        self.take(update, false);
    }

    fn known(&self) -> Vec<u8> {
        yjs::state_vector(WRITER, &[self.known.get()])
    }
}

/// Runs the scenario once.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    let replayed = plan.replayed()?;
    let stage = Stage::new(plan, target)?;
    let room = stage.room_name(0);
    let receiver = Rc::new(Receiver {
        meter: Rc::clone(&stage.meter),
        wanted: replayed.clocks,
        known: Cell::new(0),
        frames: Cell::new(0),
        log: RefCell::default(),
        complete: Notify::new(),
        sabotage: Cell::new(plan.sabotage),
    });
    let ear: Rc<dyn Listener> = receiver.clone();
    let second = Client::connect(&stage.address, "second", &room, ear, &stage.meter).await?;
    second.join().await?;
    let deaf = Rc::new(super::Deaf);
    let first = Client::connect(&stage.address, "first", &room, deaf, &stage.meter).await?;
    first.join().await?;
    let before = stage.process.memory()?;

    let interval = Interval::begin(&stage.process)?;
    stage.meter.start();
    let began = Instant::now();
    let sending = async {
        for updates in replayed.updates.chunks(CHUNK) {
            for update in updates {
                first.send_update(update.clone(), stage.meter.now());
            }
            first.flushed().await;
        }
        receiver.complete.notified().await;
    };
    tokio::select! {
        () = sending => {}
        () = tokio::time::sleep(RUN_TIMEOUT) => {}
        () = stage.fault() => {}
    }
    // A part that did not end has no figure.
    let delivered = (receiver.known.get() == receiver.wanted).then(|| began.elapsed());
    let mut acknowledged = None;
    if delivered.is_none() {
        let (known, wanted) = (receiver.known.get(), receiver.wanted);
        let fault = format!("the second client has {known} of {wanted} clocks");
        stage.meter.fault(fault);
    } else {
        match stage.acknowledged(&first).await {
            Ok(()) => acknowledged = Some(began.elapsed()),
            Err(error) => stage.meter.fault(format!("{error:#}")),
        }
    }
    let used = interval.end(&stage.process)?;
    stage.meter.stop();
    let peak = stage.process.memory()?.peak;
    let late = match target.is_server() {
        true => {
            let deaf = Rc::new(super::Deaf);
            let late = Client::connect(&stage.address, "late", &room, deaf, &stage.meter).await?;
            let answer = late.join().await?;
            late.close();
            Some(
                answer
                    .field("update")?
                    .context("a join without the document")?,
            )
        }
        false => None,
    };
    first.close();
    second.close();

    let meter = Rc::clone(&stage.meter);
    let checked = same(replayed, &receiver.log.borrow(), late.as_deref());
    let verdict = stage.end(target, checked)?;
    let updates = replayed.updates.len() as f64;
    let per_second = delivered.map(|took| updates / took.as_secs_f64());
    let per_million = acknowledged.map(|_| used.cpu.as_secs_f64() / updates * 1e6);
    let seconds = |took: Option<Duration>| took.map(|took| took.as_secs_f64());
    let figures = [
        figure("updates/s", 0, per_second),
        figure(CPU_PER_MILLION_UPDATES, 2, per_million),
        figure("all delivered s", 2, seconds(delivered)),
        figure("all acknowledged s", 2, seconds(acknowledged)),
        figure("ack p50 ms", 0, meter.saved_ms(0.5)),
        figure("messages received", 0, Some(receiver.frames.get() as f64)),
        figure("MiB before", 1, Some(before.resident)),
        figure("MiB peak", 1, Some(peak)),
        figure("generator %", 0, Some(used.own_percent)),
        figure("resyncs", 0, Some(meter.resyncs() as f64)),
    ];
    Ok(vec![Row {
        scenario: "burst",
        target: target.name(),
        variant: String::new(),
        figures: figures.into_iter().flatten().collect(),
        verdict,
    }])
}

fn same(replayed: &Replayed, log: &Log, late: Option<&[u8]>) -> Result<()> {
    let wanted = replica::apply([replayed.state.as_ref()].into_iter())?;
    let second = replica::apply(log.updates()).context("the second client")?;
    ensure!(
        second == wanted,
        "the second client has a different document"
    );
    if let Some(late) = late {
        let late = replica::apply([late].into_iter()).context("a late joiner")?;
        ensure!(late == wanted, "a late joiner gets a different document");
    }
    Ok(())
}
