//! A cache of the keys that the platform publishes at an address (JWKS, RFC 7517).
//!
//! Fetched keys are used until newer ones are fetched, so tokens of known keys are also
//! accepted while the address is unreachable. Fetches are bounded in size and time,
//! follow no redirect, and run one at a time and at most once a minute, whatever tokens
//! arrive. Shared secrets in a key set are ignored.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, jwk::Jwk};
use parking_lot::RwLock;
use reqwest::{Client, Response, Url, redirect};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::JoinHandle,
    time::Instant,
};

use super::{key::Key, refuse};
use crate::{
    error::{Error, Result},
    supervise::{Supervisor, Task},
};

/// The largest response, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The largest number of keys in one response.
const KEYS_MAX: usize = 100;

/// How long a fetch may take, from connecting to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Keys older than this are fetched again when one is used, which does not wait for the fetch.
const REFRESH_AFTER: Duration = Duration::from_secs(10 * 60);

/// The least time between two fetches.
const FETCH_INTERVAL: Duration = Duration::from_secs(60);

/// The least time between two fetches while there are no keys, and so no token is accepted.
const FETCH_INTERVAL_WITHOUT_KEYS: Duration = Duration::from_secs(5);

/// A cached key set.
pub(super) struct Jwks {
    client: Client,
    url: Url,
    /// If configured, keys of other algorithms are ignored.
    algorithm: Option<Algorithm>,
    /// `None` until the first fetch succeeds.
    published: RwLock<Option<Published>>,
    supervisor: Supervisor,
    /// When the last fetch began. Locked while a fetch runs, so that there is one at a time.
    fetching: Arc<Mutex<Option<Instant>>>,
}

struct Published {
    keys: Vec<(Option<String>, Arc<Key>)>,
    fetched_at: Instant,
}

/// Why a fetch failed, for the log.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Http(reqwest::Error),
    #[error("answered {0}")]
    Status(reqwest::StatusCode),
    #[error("the response is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the response is not a key set: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        // An address may hold a password.
        Self::Http(error.without_url())
    }
}

impl Jwks {
    /// A set without keys, to be fetched from `url`: https, or http on this machine.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other address.
    pub(super) fn new(
        url: &str,
        algorithm: Option<Algorithm>,
        supervisor: Supervisor,
    ) -> Result<Self> {
        let invalid = || Error::Invalid {
            field: "JWT_JWKS_URL",
            reason: "must be an https address (or http on localhost)",
        };
        let url = Url::parse(url).map_err(|_| invalid())?;
        let local = is_local(&url);
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(FETCH_TIMEOUT);
        match url.scheme() {
            "https" => {}
            "http" if local => client = client.no_proxy(),
            _ => return Err(invalid()),
        }
        let client = client.build().map_err(|error| {
            tracing::error!(%error, "cannot make an HTTP client");
            Error::Internal
        })?;
        Ok(Self {
            client,
            url,
            algorithm,
            published: RwLock::new(None),
            supervisor,
            fetching: Arc::default(),
        })
    }

    /// The key for a token's header.
    ///
    /// Without a `kid`, it is the key of a set with a single one. For a missing key the set
    /// is fetched once, if the last fetch was at least a minute ago.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if no such key is published; [`Error::Overloaded`]
    /// as long as no fetch has succeeded.
    pub(super) async fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<Key>> {
        self.refresh_if_old();
        if let Some(key) = self.cached(kid, algorithm) {
            return Ok(key);
        }
        self.refresh().await;
        match self.cached(kid, algorithm) {
            Some(key) => Ok(key),
            None if self.published.read().is_none() => Err(Error::Overloaded),
            None => Err(refuse("the token's key is not published")),
        }
    }

    /// Fetches the keys, unless that was tried recently; waits for a fetch that is running.
    ///
    /// A failure is logged and leaves the keys unchanged.
    pub(super) async fn refresh(self: &Arc<Self>) {
        let fetching = Arc::clone(&self.fetching).lock_owned().await;
        if let Some(fetch) = self.fetch_unless_recent(fetching) {
            // A panic has the same consequence as a failure: there are no new keys.
            let _ = fetch.await;
        }
    }

    fn refresh_if_old(self: &Arc<Self>) {
        let published = self.published.read();
        let old = published
            .as_ref()
            .is_some_and(|it| it.fetched_at.elapsed() >= REFRESH_AFTER);
        drop(published);
        if old && let Ok(fetching) = Arc::clone(&self.fetching).try_lock_owned() {
            self.fetch_unless_recent(fetching);
        }
    }

    /// Begins a fetch, as a separate task: a caller that is cancelled must not cancel the
    /// fetch for the others.
    fn fetch_unless_recent(
        self: &Arc<Self>,
        mut fetching: OwnedMutexGuard<Option<Instant>>,
    ) -> Option<JoinHandle<()>> {
        let interval = match *self.published.read() {
            Some(_) => FETCH_INTERVAL,
            None => FETCH_INTERVAL_WITHOUT_KEYS,
        };
        if fetching.is_some_and(|began_at| began_at.elapsed() < interval) {
            return None;
        }
        *fetching = Some(Instant::now());
        let jwks = Arc::clone(self);
        Some(self.supervisor.spawn(Task::KeyFetch, async move {
            match jwks.fetch().await {
                Ok(published) => *jwks.published.write() = Some(published),
                // The Debug form, because the causes tell which layer failed.
                Err(error) => tracing::warn!(?error, "cannot fetch the JWKS"),
            }
            drop(fetching);
        }))
    }

    fn cached(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let published = self.published.read();
        let keys = &published.as_ref()?.keys;
        let Some(kid) = kid else {
            // Without a `kid`, one of several keys is not chosen by trying them all.
            return match keys.as_slice() {
                [(_, key)] => Some(Arc::clone(key)),
                _ => None,
            };
        };
        let named = |(name, key): &&(Option<String>, Arc<Key>)| {
            name.as_deref() == Some(kid) && key.algorithm() == algorithm
        };
        keys.iter().find(named).map(|(_, key)| Arc::clone(key))
    }

    async fn fetch(&self) -> Result<Published, FetchError> {
        let response = self.client.get(self.url.clone()).send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let published = self.read_set(&bounded_body(response).await?)?;
        tracing::debug!(keys = published.keys.len(), "fetched the JWKS");
        Ok(published)
    }

    /// Reads the keys that can be used. Others, and malformed ones, are ignored.
    fn read_set(&self, body: &[u8]) -> Result<Published, FetchError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(body)?;
        if set.keys.len() > KEYS_MAX {
            return Err(FetchError::TooMany);
        }
        let listed = set.keys.len();
        let jwks = set
            .keys
            .into_iter()
            .filter_map(|key| Jwk::deserialize(key).ok());
        let keys: Vec<_> = jwks
            .filter_map(|jwk| {
                let key = Key::from_jwk(&jwk, self.algorithm)?;
                Some((jwk.common.key_id, Arc::new(key)))
            })
            .collect();
        if keys.is_empty() {
            tracing::warn!(listed, "the JWKS has no usable key");
        }
        Ok(Published {
            keys,
            fetched_at: Instant::now(),
        })
    }
}

/// Reads a body up to the limit, whatever length it declares.
async fn bounded_body(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
