//! The settings as a table for people, and warnings about settings that are valid and may be unintended. No secret is shown.

use std::{fmt::Write as _, path::Path};

use super::{
    Auth, Config, DevDoors, DocumentCreation, Environment, LogFormat, Origins, PrivateAddresses,
    Proxies, SessionValidation, SigningKey, TlsFiles, ValidationCredentials, Webhook,
    auth::SECRET_BYTES_MIN,
    cells::{HIDDEN, Row, with_unit, without_user},
    without_password,
};

impl Config {
    /// A table of every setting: its variable, its value and where that comes from. `origin` returns the source of a
    /// variable's value, such as `.env`, or `None` where the default is used.
    pub fn table(&self, origin: impl Fn(&str) -> Option<&'static str>) -> String {
        let groups = self.groups();
        let rows = || groups.iter().flat_map(|(_, rows)| rows);
        let width = |cell: fn(&Row) -> usize| rows().map(cell).max().unwrap_or_default();
        let name_width = width(|(variable, _)| variable.len());
        // One long value, such as a list of origins, does not push the last column away from all others.
        let value_width = width(|(_, value)| value.chars().count().min(VALUE_WIDTH_MAX));
        let mut table = String::new();
        for (title, rows) in &groups {
            let _ = writeln!(table, "{title}");
            for (variable, value) in rows {
                let from = origin(variable).unwrap_or("default");
                let _ = writeln!(
                    table,
                    "  {variable:name_width$}  {value:value_width$}  {from}"
                );
            }
            table.push('\n');
        }
        table
    }

    /// Sentences on settings that are valid, but unsafe if they were not intended.
    pub fn warnings(&self) -> Vec<String> {
        let in_production = self.environment == Environment::Production;
        let mut warnings = Vec::new();
        let mut warn = |applies: bool, sentence: &str| {
            if applies {
                warnings.push(sentence.to_owned());
            }
        };
        warn(
            self.dev_doors == DevDoors::Open && !self.host.is_loopback(),
            "REALTIME_DEV_DOORS is open and REALTIME_SERVER_HOST is not an address of this machine alone: \
             everyone who reaches the server can get a token for any user",
        );
        warn(
            matches!(&self.auth.key, SigningKey::Secret(secret) if secret.len() < SECRET_BYTES_MIN),
            "JWT_SECRET is shorter than 32 bytes: production refuses it",
        );
        warn(
            self.origins == Origins::Any,
            "CORS_ALLOWED_ORIGINS is *: pages of every site may connect",
        );
        warn(
            in_production && self.metrics_token.is_none(),
            "METRICS_TOKEN is not set: everyone who reaches the server can read /metrics",
        );
        warn(
            in_production && self.auth.audience.is_none(),
            "JWT_AUDIENCE is not set: tokens that the same issuer signs for other services are accepted",
        );
        warn(
            matches!(&self.auth.validation, Some(validation)
                if in_production && validation.credentials == ValidationCredentials::None),
            "SESSION_VALIDATION_URL is used without credentials: its service should answer servers of the platform only",
        );
        warnings
    }

    /// The variables whose values differ in `other`, without the level of the log and without secrets,
    /// whose values are not compared.
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        let rows = |config: &Self| config.groups().into_iter().flat_map(|(_, rows)| rows);
        let pairs = rows(self).zip(rows(other));
        let differing = pairs.filter(|(mine, others)| mine != others && mine.0 != "RUST_LOG");
        differing.map(|((variable, _), _)| variable).collect()
    }

    fn groups(&self) -> Vec<(&'static str, Vec<Row>)> {
        let with_units = |values: Vec<Row>| {
            let shown = values.into_iter();
            shown
                .map(|(variable, value)| (variable, with_unit(variable, value)))
                .collect()
        };
        vec![
            ("General", self.general()),
            ("Tokens", tokens(&self.auth)),
            (
                "Sessions",
                SessionValidation::rows(self.auth.validation.as_ref()),
            ),
            ("Webhooks", webhooks(self.webhook.as_ref())),
            ("Limits", with_units(self.limits.values())),
            ("Durations", with_units(self.timing.values())),
        ]
    }

    fn general(&self) -> Vec<Row> {
        let environment = match self.environment {
            Environment::Development => "development",
            Environment::Production => "production",
        };
        let file = |file: fn(&TlsFiles) -> &Path| match &self.tls {
            Some(files) => file(files).display().to_string(),
            None => "none: plain HTTP".into(),
        };
        let doors = match self.dev_doors {
            DevDoors::Open => "true",
            DevDoors::Closed => "false",
        };
        let creation = match self.document_creation {
            DocumentCreation::Join => "join",
            DocumentCreation::Api => "api",
        };
        let metrics = match self.metrics_token {
            Some(_) => HIDDEN,
            None => "none: /metrics is public",
        };
        let traces = match &self.otlp_endpoint {
            Some(address) => without_user(address),
            None => "none: no traces are sent".into(),
        };
        let format = match self.log.format {
            LogFormat::Pretty => "pretty",
            LogFormat::Json => "json",
        };
        vec![
            ("REALTIME_ENV", environment.into()),
            ("REALTIME_SERVER_HOST", self.host.to_string()),
            ("REALTIME_SERVER_PORT", self.port.to_string()),
            ("REALTIME_INSTANCE", self.instance.clone()),
            ("REALTIME_DEV_DOORS", doors.into()),
            ("DOCUMENT_CREATION", creation.into()),
            ("WORKFLOW_FILE", self.workflow.to_string()),
            ("DATABASE_URL", without_password(&self.database_url)),
            (Origins::VARIABLE, self.origins.to_string()),
            (Proxies::VARIABLE, self.proxies.to_string()),
            ("TLS_CERT_FILE", file(|files| &files.certificate)),
            ("TLS_KEY_FILE", file(|files| &files.key)),
            ("METRICS_TOKEN", metrics.into()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", traces),
            ("LOG_FORMAT", format.into()),
            ("RUST_LOG", self.log.filter.clone()),
        ]
    }
}

const VALUE_WIDTH_MAX: usize = 40;

fn tokens(auth: &Auth) -> Vec<Row> {
    let unset = || "none".to_owned();
    let [mut secret, mut file, mut address] = [unset(), unset(), unset()];
    let algorithm = match &auth.key {
        SigningKey::Secret(text) => {
            secret = format!("{HIDDEN}, {} bytes", text.len());
            "HS256"
        }
        SigningKey::DevelopmentSecret { file } => {
            secret = format!("the server's own, in {}", file.display());
            "HS256"
        }
        SigningKey::PublicKeyPem(_) => {
            file = "a public key".into();
            "that of the key"
        }
        SigningKey::Jwks { url } => {
            address = without_user(url);
            "that of each key"
        }
    };
    let checked = |value: &Option<String>| value.clone().unwrap_or("none: not checked".into());
    let claims = &auth.claims;
    vec![
        ("JWT_SECRET", secret),
        ("JWT_PUBLIC_KEY_FILE", file),
        ("JWT_JWKS_URL", address),
        (
            "JWT_ALGORITHM",
            auth.algorithm.clone().unwrap_or(algorithm.into()),
        ),
        ("JWT_ISSUER", checked(&auth.issuer)),
        ("JWT_AUDIENCE", checked(&auth.audience)),
        (
            "JWT_LEEWAY_MS",
            with_unit("JWT_LEEWAY_MS", auth.leeway_ms.to_string()),
        ),
        ("AUTH_PRIVATE_HTTP", private(auth.private_http).into()),
        (
            "JWT_LIFETIME_MAX_MS",
            with_unit("JWT_LIFETIME_MAX_MS", auth.lifetime_max_ms.to_string()),
        ),
        ("JWT_CLAIM_SUBJECT", claims.subject.clone()),
        ("JWT_CLAIM_NAME", claims.name.clone()),
        ("JWT_CLAIM_AVATAR_URL", claims.avatar_url.clone()),
        ("JWT_CLAIM_TEAM", claims.team.clone()),
        ("JWT_CLAIM_ROLES", claims.roles.clone()),
        ("JWT_CLAIM_SESSION", claims.session.clone()),
        ("JWT_CLAIM_DOCUMENTS", claims.documents.clone()),
    ]
}

fn private(addresses: PrivateAddresses) -> &'static str {
    match addresses {
        PrivateAddresses::Allowed => "allow",
        PrivateAddresses::Refused => "refuse",
    }
}

fn webhooks(webhook: Option<&Webhook>) -> Vec<Row> {
    let Some(webhook) = webhook else {
        let unset = |variable: &&'static str| (*variable, "none".to_owned());
        let mut rows: Vec<Row> = Webhook::VARIABLES.iter().map(unset).collect();
        rows[0].1.push_str(": no webhooks are sent");
        return rows;
    };
    let retry = with_unit("WEBHOOK_RETRY_MS", webhook.retry_ms.to_string());
    let secrets = format!("{HIDDEN}, {}", webhook.secrets.len());
    vec![
        ("WEBHOOK_URL", without_user(&webhook.url)),
        ("WEBHOOK_SECRET", secrets),
        (
            "WEBHOOK_PRIVATE_ADDRESSES",
            private(webhook.private_addresses).into(),
        ),
        ("WEBHOOK_RETRY_MS", retry),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::config::variables;

    fn config(settings: &[(&str, &str)]) -> Config {
        let source: BTreeMap<_, _> = settings.iter().copied().collect();
        Config::from_lookup(&source).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The row of `variable`, with single spaces.
    fn row(table: &str, variable: &str) -> String {
        let line = table
            .lines()
            .find(|line| line.trim_start().starts_with(variable));
        let words: Vec<_> = line.unwrap_or_default().split_whitespace().collect();
        words.join(" ")
    }

    #[test]
    fn the_table_has_one_row_for_every_variable() {
        let config = config(&[]);
        let groups = config.groups();
        let shown: Vec<_> = groups
            .iter()
            .flat_map(|(_, rows)| rows)
            .map(|row| row.0)
            .collect();
        assert_eq!(BTreeSet::from_iter(shown.clone()), variables().collect());
        assert_eq!(shown.len(), variables().count());
    }

    #[test]
    fn a_row_has_the_value_and_its_source() {
        let given = [("ROOM_IDLE_MS", "5000"), ("UPDATE_BYTES_MAX", "1025")];
        let table = config(&given).table(|variable| (variable == "ROOM_IDLE_MS").then_some(".env"));
        assert_eq!(row(&table, "ROOM_IDLE_MS"), "ROOM_IDLE_MS 5000 (5 s) .env");
        assert_eq!(
            row(&table, "UPDATE_BYTES_MAX"),
            "UPDATE_BYTES_MAX 1025 default"
        );
        assert_eq!(
            row(&table, "DOCUMENT_BYTES_MAX"),
            "DOCUMENT_BYTES_MAX 67108864 (64 MiB) default"
        );
        assert_eq!(
            row(&table, "METRICS_TOKEN"),
            "METRICS_TOKEN none: /metrics is public default"
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let table = config(&[
            ("JWT_SECRET", "hunter2"),
            ("METRICS_TOKEN", "hunter2"),
            (
                "DATABASE_URL",
                "postgres://me:hunter2@db/realtime?password=hunter2",
            ),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "https://me:hunter2@traces.example:4318/x?key=hunter2",
            ),
        ])
        .table(|_| Some("environment"));
        assert!(!table.contains("hunter2"), "{table}");
        assert!(table.contains("https://traces.example:4318/x "), "{table}");
        let jwks = config(&[(
            "JWT_JWKS_URL",
            "https://me:hunter2@login.example/keys?t=hunter2",
        )]);
        let table = jwks.table(|_| None);
        assert!(!table.contains("hunter2"), "{table}");
        assert_eq!(
            row(&table, "JWT_JWKS_URL"),
            "JWT_JWKS_URL https://login.example/keys default"
        );
    }

    #[test]
    fn unsafe_settings_are_warned_of() {
        let secret = ("JWT_SECRET", "a secret of at least thirty-two bytes");
        let production = [secret, ("REALTIME_ENV", "production")];
        for (settings, named) in [
            (
                vec![("REALTIME_SERVER_HOST", "0.0.0.0")],
                vec!["REALTIME_DEV_DOORS"],
            ),
            (vec![("JWT_SECRET", "short")], vec!["JWT_SECRET"]),
            (
                vec![("CORS_ALLOWED_ORIGINS", "*")],
                vec!["CORS_ALLOWED_ORIGINS"],
            ),
            (
                [
                    &production[..],
                    &[("CORS_ALLOWED_ORIGINS", "https://a.example")],
                ]
                .concat(),
                vec!["METRICS_TOKEN", "JWT_AUDIENCE"],
            ),
            (vec![secret], vec![]),
        ] {
            let warnings = config(&settings).warnings();
            let names: Vec<_> = warnings
                .iter()
                .filter_map(|w| w.split(' ').next())
                .collect();
            assert_eq!(names, named, "{warnings:?}");
        }
    }
}
