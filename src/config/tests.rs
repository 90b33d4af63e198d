//! Tests of the rules of settings.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SECRET: &str = "a secret of at least thirty-two bytes";
const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n";

fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(&settings.iter().copied().collect::<BTreeMap<_, _>>())
}

fn valid(settings: &[(&str, &str)]) -> Config {
    read(settings).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(settings: &[(&str, &str)]) -> ConfigError {
    read(settings).expect_err("a refusal")
}

/// Reads the settings that production requires, with `settings` added to them.
fn production(settings: &[(&'static str, &'static str)]) -> Result<Config, ConfigError> {
    let mut all = BTreeMap::from([
        ("REALTIME_ENV", "production"),
        ("JWT_SECRET", SECRET),
        ("CORS_ALLOWED_ORIGINS", "https://app.example.com"),
    ]);
    all.extend(settings.iter().copied());
    Config::from_lookup(&all)
}

#[test]
fn without_any_setting_the_defaults_of_development_apply() {
    let config = valid(&[]);
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.host.to_string(), "127.0.0.1");
    assert_eq!(config.port, 3001);
    assert_eq!(config.database_url, "sqlite://data/realtime.db");
    assert_eq!(config.origins, Origins::Localhost);
    assert_eq!(config.dev_doors, DevDoors::Open);
    assert_eq!(config.metrics_token, None);
    assert_eq!(config.otlp_endpoint, None);
    assert_eq!(config.log.format, LogFormat::Pretty);
    assert_eq!(config.log.filter, "info");
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.timing, Timing::default());
    assert_eq!(config.auth.leeway_ms, 5000);
    assert_eq!(config.auth.claims, ClaimNames::default());
    assert_eq!(config.auth.algorithm, None);
}

#[test]
fn development_keeps_its_own_key_beside_the_database() {
    for (database, file) in [
        ("", "data/development.key"),
        (
            "sqlite:///var/lib/realtime/a.db?mode=rwc",
            "/var/lib/realtime/development.key",
        ),
        ("sqlite:here.db", "development.key"),
        ("postgres://u:p@db/realtime", "data/development.key"),
    ] {
        let config = valid(&[("DATABASE_URL", database)]);
        let file = file.into();
        assert_eq!(config.auth.key, SigningKey::DevelopmentSecret { file });
    }
}

#[test]
fn production_has_defaults_of_its_own() {
    let config = production(&[]).expect("valid");
    assert_eq!(config.environment, Environment::Production);
    assert_eq!(config.host.to_string(), "0.0.0.0");
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.dev_doors, DevDoors::Closed);
}

#[test]
fn production_refuses_unsafe_settings() {
    for (variable, value, named) in [
        (
            "JWT_SECRET",
            "",
            "JWT_SECRET, JWT_PUBLIC_KEY_FILE, JWT_JWKS_URL",
        ),
        ("JWT_SECRET", "short", "JWT_SECRET"),
        ("CORS_ALLOWED_ORIGINS", "", "CORS_ALLOWED_ORIGINS"),
        ("REALTIME_DEV_DOORS", "true", "REALTIME_DEV_DOORS"),
    ] {
        let error = production(&[(variable, value)]).expect_err(variable);
        assert_eq!(error.variable, named);
        assert!(error.to_string().contains("production"), "{error}");
    }
    assert!(production(&[("CORS_ALLOWED_ORIGINS", "*")]).is_ok());
    assert!(production(&[("REALTIME_DEV_DOORS", "false")]).is_ok());
}

#[test]
fn a_wrong_value_names_its_variable() {
    for (variable, value) in [
        ("REALTIME_ENV", "prod"),
        ("REALTIME_SERVER_HOST", "localhost"),
        ("REALTIME_SERVER_PORT", "65536"),
        ("REALTIME_SERVER_PORT", "-1"),
        ("REALTIME_INSTANCE", "two words"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("REALTIME_DEV_DOORS", "yes"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DATABASE_URL", "sqlite://x?mode=memory"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "RS256"),
        ("JWT_LEEWAY_MS", "60000"),
        ("JWT_JWKS_URL", "ftp://issuer/keys"),
        ("JWT_JWKS_URL", "http://issuer.example/keys"),
        ("JWT_PUBLIC_KEY_FILE", "/missing.pem"),
        ("CORS_ALLOWED_ORIGINS", "app.example.com"),
        ("METRICS_TOKEN", "two words"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "realtime_server=loud"),
        ("UPDATE_BYTES_MAX", "ten"),
        ("UPDATES_BURST", "0"),
        ("SNAPSHOT_ROWS", "0"),
        ("SNAPSHOT_ROWS", "many"),
        ("RELAY_TICK_MS", "0"),
        ("DRAIN_TIMEOUT_MS", "14001"),
    ] {
        assert_eq!(refused(&[(variable, value)]).variable, variable, "{value}");
    }
}

#[test]
fn an_error_says_what_was_expected_and_found() {
    assert_eq!(
        refused(&[("UPDATE_BYTES_MAX", "ten")]).to_string(),
        "UPDATE_BYTES_MAX: expected a whole number from 1024 to 67108864, got \"ten\""
    );
    assert_eq!(
        refused(&[("LOG_FORMAT", "xml")]).to_string(),
        "LOG_FORMAT: expected pretty or json, got \"xml\""
    );
}

#[test]
fn limits_of_several_updates_are_at_least_the_limit_of_one() {
    for variable in [
        "DOCUMENT_BYTES_MAX",
        "JOURNAL_BYTES_MAX",
        "ROOM_INBOX_BYTES_MAX",
    ] {
        let error = refused(&[(variable, "1000000")]);
        assert_eq!(error.variable, variable);
        assert!(
            error.expected.contains("UPDATE_BYTES_MAX (2097152)"),
            "{error}"
        );
    }
}

#[test]
fn the_limit_of_http_bodies_is_at_least_that_of_a_document() {
    let larger = ("DOCUMENT_BYTES_MAX", "536870912");
    let error = refused(&[larger]);
    assert_eq!(error.variable, "HTTP_BODIES_BYTES_MAX");
    assert!(error.expected.contains("536870912"), "{error}");
    valid(&[larger, ("HTTP_BODIES_BYTES_MAX", "536870912")]);
}

#[test]
fn variables_of_later_versions_are_refused() {
    let variable = "REDIS_URL";
    let error = refused(&[(variable, "hunter2")]);
    assert_eq!(error.variable, variable);
    assert!(error.to_string().contains("does not support"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(
        read(&[(variable, "")]).is_ok(),
        "an empty value counts as unset"
    );
}

#[test]
fn addresses_of_the_platform_are_https_or_private_where_that_is_allowed() {
    let allow = ("AUTH_PRIVATE_HTTP", "allow");
    for variable in ["JWT_JWKS_URL", "SESSION_VALIDATION_URL"] {
        for good in [
            "https://login.example/keys",
            "http://localhost:3000/keys",
            "http://[::1]/keys",
        ] {
            valid(&[(variable, good)]);
        }
        for private in ["http://login/keys", "http://user:hunter2@10.0.0.7:80/keys"] {
            valid(&[(variable, private), allow]);
            let error = refused(&[(variable, private)]);
            assert_eq!(error.variable, variable);
            assert!(error.expected.contains("AUTH_PRIVATE_HTTP"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let error = refused(&[(variable, "http://1.1.1.1/keys"), allow]);
        assert_eq!(error.variable, variable);
    }
}

#[test]
fn introspection_needs_an_address_and_one_kind_of_credentials() {
    let url = ("SESSION_VALIDATION_URL", "https://login.example/introspect");
    let id = ("SESSION_VALIDATION_CLIENT_ID", "realtime");
    let secret = ("SESSION_VALIDATION_CLIENT_SECRET", "hunter2");
    let token = ("SESSION_VALIDATION_TOKEN", "hunter2");
    for given in [&[url][..], &[url, id, secret], &[url, token]] {
        let validation = valid(given).auth.validation.expect("configured");
        assert_eq!(validation.ttl_ms, 30_000);
        assert_eq!(validation.on_failure, OnFailure::Refuse);
        assert!(!format!("{validation:?}").contains("hunter2"));
    }
    assert!(valid(&[]).auth.validation.is_none());
    for (given, variable) in [
        (&[token][..], "SESSION_VALIDATION_URL"),
        (&[url, id], "SESSION_VALIDATION_CLIENT_SECRET"),
        (&[url, secret], "SESSION_VALIDATION_CLIENT_ID"),
        (&[url, id, secret, token], "SESSION_VALIDATION_TOKEN"),
        (
            &[url, ("SESSION_VALIDATION_TOKEN", "a b")],
            "SESSION_VALIDATION_TOKEN",
        ),
        (
            &[url, ("SESSION_VALIDATION_ON_FAILURE", "maybe")],
            "SESSION_VALIDATION_ON_FAILURE",
        ),
    ] {
        assert_eq!(refused(given).variable, variable);
    }
}

#[test]
fn tls_needs_a_certificate_and_its_key_in_pem() {
    let files = [
        ("/cert.pem", "-----BEGIN CERTIFICATE-----\n…"),
        ("/key.pem", "-----BEGIN PRIVATE KEY-----\n…"),
    ];
    let (certificate, key) = (("TLS_CERT_FILE", "/cert.pem"), ("TLS_KEY_FILE", "/key.pem"));
    assert!(valid(&[certificate, key, files[0], files[1]]).tls.is_some());
    assert_eq!(valid(&[]).tls, None);
    for (given, variable) in [
        (&[certificate, files[0]][..], "TLS_KEY_FILE"),
        (&[key, files[1]], "TLS_CERT_FILE"),
        (&[certificate, key, files[0]], "TLS_KEY_FILE"),
        (
            &[("TLS_CERT_FILE", "/key.pem"), key, files[1]],
            "TLS_CERT_FILE",
        ),
        (
            &[certificate, ("TLS_KEY_FILE", "/cert.pem"), files[0]],
            "TLS_KEY_FILE",
        ),
    ] {
        assert_eq!(refused(given).variable, variable);
    }
}

#[test]
fn at_most_one_signing_key_may_be_set() {
    let secret = ("JWT_SECRET", SECRET);
    let jwks = ("JWT_JWKS_URL", "https://issuer.example/keys");
    let file = ("JWT_PUBLIC_KEY_FILE", "/key.pem");
    let pem = ("/key.pem", PEM);
    for several in [
        &[secret, jwks][..],
        &[secret, file, pem],
        &[jwks, file, pem],
    ] {
        let error = refused(several);
        assert!(error.variable.contains("JWT_SECRET"), "{error}");
        assert!(error.variable.contains("JWT_JWKS_URL"), "{error}");
    }
    assert_eq!(valid(&[secret]).auth.key, SigningKey::Secret(SECRET.into()));
    assert_eq!(
        valid(&[file, pem]).auth.key,
        SigningKey::PublicKeyPem(PEM.into())
    );
    let url = jwks.1.into();
    assert_eq!(valid(&[jwks]).auth.key, SigningKey::Jwks { url });
}

#[test]
fn a_key_file_has_to_hold_a_public_key() {
    for wrong in [
        "not a key",
        "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----",
    ] {
        let error = refused(&[("JWT_PUBLIC_KEY_FILE", "/key.pem"), ("/key.pem", wrong)]);
        assert_eq!(error.variable, "JWT_PUBLIC_KEY_FILE");
        assert!(!error.to_string().contains("MC4C"), "{error}");
    }
}

#[test]
fn the_algorithm_has_to_suit_the_key() {
    let algorithm = |name| ("JWT_ALGORITHM", name);
    let file = [("JWT_PUBLIC_KEY_FILE", "/key.pem"), ("/key.pem", PEM)];
    let with_secret = [("JWT_SECRET", SECRET), algorithm("HS512")];
    assert_eq!(valid(&with_secret).auth.algorithm.as_deref(), Some("HS512"));
    let with_key = [file[0], file[1], algorithm("EdDSA")];
    assert_eq!(valid(&with_key).auth.algorithm.as_deref(), Some("EdDSA"));
    // A public key used as a shared secret would let anyone sign tokens.
    let confused = refused(&[file[0], file[1], algorithm("HS256")]);
    assert_eq!(confused.variable, "JWT_ALGORITHM");
}

#[test]
fn claims_can_have_other_names() {
    let claims = valid(&[("JWT_CLAIM_ROLES", "groups"), ("JWT_CLAIM_TEAM", "org")])
        .auth
        .claims;
    let (roles, team) = ("groups".into(), "org".into());
    assert_eq!(
        claims,
        ClaimNames {
            roles,
            team,
            ..ClaimNames::default()
        }
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let config = valid(&[
        ("JWT_SECRET", "hunter2-signing"),
        ("METRICS_TOKEN", "hunter2-metrics"),
        (
            "DATABASE_URL",
            "postgres://ana:hunter2@db.example:5432/realtime?password=hunter2",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "https://hunter2@collector.example",
        ),
    ]);
    for shown in [
        format!("{config}"),
        format!("{config:?}"),
        format!("{:?}", config.auth),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(
        config.to_string().contains("postgres db.example/realtime"),
        "{config}"
    );
    for wrong in [
        ("DATABASE_URL", "mysql://ana:hunter2@db"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2@collector"),
        ("METRICS_TOKEN", "hunter2 hunter2"),
        ("JWT_SECRET", "hunter2\u{FFFD}"),
    ] {
        let error = refused(&[wrong]).to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_example_names_every_variable_with_its_default() {
    // Lines are `NAME=value` or, where nothing has to be set, `# NAME=value`.
    let example: BTreeMap<_, _> = include_str!("../../.env.example")
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .collect();
    let named: BTreeSet<_> = example.keys().copied().collect();
    assert_eq!(named, variables().collect());

    let config = Config::from_lookup(&example).expect("the example is valid");
    let default = valid(&[]);
    assert_eq!(config.to_string(), default.to_string());
    for (variable, value) in default
        .limits
        .values()
        .into_iter()
        .chain(default.timing.values())
    {
        assert_eq!(example[variable], value, "{variable}");
    }
}
