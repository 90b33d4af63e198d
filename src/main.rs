//! Start and stop: arguments, settings, telemetry, [`App`], exit code. No decisions.
//!
//! Exit codes: 0 all went well, 1 it did not (or something could not be written),
//! 2 wrong arguments, 78 wrong settings (`EX_CONFIG` of sysexits.h).

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::{self, ExitCode},
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand};
use realtime_server::{
    app::App,
    auth::{self, MintRequest},
    config::{self, Config, ConfigError, DevDoors, Log, LogFormat, Source},
    error::Error,
    id::Timestamp,
    metrics::Metrics,
    store, telemetry,
};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// Live document collaboration server. Without a command, it serves.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The address to listen on, over REALTIME_SERVER_HOST.
    #[arg(long)]
    host: Option<IpAddr>,
    /// The port to listen on, over REALTIME_SERVER_PORT; 0 is any free one.
    #[arg(long)]
    port: Option<u16>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Checks the settings, shows them without secrets, and ends.
    CheckConfig,
    /// Brings the database's tables up to date, and ends.
    Migrate,
    /// Prints a token that this server would accept; needs a shared secret.
    Token(TokenArguments),
}

#[derive(Args)]
struct TokenArguments {
    /// The user's id.
    #[arg(long)]
    user: String,
    /// The name that others see; without it, the id.
    #[arg(long)]
    name: Option<String>,
    /// The team; without it, `default`.
    #[arg(long)]
    team: Option<String>,
    /// viewer, commenter, editor, reviewer, admin or service; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A permission for one room, or for all whose names start alike
    /// (`article-*=comment`); may be repeated.
    #[arg(long = "document", value_name = "ROOM=PERMISSION", value_parser = grant)]
    documents: Vec<(String, String)>,
    /// How long the token is valid.
    #[arg(long, default_value_t = 3600)]
    ttl_seconds: u64,
}

const EX_CONFIG: u8 = 78;
/// yrs recurses as deep as a hostile document nests, and any worker may run it.
/// Only what is touched takes memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;
/// Signals this close together are one wish to stop.
const ONE_SIGNAL: Duration = Duration::from_millis(500);
/// How long threads that are still busy may hold up the end.
const LAST_THREADS_TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whatever speaks TLS here uses ring; several providers may be linked in.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return failed("another TLS provider is installed");
    }
    let settings = match Settings::collect(&arguments) {
        Ok(settings) => settings,
        Err(error) => return refused(&error),
    };
    let config = match Config::from_lookup(&settings) {
        Ok(config) => config,
        Err(error) => return refused(&error),
    };
    match arguments.command {
        None => with_telemetry(&config.log.clone(), config, |config| {
            settings.report_slips(|slip| tracing::warn!("{slip}"));
            serve(config)
        }),
        Some(Command::Migrate) => with_telemetry(&config.log.clone(), config, migrate),
        Some(Command::CheckConfig) => {
            settings.report_slips(|slip| eprintln!("warning: {slip}"));
            printed(format_args!("configuration is valid\n{config}"))
        }
        Some(Command::Token(request)) => {
            // Stdout is for the token.
            let format = LogFormat::Pretty;
            let filter = "warn".into();
            with_telemetry(&Log { format, filter }, config, |config| {
                token(config, request)
            })
        }
    }
}

/// Runs `command` and flushes telemetry whichever way it ends.
fn with_telemetry(log: &Log, config: Config, command: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match telemetry::start(log, config.otlp_endpoint.as_deref(), &config.instance) {
        Ok(telemetry) => {
            let code = command(config);
            telemetry.stop();
            code
        }
        Err(error) => failed(error),
    }
}

fn serve(config: Config) -> ExitCode {
    in_runtime(async {
        let address = (config.host, config.port);
        let doors = config.dev_doors;
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(version, environment = ?config.environment, "starting");
        let app = App::build(config, Metrics::new()).await?;
        let listener = TcpListener::bind(address).await?;
        let stop = stop_signal()?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "listening");
        if doors == DevDoors::Open {
            tracing::info!("open {} in a browser", page_url(address));
            tracing::warn!("development doors are open: /dev/token gives anyone a token");
        }
        let stopped = app.serve(listener, stop).await?;
        if stopped.unwritten.is_empty() {
            tracing::info!("stopped; all is written");
            return Ok(ExitCode::SUCCESS);
        }
        tracing::error!(unwritten = %stopped.unwritten, "stopped with edits unwritten");
        Ok(ExitCode::FAILURE)
    })
}

/// Where a browser of this machine finds the demo page.
fn page_url(mut address: SocketAddr) -> String {
    // What listens everywhere is reached at this machine's own address.
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

fn migrate(config: Config) -> ExitCode {
    in_runtime(async move {
        store::migrate(&config.database_url).await?;
        tracing::info!("the database is up to date");
        Ok(ExitCode::SUCCESS)
    })
}

fn token(config: Config, arguments: TokenArguments) -> ExitCode {
    let request = MintRequest {
        user: arguments.user,
        name: arguments.name,
        team: arguments.team,
        roles: arguments.roles,
        documents: arguments.documents,
        ttl_seconds: arguments.ttl_seconds,
    };
    match auth::mint(&config.auth, &request, Timestamp::now().seconds()) {
        Ok(token) => printed(token),
        Err(error) => failed(error),
    }
}

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn in_runtime(work: impl Future<Output = Outcome>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime: Runtime| {
        let outcome = runtime.block_on(work);
        runtime.shutdown_timeout(LAST_THREADS_TIMEOUT);
        outcome
    });
    outcome.unwrap_or_else(|error| {
        tracing::error!("{error}");
        // Some settings show only in use that they cannot work.
        match error.downcast_ref() {
            Some(Error::Invalid { .. }) => ExitCode::from(EX_CONFIG),
            _ => ExitCode::FAILURE,
        }
    })
}

/// Resolves at the first SIGTERM or SIGINT; a later one ends the process at once.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping; a second signal ends at once");
        let since = Instant::now();
        tokio::spawn(async move {
            // A supervisor and a terminal may both pass on one and the same Ctrl-C.
            while since.elapsed() < ONE_SIGNAL {
                either(&mut terminate, &mut interrupt).await;
            }
            tracing::error!("ended by a second signal");
            process::exit(1);
        });
    })
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// Where settings come from, the strongest first: flags, the environment, the
/// `.env` file of the working directory, and a name drawn for this start.
struct Settings {
    flags: BTreeMap<&'static str, String>,
    file: BTreeMap<String, String>,
    instance: String,
}

impl Settings {
    fn collect(arguments: &Arguments) -> Result<Self, ConfigError> {
        let flags = [
            (
                "REALTIME_SERVER_HOST",
                arguments.host.map(|host| host.to_string()),
            ),
            (
                "REALTIME_SERVER_PORT",
                arguments.port.map(|port| port.to_string()),
            ),
        ];
        Ok(Self {
            flags: flags
                .into_iter()
                .filter_map(|(variable, flag)| Some((variable, flag?)))
                .collect(),
            file: dotenv(Path::new(".env"))?,
            instance: format!("{:08x}", rand::random::<u32>()),
        })
    }

    /// Tells of each variable that is set and looks like one of ours misspelt.
    fn report_slips(&self, mut report: impl FnMut(String)) {
        for name in environment_names().iter().chain(self.file.keys()) {
            if let Some(meant) = config::meant_by(name) {
                report(format!("{name} is not a setting; is {meant} meant?"));
            }
        }
    }
}

impl Source for Settings {
    fn get(&self, variable: &str) -> Option<String> {
        let drawn = || (variable == "REALTIME_INSTANCE").then(|| self.instance.clone());
        self.flags
            .get(variable)
            .cloned()
            .or_else(|| environment(variable))
            .or_else(|| self.file.get(variable).cloned())
            .filter(|value| !value.is_empty())
            .or_else(drawn)
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment(variable: &str) -> Option<String> {
    std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment_names() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect()
}

/// The variables in the file at `path`, none where there is no such file.
fn dotenv(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    // The library's own message would quote the line, and with it a secret.
    let wrong = |_| ConfigError {
        variable: ".env",
        expected: "readable lines such as NAME='value'".into(),
        got: "something else".into(),
    };
    match dotenvy::from_path_iter(path) {
        Ok(lines) => lines.collect::<Result<_, _>>().map_err(wrong),
        Err(error) if error.not_found() => Ok(BTreeMap::new()),
        Err(error) => Err(wrong(error)),
    }
}

fn grant(text: &str) -> Result<(String, String), &'static str> {
    let (room, permission) = text.rsplit_once('=').ok_or("expected ROOM=PERMISSION")?;
    Ok((room.to_owned(), permission.to_owned()))
}

/// Prints `text`, to a reader who may be gone.
fn printed(text: impl Display) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn refused(error: &ConfigError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(EX_CONFIG)
}

fn failed(error: impl Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
