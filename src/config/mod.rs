//! All settings: their variables, defaults and checks.
//!
//! [`Config::from_lookup`] is a pure function of a [`Source`]: it reads no
//! environment, opens no files but those that variables name, and draws no
//! random numbers. The settings are checked as far as possible without network or
//! database. A wrong value is never replaced by a default.

mod address;
mod auth;
mod cells;
mod limits;
mod origins;
mod proxies;
mod read;
mod report;
#[cfg(test)]
mod tests;
mod tls;
mod validation;
mod variables;
mod webhook;
mod workflow;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use tracing_subscriber::EnvFilter;

pub use self::{
    address::is_public,
    auth::{Auth, ClaimNames, SigningKey},
    limits::{Limits, Timing},
    origins::Origins,
    proxies::Proxies,
    read::{ConfigError, Source},
    tls::TlsFiles,
    validation::{OnFailure, SessionValidation, ValidationCredentials},
    variables::{similar_to, variables},
    webhook::{PrivateAddresses, Webhook},
    workflow::{STATUS_BYTES_MAX, WorkflowStep, WorkflowTable},
};
use self::{read::Reader, variables::refuse_unsupported};

/// All settings of one server.
///
/// `Display` and `Debug` show them without any secret.
#[derive(Clone)]
pub struct Config {
    /// The environment for which the defaults are chosen.
    pub environment: Environment,
    /// The name of this instance in its log and for its clients: 1 to 64
    /// letters, digits, dots, dashes or underscores. Unique among all instances.
    pub instance: String,
    /// The address to listen on.
    pub host: IpAddr,
    /// The TCP port to listen on; 0 means any free port.
    pub port: u16,
    /// Starts with `sqlite:`, `postgres:` or `postgresql:`. It may hold a password.
    pub database_url: String,
    /// How tokens are verified.
    pub auth: Auth,
    /// The origins of the web pages that may use the server.
    pub origins: Origins,
    /// The proxies whose statements about the addresses of clients are believed.
    pub proxies: Proxies,
    /// The files of the server's own certificate, if it serves TLS itself.
    pub tls: Option<TlsFiles>,
    /// How documents come into being.
    pub document_creation: DocumentCreation,
    /// The statuses of documents and the steps between them.
    pub workflow: WorkflowTable,
    /// Whether the development routes are served.
    pub dev_doors: DevDoors,
    /// The bearer token for `/metrics`; without one, `/metrics` is public.
    pub metrics_token: Option<String>,
    /// The address to which traces are sent (OTLP over HTTP), without `/v1/traces`.
    pub otlp_endpoint: Option<String>,
    /// Where the main service is told of changes, if it is.
    pub webhook: Option<Webhook>,
    /// The log's format and filter.
    pub log: Log,
    /// Sizes, counts and rates.
    pub limits: Limits,
    /// Durations.
    pub timing: Timing,
}

/// The environment: it decides the defaults and which settings are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// The server starts without any setting, for users of this machine.
    Development,
    /// The defaults are safe on a network, and unsafe settings are refused.
    Production,
}

/// How documents come into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentCreation {
    /// When someone who may edit first joins or writes to them, or by the API.
    Join,
    /// By the API only: an unknown document cannot be joined.
    Api,
}

/// Whether `/dev/token` and the demo page are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevDoors {
    /// They are served: every client of the server can get any token.
    Open,
    /// They are not served.
    Closed,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable text, on stderr.
    Pretty,
    /// One JSON object a line, on stdout.
    Json,
}

/// The log's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The format of its lines.
    pub format: LogFormat,
    /// The filter of its lines, in the syntax of `RUST_LOG`.
    pub filter: String,
}

impl Config {
    /// Reads and checks every setting in `source`, and uses defaults for the rest.
    ///
    /// # Errors
    /// The first invalid setting, by its name.
    pub fn from_lookup(source: &dyn Source) -> Result<Self, ConfigError> {
        let reader = Reader::new(source);
        refuse_unsupported(&reader)?;
        let environment = reader
            .choice(
                "REALTIME_ENV",
                &[
                    ("development", Environment::Development),
                    ("production", Environment::Production),
                ],
            )?
            .unwrap_or(Environment::Development);
        let database_url = database_url(&reader)?;
        let limits = Limits::read(&reader)?;
        limits.check()?;
        Ok(Self {
            environment,
            instance: instance(&reader)?,
            host: host(&reader, environment)?,
            port: reader.number("REALTIME_SERVER_PORT", 3001, 0..=u16::MAX)?,
            auth: Auth::read(&reader, environment, development_key(&database_url))?,
            database_url,
            origins: origins(&reader, environment)?,
            proxies: Proxies::read(&reader)?,
            tls: TlsFiles::read(&reader)?,
            document_creation: document_creation(&reader)?,
            workflow: WorkflowTable::read(&reader)?,
            dev_doors: dev_doors(&reader, environment)?,
            metrics_token: metrics_token(&reader)?,
            otlp_endpoint: reader.web_address("OTEL_EXPORTER_OTLP_ENDPOINT")?,
            webhook: Webhook::read(&reader, environment)?,
            log: Log::read(&reader, environment)?,
            limits,
            timing: Timing::read(&reader)?,
        })
    }

    /// The defaults of development, on any free port, with the given database
    /// and shared secret. For tests that start their own server.
    pub fn development(database_url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            environment: Environment::Development,
            instance: DEFAULT_INSTANCE.into(),
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            database_url: database_url.into(),
            auth: Auth {
                key: SigningKey::Secret(secret.into()),
                algorithm: None,
                issuer: None,
                audience: None,
                leeway_ms: 5000,
                lifetime_max_ms: auth::LIFETIME_MAX_MS,
                validation: None,
                private_http: PrivateAddresses::Refused,
                claims: ClaimNames::default(),
            },
            origins: Origins::Localhost,
            proxies: Proxies::default(),
            tls: None,
            document_creation: DocumentCreation::Join,
            workflow: WorkflowTable::default(),
            dev_doors: DevDoors::Open,
            metrics_token: None,
            otlp_endpoint: None,
            webhook: None,
            log: Log {
                format: LogFormat::Pretty,
                filter: DEFAULT_FILTER.into(),
            },
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = match self.metrics_token {
            Some(_) => "with a token",
            None => "open",
        };
        let traces = match self.otlp_endpoint {
            Some(_) => "sent",
            None => "off",
        };
        writeln!(f, "environment  {:?}", self.environment)?;
        writeln!(f, "instance     {}", self.instance)?;
        writeln!(f, "address      {} port {}", self.host, self.port)?;
        writeln!(f, "database     {}", without_password(&self.database_url))?;
        writeln!(f, "signing key  {}", self.auth.key)?;
        writeln!(f, "origins      {}", self.origins)?;
        writeln!(f, "proxies      {}", self.proxies)?;
        writeln!(f, "tls          {:?}", self.tls)?;
        writeln!(f, "documents    created by {:?}", self.document_creation)?;
        writeln!(f, "workflow     {}", self.workflow)?;
        writeln!(f, "dev doors    {:?}", self.dev_doors)?;
        writeln!(f, "metrics      {metrics}")?;
        writeln!(f, "traces       {traces}")?;
        writeln!(f, "webhooks     {:?}", self.webhook)?;
        writeln!(f, "log          {:?}, {}", self.log.format, self.log.filter)?;
        writeln!(f, "limits       {:?}", self.limits)?;
        write!(f, "timing       {:?}", self.timing)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Log {
    fn read(reader: &Reader<'_>, environment: Environment) -> Result<Self, ConfigError> {
        let formats = [("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
        let default = match environment {
            Environment::Development => LogFormat::Pretty,
            Environment::Production => LogFormat::Json,
        };
        let filter = reader.text("RUST_LOG")?;
        let filter = filter.unwrap_or_else(|| DEFAULT_FILTER.into());
        if EnvFilter::builder().parse(&filter).is_err() {
            let expected = "a level, or directives such as info,realtime_server=debug";
            return Err(ConfigError::shown("RUST_LOG", expected, &filter));
        }
        Ok(Self {
            format: reader.choice("LOG_FORMAT", &formats)?.unwrap_or(default),
            filter,
        })
    }
}

const DEFAULT_DATABASE: &str = "sqlite://data/realtime.db";
const DEFAULT_FILTER: &str = "info";
const DEFAULT_INSTANCE: &str = "local";
const INSTANCE_BYTES_MAX: usize = 64;

fn instance(reader: &Reader<'_>) -> Result<String, ConfigError> {
    const VARIABLE: &str = "REALTIME_INSTANCE";
    let name = reader.text(VARIABLE)?;
    let name = name.unwrap_or_else(|| DEFAULT_INSTANCE.into());
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.len() <= INSTANCE_BYTES_MAX && name.chars().all(plain) {
        return Ok(name);
    }
    let expected = "at most 64 letters, digits, dots, dashes or underscores";
    Err(ConfigError::shown(VARIABLE, expected, &name))
}

fn host(reader: &Reader<'_>, environment: Environment) -> Result<IpAddr, ConfigError> {
    const VARIABLE: &str = "REALTIME_SERVER_HOST";
    match (reader.text(VARIABLE)?, environment) {
        (Some(text), _) => text.parse().map_err(|_| {
            ConfigError::shown(VARIABLE, "an IP address such as 127.0.0.1 or ::", &text)
        }),
        (None, Environment::Development) => Ok(Ipv4Addr::LOCALHOST.into()),
        (None, Environment::Production) => Ok(Ipv4Addr::UNSPECIFIED.into()),
    }
}

fn origins(reader: &Reader<'_>, environment: Environment) -> Result<Origins, ConfigError> {
    match (Origins::read(reader)?, environment) {
        (Some(origins), _) => Ok(origins),
        (None, Environment::Development) => Ok(Origins::Localhost),
        (None, Environment::Production) => {
            let expected = "origins such as https://app.example.com (or * for any) in production";
            Err(ConfigError::described(Origins::VARIABLE, expected, "none"))
        }
    }
}

fn dev_doors(reader: &Reader<'_>, environment: Environment) -> Result<DevDoors, ConfigError> {
    const VARIABLE: &str = "REALTIME_DEV_DOORS";
    let words = [("true", DevDoors::Open), ("false", DevDoors::Closed)];
    match (reader.choice(VARIABLE, &words)?, environment) {
        (Some(DevDoors::Open), Environment::Production) => Err(ConfigError::shown(
            VARIABLE,
            "false in production, since these routes give anyone a token",
            "true",
        )),
        (Some(doors), _) => Ok(doors),
        (None, Environment::Development) => Ok(DevDoors::Open),
        (None, Environment::Production) => Ok(DevDoors::Closed),
    }
}

fn document_creation(reader: &Reader<'_>) -> Result<DocumentCreation, ConfigError> {
    let words = [
        ("join", DocumentCreation::Join),
        ("api", DocumentCreation::Api),
    ];
    let chosen = reader.choice("DOCUMENT_CREATION", &words)?;
    Ok(chosen.unwrap_or(DocumentCreation::Join))
}

fn metrics_token(reader: &Reader<'_>) -> Result<Option<String>, ConfigError> {
    const VARIABLE: &str = "METRICS_TOKEN";
    let token = reader.text(VARIABLE)?;
    match &token {
        Some(token) if !token.chars().all(|c| c.is_ascii_graphic()) => Err(ConfigError::described(
            VARIABLE,
            "visible ASCII characters without spaces",
            "other characters",
        )),
        _ => Ok(token),
    }
}

/// The file path in the address of a SQLite database; `None` for other databases.
fn sqlite_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(path.split('?').next().unwrap_or(path))
}

fn database_url(reader: &Reader<'_>) -> Result<String, ConfigError> {
    const VARIABLE: &str = "DATABASE_URL";
    let url = reader.text(VARIABLE)?;
    let url = url.unwrap_or_else(|| DEFAULT_DATABASE.into());
    let got = match sqlite_path(&url) {
        // Acknowledged updates have to survive the process.
        Some("" | ":memory:") => "a database in memory",
        Some(_) if url.contains("mode=memory") => "a database in memory",
        Some(_) => return Ok(url),
        None if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            return Ok(url);
        }
        None => "another kind of address",
    };
    let expected = "sqlite://<file> or postgres://<user>:<password>@<host>/<database>";
    Err(ConfigError::described(VARIABLE, expected, got))
}

/// The path of the server's own signing key: in the folder of the SQLite file, so that both
/// are moved, mounted and deleted together.
fn development_key(database_url: &str) -> PathBuf {
    let directory = match sqlite_path(database_url) {
        Some(path) => Path::new(path).parent().unwrap_or(Path::new("")),
        None => Path::new("data"),
    };
    directory.join("development.key")
}

/// A database's address without user and password.
fn without_password(url: &str) -> String {
    if let Some(path) = sqlite_path(url) {
        return format!("sqlite {path}");
    }
    match url.parse::<http::Uri>() {
        Ok(url) => format!("postgres {}{}", url.host().unwrap_or_default(), url.path()),
        Err(_) => "postgres".into(),
    }
}
