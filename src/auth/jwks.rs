//! A cache of the keys that the platform publishes at an address (JWKS, RFC 7517).
//!
//! Fetched keys are used until newer ones are fetched, so tokens of known keys are also
//! accepted while the address is unreachable. Fetches are bounded in size and time,
//! follow no redirect, and run one at a time and at most every three seconds, whatever
//! tokens arrive. Shared secrets in a key set are ignored.
//!
//! A token whose key is not known is refused only after a fetch that began when the token
//! had arrived: a key that was published just before is never refused because somebody
//! else, with a key that does not exist, caused a fetch a moment earlier. The token waits
//! for the next fetch instead.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, jwk::Jwk};
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, Semaphore},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    fetch::{self, FetchError, Fetcher},
    key::Key,
    refuse,
};
use crate::{
    config::PrivateAddresses,
    error::{Error, Result},
    supervise::{Supervisor, Task},
};

/// The largest response, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The largest number of keys in one response.
const KEYS_MAX: usize = 100;

/// Keys older than this are fetched again when one is used, which does not wait for the fetch.
const REFRESH_AFTER: Duration = Duration::from_secs(10 * 60);

/// The least time between two fetches because of the age of the keys.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// The least time between two fetches because of keys that are not known.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(3);

/// The most tokens that wait for a fetch.
const WAITING_MAX: usize = 1000;

/// The least time between two fetches while there are no keys, and so no token is accepted.
const INTERVAL_WITHOUT_KEYS: Duration = Duration::from_secs(5);

/// A cached key set.
pub(super) struct Jwks {
    fetcher: Fetcher,
    /// If configured, keys of other algorithms are ignored.
    algorithm: Option<Algorithm>,
    /// `None` until the first fetch succeeds.
    published: RwLock<Option<Published>>,
    supervisor: Supervisor,
    /// Permits to wait for a fetch.
    waiting: Semaphore,
    /// When the last fetch began. Locked while a fetch runs, so that there is one at a time.
    fetching: Arc<Mutex<Option<Instant>>>,
}

struct Published {
    keys: Vec<(Option<String>, Arc<Key>)>,
    /// When the fetch began.
    since: Instant,
}

/// Why there are no new keys, for the log.
#[derive(Debug, thiserror::Error)]
enum NoKeys {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("the response is not a key set: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
}

impl Jwks {
    /// A set without keys, to be fetched from `url`: https, or http on this machine or, if
    /// `private` allows it, inside a private network.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other address.
    pub(super) fn new(
        url: &str,
        private: PrivateAddresses,
        algorithm: Option<Algorithm>,
        supervisor: Supervisor,
    ) -> Result<Self> {
        Ok(Self {
            fetcher: Fetcher::new("JWT_JWKS_URL", url, private)?,
            algorithm,
            published: RwLock::new(None),
            supervisor,
            waiting: Semaphore::new(WAITING_MAX),
            fetching: Arc::default(),
        })
    }

    /// The key for a token's header.
    ///
    /// Without a `kid`, it is the key of a set with a single one. If a key is missing, waits
    /// for a fetch that begins now or, if the last one was a moment ago, within 3 seconds.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if no such key is published; [`Error::Overloaded`] if that is
    /// not known, because the fetch failed or 1,000 tokens are waiting already.
    pub(super) async fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<Key>> {
        let arrived = Instant::now();
        self.refresh_if_old();
        if let Some(key) = self.cached(kid, algorithm) {
            return Ok(key);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Overloaded)?;
        loop {
            let due = self.fetch_since(arrived).await;
            match (self.cached(kid, algorithm), due) {
                (Some(key), _) => return Ok(key),
                (None, Some(due)) => sleep_until(due).await,
                (None, None) if self.is_newer_than(arrived) => {
                    return Err(refuse("the token's key is not published"));
                }
                (None, None) => return Err(Error::Overloaded),
            }
        }
    }

    /// Fetches the keys, unless that was tried recently; waits for a fetch that is running.
    ///
    /// A failure is logged and leaves the keys unchanged.
    pub(super) async fn refresh(self: &Arc<Self>) {
        let fetching = Arc::clone(&self.fetching).lock_owned().await;
        let recent = |began_at: Instant| began_at.elapsed() < INTERVAL_WITHOUT_KEYS;
        if !fetching.is_some_and(recent) {
            self.fetch_now(fetching).await;
        }
    }

    /// Waits for a fetch that is running, or begins one that is due. `None` once a fetch has ended that
    /// began after `arrived`; until then, when the next one may begin. While there are no keys at all,
    /// a fetch that is not due is not waited for.
    async fn fetch_since(self: &Arc<Self>, arrived: Instant) -> Option<Instant> {
        if self.published.read().is_none() {
            self.refresh().await;
            return None;
        }
        let fetching = Arc::clone(&self.fetching).lock_owned().await;
        let due = match *fetching {
            Some(began_at) if began_at >= arrived => return None,
            Some(began_at) => began_at + UNKNOWN_KEY_INTERVAL,
            None => arrived,
        };
        if due > Instant::now() {
            return Some(due);
        }
        self.fetch_now(fetching).await;
        None
    }

    fn refresh_if_old(self: &Arc<Self>) {
        let published = self.published.read();
        let old = published
            .as_ref()
            .is_some_and(|it| it.since.elapsed() >= REFRESH_AFTER);
        drop(published);
        if old
            && let Ok(fetching) = Arc::clone(&self.fetching).try_lock_owned()
            && !fetching.is_some_and(|began_at| began_at.elapsed() < REFRESH_INTERVAL)
        {
            self.begin_fetch(fetching);
        }
    }

    async fn fetch_now(self: &Arc<Self>, fetching: OwnedMutexGuard<Option<Instant>>) {
        // A panic has the same consequence as a failure: there are no new keys.
        let _ = self.begin_fetch(fetching).await;
    }

    /// Begins a fetch, as a separate task: a caller that is cancelled must not cancel the
    /// fetch for the others.
    fn begin_fetch(
        self: &Arc<Self>,
        mut fetching: OwnedMutexGuard<Option<Instant>>,
    ) -> JoinHandle<()> {
        let now = Instant::now();
        *fetching = Some(now);
        let jwks = Arc::clone(self);
        self.supervisor.spawn(Task::KeyFetch, async move {
            match jwks.fetch(now).await {
                Ok(published) => *jwks.published.write() = Some(published),
                // The Debug form, because the causes tell which layer failed.
                Err(error) => tracing::warn!(?error, "cannot fetch the JWKS"),
            }
            drop(fetching);
        })
    }

    fn is_newer_than(&self, arrived: Instant) -> bool {
        let published = self.published.read();
        published.as_ref().is_some_and(|it| it.since >= arrived)
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

    async fn fetch(&self, since: Instant) -> Result<Published, NoKeys> {
        let body = fetch::answer(self.fetcher.get(), BODY_BYTES_MAX).await?;
        let published = self.read_set(&body, since)?;
        tracing::debug!(keys = published.keys.len(), "fetched the JWKS");
        Ok(published)
    }

    /// Reads the keys that can be used. Others, and malformed ones, are ignored.
    fn read_set(&self, body: &[u8], since: Instant) -> Result<Published, NoKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(body)?;
        if set.keys.len() > KEYS_MAX {
            return Err(NoKeys::TooMany);
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
        Ok(Published { keys, since })
    }
}

#[cfg(test)]
mod tests;
