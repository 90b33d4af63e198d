//! Sends one message as a signed HTTP request.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use reqwest::{Client, StatusCode, Url, header, redirect};
use sha2::Sha256;

use super::address::PublicOnly;
use crate::{
    config::{PrivateAddresses, Webhook},
    error::{Error, Result},
    id::{MessageId, Timestamp},
};

/// How long a receiver may take to answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends messages to one address.
pub(super) struct Sender {
    client: Client,
    url: Url,
    secrets: Vec<Vec<u8>>,
}

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    /// The receiver says that it wants no more messages.
    #[error("the receiver answered 410: it is gone")]
    Gone,
    /// The receiver refused it; after how many seconds it asks to be sent it again.
    #[error("the receiver answered {0}")]
    Status(StatusCode, Option<u64>),
    /// There was no answer.
    #[error("{0}")]
    NoAnswer(String),
}

impl Sender {
    /// A sender to the address in `config`, which follows no redirects and uses no proxy.
    ///
    /// # Errors
    /// [`Error::Internal`] where no HTTP client can be made, which is logged.
    pub(super) fn new(config: &Webhook) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "cannot send webhooks");
            Error::Internal
        };
        let url = Url::parse(&config.url).map_err(|error| failed(&error))?;
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(ANSWER_TIMEOUT)
            .no_proxy();
        if config.private_addresses == PrivateAddresses::Refused {
            client = client.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self {
            client: client.build().map_err(|error| failed(&error))?,
            url,
            secrets: config.secrets.clone(),
        })
    }

    /// Sends a message; it is delivered once the receiver has answered with 2xx.
    pub(super) async fn send(
        &self,
        id: MessageId,
        body: String,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        let signature = sign(&self.secrets, id, now, &body);
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id.to_string())
            .header("webhook-timestamp", now.seconds())
            .header("webhook-signature", signature)
            .body(body);
        // The address may hold a password.
        let answer = request.send().await.map_err(|error| {
            let error = error.without_url();
            Undelivered::NoAnswer(format!("{error:#}"))
        })?;
        let after = answer.headers().get(header::RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(Undelivered::Gone),
            status => Err(Undelivered::Status(status, after)),
        }
    }
}

/// The signatures of a message, one for each secret: `v1,` and the base64 of an HMAC-SHA256 of the
/// id, the time and the body, joined by dots.
fn sign(secrets: &[Vec<u8>], id: MessageId, at: Timestamp, body: &str) -> String {
    let signatures = secrets.iter().filter_map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(format!("{id}.{}.{body}", at.seconds()).as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        Some(format!("v1,{signature}"))
    });
    signatures.collect::<Vec<_>>().join(" ")
}
