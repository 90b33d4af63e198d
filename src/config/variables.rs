//! The names of all variables: those that are read, those that are not served
//! yet, and those that look like a slip of the pen.

use super::{
    auth::Auth,
    limits::{Limits, Timing},
    origins::Origins,
    read::{ConfigError, Reader},
};

/// The variables that are neither about tokens nor limits.
const GENERAL: &[&str] = &[
    "REALTIME_ENV",
    "REALTIME_SERVER_HOST",
    "REALTIME_SERVER_PORT",
    "REALTIME_INSTANCE",
    "REALTIME_DEV_DOORS",
    "DATABASE_URL",
    Origins::VARIABLE,
    "METRICS_TOKEN",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "LOG_FORMAT",
    "RUST_LOG",
];

/// Variables of later versions. To ignore one would break what it asks for: with
/// a `REDIS_URL` passed over, instances would split a document's editors silently.
const NOT_SERVED: &[&str] = &[
    "REDIS_URL",
    "SESSION_VALIDATION_URL",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
    "TRUSTED_PROXIES",
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
];

/// Every variable that the server reads.
pub fn variables() -> impl Iterator<Item = &'static str> {
    [
        GENERAL,
        Auth::VARIABLES,
        Limits::VARIABLES,
        Timing::VARIABLES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The variable that was probably meant by `name`; `None` where `name` is right,
/// or has nothing to do with this server.
///
/// A misspelt variable is ignored in silence, and its default may be the
/// opposite of what was asked for.
pub fn meant_by(name: &str) -> Option<&'static str> {
    if variables()
        .chain(NOT_SERVED.iter().copied())
        .any(|known| known == name)
    {
        return None;
    }
    // One slip in eight letters; short names of others are left in peace.
    variables().find(|known| distance(name, known) <= (known.len() / 8).min(3))
}

pub(super) fn refuse_what_is_not_served(reader: &Reader<'_>) -> Result<(), ConfigError> {
    for variable in NOT_SERVED {
        if reader.raw(variable)?.is_some() {
            let expected = "no value, since this version does not serve it";
            return Err(ConfigError::described(variable, expected, "one"));
        }
    }
    Ok(())
}

/// How many letters have to be put in, taken out or replaced to turn `a` into `b`
/// (Wagner and Fischer, one row at a time).
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
    fn a_slip_of_the_pen_is_recognised() {
        for (name, meant) in [
            ("CORS_ALLOWED_ORIGIN", "CORS_ALLOWED_ORIGINS"),
            ("METRIC_TOKEN", "METRICS_TOKEN"),
            ("UPDATE_MAX_BYTES", ""),
            ("REALTIME_SEVER_PORT", "REALTIME_SERVER_PORT"),
            ("JWT_SECRETS", "JWT_SECRET"),
            ("ROOMS_PER_SOCKETS", "ROOMS_PER_SOCKET"),
        ] {
            assert_eq!(meant_by(name).unwrap_or(""), meant, "{name}");
        }
    }

    #[test]
    fn right_names_and_names_of_others_are_left_in_peace() {
        for name in variables().chain([
            "REDIS_URL",
            "PATH",
            "HOME",
            "RUST_BACKTRACE",
            "LOG_LEVEL",
            "PGDATABASE",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ]) {
            assert_eq!(meant_by(name), None, "{name}");
        }
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("PORT", ""), 4);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
