//! Asks the main service whether a token is still active (RFC 7662, OAuth 2.0 token introspection).
//!
//! Only tokens are asked about that are valid without it: a stranger causes no request. An answer is
//! used for the configured time; requests for one token are made once at a time, and at most 32 in
//! all. After several failures in a row the main service is left alone for a while. While it does not
//! answer, a token that it called active within the last ten minutes stays accepted.

mod answers;
mod circuit;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::header;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use self::{
    answers::{Answers, Slot},
    circuit::Circuit,
};
use super::fetch::{self, FetchError, Fetcher};
use crate::{
    config::{OnFailure, PrivateAddresses, SessionValidation, ValidationCredentials},
    error::Result,
    metrics::{Asked, Metrics},
};

/// The largest answer, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The most requests at once.
const REQUESTS_MAX: usize = 32;
/// How long a caller waits for an answer, with the wait for others.
const WAIT_MAX: Duration = Duration::from_secs(8);
/// How long a token that was active stays accepted while the main service does not answer.
const ACCEPTED_WITHOUT_ANSWER: Duration = Duration::from_secs(600);

/// A verified token, which is kept to be asked about again. Neither is shown in logs.
pub struct Credential {
    token: Box<str>,
    hash: [u8; 32],
}

impl Credential {
    pub(super) fn new(token: &str) -> Self {
        Self {
            token: token.into(),
            hash: Sha256::digest(token).into(),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(hidden)")
    }
}

/// What is known of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Active,
    Inactive,
    /// The main service does not answer, and did not call the token active lately.
    Unknown,
}

/// Asks the main service at one address.
pub(super) struct Introspection {
    fetcher: Fetcher,
    credentials: ValidationCredentials,
    ttl: Duration,
    pub(super) on_failure: OnFailure,
    answers: Answers,
    requests: Semaphore,
    metrics: Metrics,
    circuit: Mutex<Circuit>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("the answer is not of RFC 7662: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Introspection {
    /// # Errors
    /// [`Error::Invalid`](crate::error::Error::Invalid) for an address that may not be used.
    pub(super) fn new(
        config: &SessionValidation,
        private: PrivateAddresses,
        metrics: Metrics,
    ) -> Result<Self> {
        Ok(Self {
            fetcher: Fetcher::new("SESSION_VALIDATION_URL", &config.url, private)?,
            credentials: config.credentials.clone(),
            ttl: Duration::from_millis(config.ttl_ms),
            on_failure: config.on_failure,
            answers: Answers::default(),
            requests: Semaphore::new(REQUESTS_MAX),
            metrics,
            circuit: Mutex::default(),
        })
    }

    /// Whether the answer about a token is older than the configured time.
    pub(super) fn is_stale(&self, credential: &Credential) -> bool {
        let answer = self.answers.find(&credential.hash);
        answer.is_none_or(|answer| answer.at.elapsed() >= self.ttl)
    }

    /// Whether a token is active, by an answer that is fresh enough. Waits for at most 8 s.
    pub(super) async fn verdict(&self, credential: &Credential) -> Verdict {
        let slot = self.answers.slot(&credential.hash, ACCEPTED_WITHOUT_ANSWER);
        if let Some(verdict) = slot.verdict_within(self.ttl) {
            self.metrics.introspected(Asked::Cached);
            return verdict;
        }
        // A caller that is cancelled cancels its request; the next one asks again.
        let asked = timeout(WAIT_MAX, self.ask_once(credential, &slot)).await;
        if let Ok(Some(verdict)) = asked {
            return verdict;
        }
        match slot.verdict_within(ACCEPTED_WITHOUT_ANSWER) {
            Some(Verdict::Active) => Verdict::Active,
            _ => Verdict::Unknown,
        }
    }

    /// Asks, unless somebody else has just asked about the same token.
    async fn ask_once(&self, credential: &Credential, slot: &Arc<Slot>) -> Option<Verdict> {
        let _asking = slot.asking.lock().await;
        if let Some(verdict) = slot.verdict_within(self.ttl) {
            self.metrics.introspected(Asked::Cached);
            return Some(verdict);
        }
        let _permit = self.requests.acquire().await.ok()?;
        if !self.circuit.lock().may_ask(Instant::now()) {
            self.metrics.introspected(Asked::LeftAlone);
            return None;
        }
        match self.ask(credential).await {
            Ok(verdict) => {
                slot.answered(verdict, Instant::now());
                self.metrics.introspected(match verdict {
                    Verdict::Active => Asked::Active,
                    Verdict::Inactive | Verdict::Unknown => Asked::Inactive,
                });
                if self.circuit.lock().succeeded() {
                    self.metrics.introspection_circuit(false);
                    tracing::info!("the main service answers again about sessions");
                }
                Some(verdict)
            }
            Err(error) => {
                // The Debug form, because the causes tell which layer failed.
                tracing::warn!(?error, "no answer of the main service about a session");
                self.metrics.introspected(Asked::Failed);
                if self.circuit.lock().failed(Instant::now()) {
                    self.metrics.introspection_circuit(true);
                    tracing::error!("the main service does not answer about sessions");
                }
                None
            }
        }
    }

    async fn ask(&self, credential: &Credential) -> Result<Verdict, NoAnswer> {
        #[derive(Deserialize)]
        struct Answer {
            active: bool,
        }
        let request = self
            .fetcher
            .post()
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            // The characters of a verified JWT need no escape.
            .body(format!(
                "token={}&token_type_hint=access_token",
                credential.token
            ));
        let request = match &self.credentials {
            ValidationCredentials::None => request,
            ValidationCredentials::Bearer(token) => request.bearer_auth(token),
            ValidationCredentials::Client { id, secret } => {
                // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
                request.basic_auth(form_encoded(id), Some(form_encoded(secret)))
            }
        };
        let body = fetch::answer(request, BODY_BYTES_MAX).await?;
        let Answer { active } = serde_json::from_slice(&body)?;
        Ok(if active {
            Verdict::Active
        } else {
            Verdict::Inactive
        })
    }
}

/// `text` as application/x-www-form-urlencoded.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_credentials_are_form_encoded() {
        assert_eq!(form_encoded("a-Z_0.9*"), "a-Z_0.9*");
        assert_eq!(form_encoded("a b:c%ü"), "a+b%3Ac%25%C3%BC");
    }

    #[test]
    fn a_credential_is_not_shown() {
        assert_eq!(
            format!("{:?}", Credential::new("a.b.c")),
            "Credential(hidden)"
        );
    }
}
