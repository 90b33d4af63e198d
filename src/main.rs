//! Starts and stops the program: arguments, settings, telemetry, [`App`], exit code.

use std::{
    error::Error as StdError,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use realtime_server::{
    app::App,
    arguments::{Arguments, Command},
    auth,
    config::{Config, Log, LogFormat},
    exit::Exit,
    id::Timestamp,
    import::Import,
    metrics::Metrics,
    runtime,
    settings::Settings,
    signals, store,
    telemetry::{self, Levels},
};

type Outcome = Result<Exit, Box<dyn StdError>>;

fn main() -> ExitCode {
    let outcome = start(Arguments::parse());
    let exit = outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        Exit::after(&*error)
    });
    exit.into()
}

fn start(arguments: Arguments) -> Outcome {
    // All TLS uses ring. It is chosen here because several providers may be linked.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "another TLS provider is installed")?;
    let settings = Settings::collect(arguments.flags())?;
    let config = Config::from_lookup(&settings)?;
    match arguments.command {
        None => with_telemetry(&config.log.clone(), config, |config, levels| {
            settings.report_misspelt(|warning| tracing::warn!("{warning}"));
            let (running, levels) = (config.clone(), levels.clone());
            let reload = move || reload(&settings, &running, &levels);
            runtime::run(logged(serve(config, reload)))?
        }),
        Some(Command::Migrate) => with_telemetry(&config.log.clone(), config, |config, _| {
            runtime::run(logged(migrate(config)))?
        }),
        Some(Command::CheckConfig) => {
            let outcome = print(&check(&config, &settings))?;
            settings.report_misspelt(|warning| eprintln!("warning: {warning}"));
            for warning in config.warnings() {
                eprintln!("warning: {warning}");
            }
            Ok(outcome)
        }
        Some(Command::Import(arguments)) => with_telemetry(&quiet(), config, |config, _| {
            runtime::run(import(arguments.into(), config))?
        }),
        Some(Command::Token(arguments)) => with_telemetry(&quiet(), config, |config, _| {
            let now = Timestamp::now().seconds();
            print(&auth::mint(&config.auth, &arguments.into(), now)?)
        }),
    }
}

async fn serve(config: Config, reload: impl Fn() + Send + 'static) -> Outcome {
    let app = App::build(config, Metrics::new()).await?;
    let certificate = app.certificate_reload();
    let stop = signals::stop(app.supervisor(), move || {
        reload();
        certificate.notify_one();
    })?;
    let listener = app.listen().await?;
    Ok(app.serve(listener, stop).await?.exit())
}

/// Reads again what a running server can change: the level of its log. Other settings that differ from
/// those of `running` are logged; they take effect at the next start. Where a setting is not valid,
/// nothing changes.
fn reload(settings: &Settings, running: &Config, levels: &Levels) {
    let read = settings.again();
    let config = match read.and_then(|settings| Config::from_lookup(&settings)) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}; the settings stay as they are");
            return;
        }
    };
    levels.set(&config.log.filter);
    for variable in running.changed(&config) {
        tracing::warn!(variable, "this setting takes effect at the next start");
    }
    tracing::info!(level = config.log.filter, "the settings were read again");
}

async fn migrate(config: Config) -> Outcome {
    store::migrate(&config.database_url).await?;
    tracing::info!("the database is up to date");
    Ok(Exit::Done)
}

async fn import(import: Import, config: Config) -> Outcome {
    let report = import.run(&config).await?;
    print(&report.to_string())?;
    Ok(report.exit())
}

/// The log of commands whose results go to stdout: warnings, on stderr.
fn quiet() -> Log {
    Log {
        format: LogFormat::Pretty,
        filter: "warn".into(),
    }
}

/// Runs `command` and then flushes telemetry, also where it failed.
fn with_telemetry(
    log: &Log,
    config: Config,
    command: impl FnOnce(Config, &Levels) -> Outcome,
) -> Outcome {
    let telemetry = telemetry::start(log, config.otlp_endpoint.as_deref(), &config.instance)?;
    let outcome = command(config, telemetry.levels());
    telemetry.stop();
    outcome
}

/// Runs `work` and logs its failure.
async fn logged(work: impl Future<Output = Outcome>) -> Outcome {
    Ok(work.await.unwrap_or_else(|error| {
        tracing::error!("{error}");
        Exit::after(&*error)
    }))
}

/// What `check-config` prints about valid settings.
fn check(config: &Config, settings: &Settings) -> String {
    let table = config.table(|variable| settings.origin(variable));
    format!(
        "The settings are valid. These are used, without secrets:\n\n{}",
        table.trim_end()
    )
}

/// Prints `text`. Fails without a panic if stdout is closed.
fn print(text: &str) -> Outcome {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => Ok(Exit::Done),
        Err(_) => Ok(Exit::Failed),
    }
}
