//! The scenarios, and the code that they share.

use std::{
    cell::OnceCell,
    ops::Range,
    path::PathBuf,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{
    client::{ANSWER_TIMEOUT, Client, Listener},
    connect::Address,
    meter::Meter,
    process::Process,
    report::{Figure, Row},
    room::Room,
    trace::{Replayed, Trace},
    wire::{Kind, Wire},
};

mod burst;
mod fanout;
mod idle;
mod joins;
mod lists;
mod open;
mod people;
mod presence;
mod team;

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 25 documents of 4, everyone types 10 letters a second and moves the cursor with each
    Typing,
    /// one person types in a document, as in typing, to measure the acks
    Alone,
    /// two people
    Pair,
    /// ten people
    Ten,
    /// 5 documents of 20, 5 letters a second each, with cursors
    Room,
    /// one document of 50, 4 updates of each client under way
    Crowd,
    /// 50 documents of 4, 4 updates of each client under way
    Many,
    /// 2000 connections in documents of 4
    Idle,
    /// a document with a long history is opened by 50, one after the other and at once
    Open,
    /// one client sends a long history, one update an edit, until a second has it
    Burst,
    /// 100, 500 and 1500 clients in one document, each moves its cursor 5 times a second
    Presence,
    /// 150 clients open a document of 20 MB at once
    Joins,
    /// first pages of 10,000 threads, 100,000 notifications and 100,000 activities
    Lists,
    /// 2000 clients in one document receive comments
    Team,
    /// the messages about who is present, to 128 and 1500 clients in one document
    People,
}

/// A target of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// the server, with durable acks
    Server,
    /// the server, with clients of y-websocket
    ServerYWebsocket,
    /// the server, with clients of Hocuspocus
    ServerHocuspocus,
    /// the server, with clients of y-socket.io
    ServerYSocketIo,
    /// y-websocket's own server
    YWebsocket,
    /// Hocuspocus' own server
    Hocuspocus,
    /// y-socket.io's own server
    YSocketIo,
    /// a bare relay on socketioxide
    FloorSio,
    /// a bare relay on tokio-tungstenite
    FloorWs,
}

impl Target {
    /// Its name on the command line and in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::ServerYWebsocket => "server-y-websocket",
            Self::ServerHocuspocus => "server-hocuspocus",
            Self::ServerYSocketIo => "server-y-socket-io",
            Self::YWebsocket => "y-websocket",
            Self::Hocuspocus => "hocuspocus",
            Self::YSocketIo => "y-socket-io",
            Self::FloorSio => "floor-sio",
            Self::FloorWs => "floor-ws",
        }
    }

    /// Whether it is this server, whatever its clients.
    pub fn is_server(self) -> bool {
        match self {
            Self::Server
            | Self::ServerYWebsocket
            | Self::ServerHocuspocus
            | Self::ServerYSocketIo => true,
            Self::YWebsocket
            | Self::Hocuspocus
            | Self::YSocketIo
            | Self::FloorSio
            | Self::FloorWs => false,
        }
    }

    /// The protocol of its clients.
    fn wire(self) -> Wire {
        match self {
            Self::Server | Self::FloorSio => Wire::SocketIo,
            Self::ServerYWebsocket | Self::YWebsocket => Wire::YWebsocket,
            Self::ServerHocuspocus | Self::Hocuspocus => Wire::Hocuspocus,
            Self::ServerYSocketIo | Self::YSocketIo => Wire::YSocketIo,
            Self::FloorWs => Wire::Bare,
        }
    }
}

/// The parameters of the measurement.
pub struct Plan {
    /// The server's binary.
    pub server: PathBuf,
    /// Its database; a new one for each scenario without it.
    pub database: Option<String>,
    /// The recorded history.
    pub trace: PathBuf,
    /// How long a load is measured.
    pub measured: Duration,
    /// How long the same load runs before that.
    pub warm_up: Duration,
    /// Whether everything runs at a small scale.
    pub smoke: bool,
    /// Whether one received update is dropped, to check that it is noticed.
    pub sabotage: bool,
    replayed: OnceCell<Replayed>,
}

impl Plan {
    /// A plan; the trace is read when it is first needed.
    pub fn new(server: PathBuf, database: Option<String>, trace: PathBuf) -> Self {
        Self {
            server,
            database,
            trace,
            measured: Duration::from_secs(8),
            warm_up: Duration::from_secs(2),
            smoke: false,
            sabotage: false,
            replayed: OnceCell::new(),
        }
    }

    /// `full`, or `small` at a small scale.
    fn scaled(&self, full: usize, small: usize) -> usize {
        if self.smoke { small } else { full }
    }

    fn replayed(&self) -> Result<&Replayed> {
        if self.replayed.get().is_none() {
            let replayed = Trace::read(&self.trace)?.replay(self.scaled(usize::MAX, 5_000))?;
            return Ok(self.replayed.get_or_init(|| replayed));
        }
        self.replayed.get().context("the trace was just replayed")
    }

    fn start(&self, target: Target) -> Result<Process> {
        match target {
            Target::FloorSio | Target::FloorWs => Process::floor(target.name()),
            Target::YWebsocket | Target::Hocuspocus | Target::YSocketIo => {
                Process::peer(target.name())
            }
            _ => Process::server(&self.server, self.database.as_deref()),
        }
    }
}

/// Runs `scenario` once on a newly started `target`; no rows where it does not apply to it.
pub async fn run(plan: &Plan, scenario: Scenario, target: Target) -> Result<Vec<Row>> {
    match scenario {
        Scenario::Typing => fanout::run(plan, target, &fanout::typing(plan)).await,
        Scenario::Alone => fanout::run(plan, target, &fanout::alone()).await,
        Scenario::Pair => fanout::run(plan, target, &fanout::pair()).await,
        Scenario::Ten => fanout::run(plan, target, &fanout::ten()).await,
        Scenario::Room => fanout::run(plan, target, &fanout::room(plan)).await,
        Scenario::Crowd => fanout::run(plan, target, &fanout::crowd(plan)).await,
        Scenario::Many => fanout::run(plan, target, &fanout::many(plan)).await,
        Scenario::Idle => idle::run(plan, target).await,
        Scenario::Open => open::run(plan, target).await,
        Scenario::Burst => burst::run(plan, target).await,
        Scenario::Presence => presence::run(plan, target).await,
        Scenario::Joins => joins::run(plan, target).await,
        Scenario::Lists => lists::run(plan, target).await,
        Scenario::Team => team::run(plan, target).await,
        Scenario::People => people::run(plan, target).await,
    }
}

/// A running target, and the meter of its clients.
struct Stage {
    process: Process,
    address: Address,
    meter: Rc<Meter>,
    /// Distinguishes the documents of this run from those of others in the same database.
    nonce: u128,
}

impl Stage {
    fn new(plan: &Plan, target: Target) -> Result<Self> {
        let process = plan.start(target)?;
        let wire = target.wire();
        let port = process.port();
        Ok(Self {
            process,
            address: Address { port, wire },
            meter: Rc::default(),
            nonce: SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros(),
        })
    }

    fn room_name(&self, number: usize) -> String {
        format!("bench-{}-{number}", self.nonce)
    }

    /// Opens the rooms of these numbers, with all their members connected and joined.
    async fn rooms(&self, numbers: Range<usize>, members: usize) -> Result<Vec<Rc<Room>>> {
        let mut rooms = Vec::new();
        for number in numbers {
            let room = Room::new(self.room_name(number), number, members, &self.meter);
            for index in 0..members {
                let user = format!("u{number}-{index}");
                let ear = room.ear(index);
                let client =
                    Client::connect(&self.address, &user, room.name(), ear, &self.meter).await?;
                client.join().await?;
                room.seat(index, client);
            }
            rooms.push(room);
        }
        Ok(rooms)
    }

    /// Waits until all messages have arrived in `rooms`, or none arrives any more.
    async fn settle(&self, rooms: &[Rc<Room>]) {
        let mut quiet = 0;
        let mut before = self.meter.arrivals();
        while quiet < 30 {
            if rooms.iter().all(|room| room.settled()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            let arrivals = self.meter.arrivals();
            quiet = if arrivals == before { quiet + 1 } else { 0 };
            before = arrivals;
        }
        for room in rooms {
            match room.missing() {
                Some(missing) => self.meter.fault(missing),
                None if !room.settled() => self.meter.fault("acks are missing"),
                None => {}
            }
        }
    }

    /// Waits until all updates of `client` are acknowledged.
    async fn acknowledged(&self, client: &Client) -> Result<()> {
        let began = tokio::time::Instant::now();
        while client.unacked() > 0 {
            let faults = self.meter.faults();
            let waiting = faults.is_none() && began.elapsed() < ANSWER_TIMEOUT;
            ensure!(waiting, "{} acks are missing", client.unacked());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Waits until there is a fault.
    async fn fault(&self) {
        while self.meter.faults().is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends the target; returns whether the scenario succeeded.
    fn end(self, target: Target, checked: Result<()>) -> Result<Result<(), String>> {
        let name = target.name();
        let words = self.process.words();
        let status = self.process.stop()?;
        if let Err(error) = checked {
            self.meter.fault(format!("not converged: {error:#}"));
        }
        // Relays can be ended in no other way, and some of the other servers.
        if target.is_server() && !status.success() {
            self.meter.fault(format!("the {name} ended with {status}"));
        }
        Ok(match self.meter.faults() {
            None => Ok(()),
            Some(faults) if words.is_empty() => Err(faults),
            Some(faults) => Err(format!("{faults}; the {name} said: {words}")),
        })
    }
}

/// The resources that the target and the generator used in an interval.
struct Interval {
    began: tokio::time::Instant,
    cpu: Duration,
    own: Duration,
}

/// The use of a processor in an interval.
struct Used {
    wall: Duration,
    cpu: Duration,
    /// The use of the generator's one thread, in percent.
    own_percent: f64,
}

impl Interval {
    fn begin(process: &Process) -> Result<Self> {
        Ok(Self {
            cpu: process.cpu()?,
            own: crate::process::own_cpu()?,
            began: tokio::time::Instant::now(),
        })
    }

    fn end(self, process: &Process) -> Result<Used> {
        let wall = self.began.elapsed();
        let cpu = process.cpu()?.saturating_sub(self.cpu);
        let own = crate::process::own_cpu()?.saturating_sub(self.own);
        ensure!(wall > Duration::ZERO, "no time has passed");
        let own_percent = 100.0 * own.as_secs_f64() / wall.as_secs_f64();
        Ok(Used {
            wall,
            cpu,
            own_percent,
        })
    }
}

impl Used {
    fn cpu_percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// A figure, where there is a value.
fn figure(name: &'static str, digits: usize, value: Option<f64>) -> Option<Figure> {
    value.map(|value| Figure {
        name,
        digits,
        value,
    })
}

/// A listener that ignores everything but answers.
struct Deaf;

impl Listener for Deaf {
    fn data(&self, _: Kind, _: &[u8]) {}

    fn caught_up(&self, _: &[u8]) {}

    fn known(&self) -> Vec<u8> {
        crate::yjs::NOTHING_KNOWN.to_vec()
    }
}
