//! Measures the server, and two bare relays in the same run for comparison.
//!
//! `README.md` describes the scenarios and figures. The parts:
//! ```text
//! main              the command line
//! scenario          the scenarios, one file each
//! room  client      the deliveries of one document; one connection
//! connect           how a connection begins
//! wire  stock  yjs  the messages of a connection
//! http  bulk        requests by HTTP; rows written into the database
//! replica           checks that all replicas have converged
//! meter  histogram  counts and latencies
//! process           the server as a process, and its use of CPU and memory
//! floor_sio, _ws    the relays, which are processes of this same binary
//! peers/            other servers of stock clients, which npm installs
//! trace  recorder   recorded editing histories
//! report  machine   the tables
//! ```

mod bulk;
mod client;
mod connect;
mod download;
mod floor_sio;
mod floor_ws;
mod histogram;
mod http;
mod machine;
mod meter;
mod pace;
mod process;
mod recorder;
mod replica;
mod report;
mod room;
mod scenario;
mod stock;
mod token;
mod trace;
mod wire;
mod yjs;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{runtime, task::LocalSet};

use crate::{
    machine::Machine,
    report::Row,
    scenario::{Plan, Scenario, Target},
};

/// The worker threads of the server and of each relay.
const WORKERS: usize = 2;

/// Measures the server, and two bare relays in the same run for comparison.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Part>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// A bare relay on socketioxide; started by the benchmark
    FloorSio(Port),
    /// A bare relay on tokio-tungstenite; started by the benchmark
    FloorWs(Port),
    /// Records the editing history in fixtures/ again
    RecordTrace {
        /// The file to write
        #[arg(long, default_value = recorder::FIXTURE)]
        to: PathBuf,
    },
}

#[derive(Args, Debug)]
struct Port {
    /// The port on this machine to listen on
    #[arg(long)]
    port: u16,
}

#[derive(Args, Debug)]
struct Options {
    /// The scenarios to run; all if none is named
    scenarios: Vec<Scenario>,
    /// The targets to measure
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "server,floor-sio,floor-ws"
    )]
    targets: Vec<Target>,
    /// The number of runs; the tables show medians
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How many seconds of each load are measured
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// The server's binary; built from this checkout if none is named
    #[arg(long)]
    server: Option<PathBuf>,
    /// The server's database; one in a temporary folder if none is named
    #[arg(long)]
    database: Option<String>,
    /// A recorded editing history instead of the one in fixtures/
    #[arg(long, default_value = recorder::FIXTURE)]
    trace: PathBuf,
    /// The file for the figures of every run
    #[arg(long)]
    json: Option<PathBuf>,
    /// Runs everything once at a small scale: checks that it works, measures nothing
    #[arg(long)]
    smoke: bool,
    /// Drops one received update, so that the run has to fail
    #[arg(long, hide = true)]
    sabotage: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Part::FloorSio(Port { port })) => relay(floor_sio::run(port)),
        Some(Part::FloorWs(Port { port })) => relay(floor_ws::run(port)),
        Some(Part::RecordTrace { to }) => {
            let trace = recorder::record(recorder::SEED, recorder::EDITS);
            trace.write(&to).map(|()| ExitCode::SUCCESS)
        }
        None => measure(cli.options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn relay(serving: impl Future<Output = Result<()>>) -> Result<ExitCode> {
    allow_many_files()?;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?;
    runtime.block_on(serving).map(|()| ExitCode::SUCCESS)
}

fn measure(options: Options) -> Result<ExitCode> {
    allow_many_files()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let server = match options.server {
        Some(server) => server
            .canonicalize()
            .with_context(|| format!("{}", server.display()))?,
        None => build(&root)?,
    };
    let machine = Machine::here(&server, &root);
    let mut plan = Plan::new(server, options.database, options.trace);
    plan.measured = Duration::from_secs_f64(options.seconds);
    plan.sabotage = options.sabotage;
    let mut runs = options.runs;
    if options.smoke {
        plan.smoke = true;
        plan.measured = Duration::from_millis(500);
        plan.warm_up = Duration::from_millis(100);
        runs = 1;
    }
    let mut scenarios = options.scenarios;
    if scenarios.is_empty() {
        scenarios = Scenario::value_variants().to_vec();
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut rows = Vec::new();
    for run in 1..=runs {
        for scenario in &scenarios {
            for target in &options.targets {
                let measuring = scenario::run(&plan, *scenario, *target);
                let measured = LocalSet::new().block_on(&runtime, measuring);
                let measured =
                    measured.with_context(|| format!("{scenario:?} on {}", target.name()))?;
                measured.iter().for_each(|row| tell(run, runs, row));
                rows.extend(measured);
            }
        }
    }
    let method = format!(
        "Runs: {runs}; medians (least–most). {} s counted after {} s of warm-up; one machine, loopback.",
        plan.measured.as_secs_f64(),
        plan.warm_up.as_secs_f64(),
    );
    println!("{}", report::markdown(&rows, &machine, &method));
    if let Some(path) = options.json {
        let json = report::json(&rows, &machine, &method);
        std::fs::write(&path, format!("{json:#}\n"))
            .with_context(|| format!("{}", path.display()))?;
    }
    let converged = rows.iter().all(|row| row.verdict.is_ok());
    Ok(if converged {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints one line for each row as soon as it is measured.
fn tell(run: usize, runs: usize, row: &Row) {
    let figures = row.figures.iter().map(|figure| {
        let digits = figure.digits;
        format!("{} {:.digits$}", figure.name, figure.value)
    });
    let figures: Vec<String> = figures.collect();
    let verdict = match &row.verdict {
        Ok(()) => "converged",
        Err(why) => why,
    };
    let (scenario, target, variant) = (row.scenario, row.target, &row.variant);
    eprintln!(
        "[{run}/{runs}] {scenario} {target} {variant}: {}; {verdict}",
        figures.join(", ")
    );
}

/// Builds the server of this checkout.
fn build(root: &Path) -> Result<PathBuf> {
    let target = root.join("target");
    let mut cargo = Command::new("cargo");
    // `cargo run` sets these variables for the benchmark; a build script that depends on them
    // would make cargo rebuild half of the server.
    for variable in ["DIR", "LINKS", "PATH"] {
        cargo.env_remove(format!("CARGO_MANIFEST_{variable}"));
    }
    for part in ["", "_MAJOR", "_MINOR", "_PATCH", "_PRE"] {
        cargo.env_remove(format!("CARGO_PKG_VERSION{part}"));
    }
    let status = cargo
        .env_remove("CARGO_PKG_NAME")
        .args(["build", "--locked", "--release", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("cargo, to build the server")?;
    ensure!(status.success(), "the server does not build");
    Ok(target.join("release/realtime-server"))
}

/// Raises the limit of open files: each connection is one, and the soft limit is often 1024.
fn allow_many_files() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("the limit of open files")
}
