//! The names of all variables: those that are read, and those that are not supported
//! yet. Names that resemble one are recognised as misspelt.

use super::{
    auth::Auth,
    limits::{Limits, Timing},
    origins::Origins,
    proxies::Proxies,
    read::{ConfigError, Reader},
    tls::TlsFiles,
    validation::SessionValidation,
    webhook::Webhook,
};

/// The variables for other settings than tokens, limits and durations.
const GENERAL: &[&str] = &[
    "REALTIME_ENV",
    "REALTIME_SERVER_HOST",
    "REALTIME_SERVER_PORT",
    "REALTIME_INSTANCE",
    "REALTIME_DEV_DOORS",
    "DOCUMENT_CREATION",
    "WORKFLOW_FILE",
    "DATABASE_URL",
    Origins::VARIABLE,
    Proxies::VARIABLE,
    "METRICS_TOKEN",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "LOG_FORMAT",
    "RUST_LOG",
];

/// Variables of later versions. The server refuses to start with one, because ignoring it
/// would be unsafe: if it ignored `REDIS_URL`, users of one document on several instances
/// would not see each other's updates, without any error.
const UNSUPPORTED: &[&str] = &["REDIS_URL"];

/// Every variable that the server reads.
pub fn variables() -> impl Iterator<Item = &'static str> {
    [
        GENERAL,
        Auth::VARIABLES,
        SessionValidation::VARIABLES,
        TlsFiles::VARIABLES,
        Webhook::VARIABLES,
        Limits::VARIABLES,
        Timing::VARIABLES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The beginnings of names that belong to this server: another name with one of them is misspelt,
/// however different it is.
const PREFIXES: &[&str] = &[
    "REALTIME_",
    "JWT_",
    "SESSION_VALIDATION_",
    "TLS_",
    "WEBHOOK_",
];

/// The parts of names that Kubernetes sets in every container of a cluster in which a service is named
/// like this server, such as `REALTIME_SERVER_SERVICE_HOST`.
const OF_KUBERNETES: &[&str] = &["_SERVICE_", "_PORT_"];

/// The variable of which `name` is probably a misspelling: a name that it resembles, or the one
/// with the same beginning and the most words in common. `None` if `name` is a variable of the server, or of another program.
///
/// A misspelt variable would be ignored, and the default may be the opposite of the
/// intended value.
pub fn similar_to(name: &str) -> Option<&'static str> {
    if variables()
        .chain(UNSUPPORTED.iter().copied())
        .any(|known| known == name)
    {
        return None;
    }
    // One wrong letter in eight is tolerated, so that short names of other programs do not match.
    let similar = variables().find(|known| distance(name, known) <= (known.len() / 8).min(3));
    similar.or_else(|| {
        let prefix = PREFIXES.iter().find(|prefix| name.starts_with(**prefix))?;
        if OF_KUBERNETES.iter().any(|part| name.contains(part)) || name == TEST_PROGRAM {
            return None;
        }
        let related = variables().filter(|known| known.starts_with(prefix));
        let words = |known: &str| {
            let of_name = name.split('_');
            of_name
                .filter(|word| known.split('_').any(|other| other == *word))
                .count()
        };
        related.min_by_key(|known| (usize::MAX - words(known), distance(name, known)))
    })
}

/// Names the program that tests start.
const TEST_PROGRAM: &str = "REALTIME_SERVER_BIN";

pub(super) fn refuse_unsupported(reader: &Reader<'_>) -> Result<(), ConfigError> {
    for variable in UNSUPPORTED {
        if reader.raw(variable)?.is_some() {
            let expected = "no value, since this version does not support it";
            return Err(ConfigError::described(variable, expected, "a value"));
        }
    }
    Ok(())
}

/// The edit distance of `a` and `b`: how many letters have to be inserted, removed or
/// replaced (the algorithm of Wagner and Fischer, one row at a time).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised() {
        for (name, meant) in [
            ("CORS_ALLOWED_ORIGIN", "CORS_ALLOWED_ORIGINS"),
            ("METRIC_TOKEN", "METRICS_TOKEN"),
            ("UPDATE_MAX_BYTES", ""),
            ("REALTIME_SEVER_PORT", "REALTIME_SERVER_PORT"),
            ("JWT_SECRETS", "JWT_SECRET"),
            ("ROOMS_PER_SOCKETS", "ROOMS_PER_SOCKET"),
            ("JWT_SECRT", "JWT_SECRET"),
            ("JWT_KEYS_URL", "JWT_JWKS_URL"),
            ("REALTIME_PORT", "REALTIME_SERVER_PORT"),
            ("TLS_CERTIFICATE", "TLS_CERT_FILE"),
            (
                "SESSION_VALIDATION_SECRET",
                "SESSION_VALIDATION_CLIENT_SECRET",
            ),
        ] {
            assert_eq!(similar_to(name).unwrap_or(""), meant, "{name}");
        }
    }

    #[test]
    fn correct_names_and_names_of_other_programs_are_not_misspelt() {
        for name in variables().chain([
            "REDIS_URL",
            "PATH",
            "HOME",
            "RUST_BACKTRACE",
            "LOG_LEVEL",
            "PGDATABASE",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "REALTIME_SERVER_BIN",
            "REALTIME_SERVER_SERVICE_HOST",
            "REALTIME_SERVER_PORT_3001_TCP",
        ]) {
            assert_eq!(similar_to(name), None, "{name}");
        }
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("PORT", ""), 4);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
