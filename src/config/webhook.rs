//! The settings of webhooks.

use std::{fmt, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Environment,
    address::is_public,
    read::{ConfigError, Reader},
};

/// The prefix of a secret, as Standard Webhooks writes it.
const PREFIX: &str = "whsec_";

/// Where messages to the main service are sent, and how they are signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The address. It may hold a password.
    pub url: String,
    /// The keys of the signatures, each 24 to 64 bytes: one, or several while it is exchanged.
    pub secrets: Vec<Vec<u8>>,
    /// Whether the address may be inside a private network.
    pub private_addresses: PrivateAddresses,
    /// How long to wait after the first attempt that fails, in milliseconds; the wait grows
    /// fourfold with each attempt.
    pub retry_ms: u64,
}

/// Whether messages may be sent to addresses inside private networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// They may.
    Allowed,
    /// They may not: no attempt connects to such an address.
    Refused,
}

impl Webhook {
    pub(super) const VARIABLES: &[&str] = &[
        "WEBHOOK_URL",
        "WEBHOOK_SECRET",
        "WEBHOOK_PRIVATE_ADDRESSES",
        "WEBHOOK_RETRY_MS",
    ];

    pub(super) fn read(
        reader: &Reader<'_>,
        environment: Environment,
    ) -> Result<Option<Self>, ConfigError> {
        let url = reader.web_address("WEBHOOK_URL")?;
        let secrets = secrets(reader)?;
        let words = [
            ("allow", PrivateAddresses::Allowed),
            ("refuse", PrivateAddresses::Refused),
        ];
        let private_addresses = reader.choice("WEBHOOK_PRIVATE_ADDRESSES", &words)?;
        let retry_ms = reader.number("WEBHOOK_RETRY_MS", 5000, 10..=600_000)?;
        let private_addresses = private_addresses.unwrap_or(match environment {
            Environment::Development => PrivateAddresses::Allowed,
            Environment::Production => PrivateAddresses::Refused,
        });
        match (url, secrets) {
            (None, None) => Ok(None),
            // Names are checked when they are resolved.
            (Some(url), Some(_))
                if private_addresses == PrivateAddresses::Refused
                    && literal(&url).is_some_and(|address| !is_public(address)) =>
            {
                let expected = "an address outside of private networks \
                                (or WEBHOOK_PRIVATE_ADDRESSES=allow)";
                Err(ConfigError::described(
                    "WEBHOOK_URL",
                    expected,
                    "one inside",
                ))
            }
            (Some(url), Some(secrets)) => Ok(Some(Self {
                url,
                secrets,
                private_addresses,
                retry_ms,
            })),
            (Some(_), None) => {
                let expected = "a secret, since WEBHOOK_URL is set";
                Err(ConfigError::described("WEBHOOK_SECRET", expected, "none"))
            }
            (None, Some(_)) => {
                let expected = "an address, since WEBHOOK_SECRET is set";
                Err(ConfigError::described("WEBHOOK_URL", expected, "none"))
            }
        }
    }
}

/// The IP address that the host of `url` is, if it is one.
fn literal(url: &str) -> Option<IpAddr> {
    let url: http::Uri = url.parse().ok()?;
    url.host()?.trim_matches(['[', ']']).parse().ok()
}

/// The secrets, which are separated by spaces. An error does not show them.
fn secrets(reader: &Reader<'_>) -> Result<Option<Vec<Vec<u8>>>, ConfigError> {
    const VARIABLE: &str = "WEBHOOK_SECRET";
    let Some(text) = reader.text(VARIABLE)? else {
        return Ok(None);
    };
    let decode = |word: &str| {
        let secret = STANDARD.decode(word.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&secret.len()).then_some(secret)
    };
    let secrets: Option<Vec<_>> = text.split_whitespace().map(decode).collect();
    secrets.map(Some).ok_or_else(|| {
        let expected = "whsec_ and the base64 of 24 to 64 bytes (several separated by spaces)";
        ConfigError::described(VARIABLE, expected, "another text")
    })
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("private_addresses", &self.private_addresses)
            .field("retry_ms", &self.retry_ms)
            .finish_non_exhaustive()
    }
}
