//! The settings of the main service's token introspection (RFC 7662).

use std::fmt;

use super::{
    cells::{HIDDEN, Row, with_unit, without_user},
    read::{ConfigError, Reader},
};

/// Where the main service is asked whether a token is still active.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionValidation {
    /// The address. It may hold a password.
    pub url: String,
    /// How this server identifies itself there.
    pub credentials: ValidationCredentials,
    /// How long an answer is used, in milliseconds: so late may the end of a session take effect.
    pub ttl_ms: u64,
    /// What happens to newcomers while the main service does not answer.
    pub on_failure: OnFailure,
}

/// How this server identifies itself to the main service.
#[derive(Clone, PartialEq, Eq)]
pub enum ValidationCredentials {
    /// It does not: the address is reached by servers of the platform only.
    None,
    /// By a bearer token.
    Bearer(String),
    /// By HTTP Basic, as a client of OAuth 2.0.
    Client {
        /// The client's id.
        id: String,
        /// The client's secret.
        secret: String,
    },
}

/// What happens to newcomers while the main service does not answer. Those who are connected stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are told to try again later.
    #[default]
    Refuse,
    /// They are accepted, if their tokens are valid otherwise.
    Accept,
}

impl SessionValidation {
    pub(super) const VARIABLES: &[&str] = &[
        "SESSION_VALIDATION_URL",
        "SESSION_VALIDATION_CLIENT_ID",
        "SESSION_VALIDATION_CLIENT_SECRET",
        "SESSION_VALIDATION_TOKEN",
        "SESSION_VALIDATION_TTL_MS",
        "SESSION_VALIDATION_ON_FAILURE",
    ];

    pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Self>, ConfigError> {
        let url = reader.web_address("SESSION_VALIDATION_URL")?;
        let credentials = ValidationCredentials::read(reader)?;
        let ttl_ms = reader.number("SESSION_VALIDATION_TTL_MS", 30_000, 100..=3_600_000)?;
        let words = [("refuse", OnFailure::Refuse), ("accept", OnFailure::Accept)];
        let on_failure = reader.choice("SESSION_VALIDATION_ON_FAILURE", &words)?;
        match (url, credentials) {
            (None, ValidationCredentials::None) => Ok(None),
            (None, _) => Err(ConfigError::described(
                "SESSION_VALIDATION_URL",
                "an address, since credentials for it are set",
                "none",
            )),
            (Some(url), credentials) => Ok(Some(Self {
                url,
                credentials,
                ttl_ms,
                on_failure: on_failure.unwrap_or_default(),
            })),
        }
    }

    /// The rows of a table of settings: the variables and their values, without secrets.
    pub(super) fn rows(validation: Option<&Self>) -> Vec<Row> {
        let Some(validation) = validation else {
            let unset = |variable: &&'static str| (*variable, "none".to_owned());
            let mut rows: Vec<Row> = Self::VARIABLES.iter().map(unset).collect();
            rows[0].1.push_str(": tokens are not asked about");
            return rows;
        };
        let [mut id, mut secret, mut token] = ["none"; 3];
        match &validation.credentials {
            ValidationCredentials::None => {}
            ValidationCredentials::Bearer(_) => token = HIDDEN,
            ValidationCredentials::Client { id: named, .. } => {
                id = named.as_str();
                secret = HIDDEN;
            }
        }
        let on_failure = match validation.on_failure {
            OnFailure::Refuse => "refuse",
            OnFailure::Accept => "accept",
        };
        let ttl = with_unit("SESSION_VALIDATION_TTL_MS", validation.ttl_ms.to_string());
        vec![
            ("SESSION_VALIDATION_URL", without_user(&validation.url)),
            ("SESSION_VALIDATION_CLIENT_ID", id.into()),
            ("SESSION_VALIDATION_CLIENT_SECRET", secret.into()),
            ("SESSION_VALIDATION_TOKEN", token.into()),
            ("SESSION_VALIDATION_TTL_MS", ttl),
            ("SESSION_VALIDATION_ON_FAILURE", on_failure.into()),
        ]
    }
}

impl ValidationCredentials {
    fn read(reader: &Reader<'_>) -> Result<Self, ConfigError> {
        let missing = |variable, expected| Err(ConfigError::described(variable, expected, "none"));
        let id = reader.text("SESSION_VALIDATION_CLIENT_ID")?;
        let secret = reader.raw("SESSION_VALIDATION_CLIENT_SECRET")?;
        let token = reader.text("SESSION_VALIDATION_TOKEN")?;
        match (id, secret, token) {
            (None, None, None) => Ok(Self::None),
            (Some(id), Some(secret), None) => Ok(Self::Client { id, secret }),
            (None, None, Some(token)) if token.chars().all(|c| c.is_ascii_graphic()) => {
                Ok(Self::Bearer(token))
            }
            (None, None, Some(_)) => Err(ConfigError::described(
                "SESSION_VALIDATION_TOKEN",
                "visible ASCII characters without spaces",
                "other characters",
            )),
            (Some(_), None, None) => missing(
                "SESSION_VALIDATION_CLIENT_SECRET",
                "a secret, since SESSION_VALIDATION_CLIENT_ID is set",
            ),
            (None, Some(_), None) => missing(
                "SESSION_VALIDATION_CLIENT_ID",
                "an id, since SESSION_VALIDATION_CLIENT_SECRET is set",
            ),
            (_, _, Some(_)) => Err(ConfigError::described(
                "SESSION_VALIDATION_TOKEN",
                "no value, since SESSION_VALIDATION_CLIENT_ID or its secret is set",
                "a value",
            )),
        }
    }

    /// The kind of credentials, without them.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer(_) => "a bearer token",
            Self::Client { .. } => "the id and secret of a client",
        }
    }
}

/// Shows neither the address nor the credentials.
impl fmt::Debug for SessionValidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionValidation")
            .field("credentials", &self.credentials)
            .field("ttl_ms", &self.ttl_ms)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ValidationCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}
