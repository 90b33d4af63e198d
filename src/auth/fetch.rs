//! Requests to the platform's own services: the address of its keys, and that of its sessions.
//!
//! An address is `https`, or `http` on this machine; where it is configured, also `http` to a host
//! inside a private network, whatever its name resolves to meanwhile. No request follows a redirect,
//! every answer is bounded in size, and every request in time.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use crate::{
    config::{PrivateAddresses, is_public},
    error::{Error, Result},
};

/// How long a request may take, from connecting to the last byte.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request failed, for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Http(reqwest::Error),
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        // An address may hold a password.
        Self::Http(error.without_url())
    }
}

/// Sends requests to one address.
pub(super) struct Fetcher {
    client: Client,
    url: Url,
}

impl Fetcher {
    /// Requests to `url`, which the variable `field` sets. `private` says whether `http` may be used
    /// inside a private network.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the variable for an address that may not be used.
    pub(super) fn new(field: &'static str, url: &str, private: PrivateAddresses) -> Result<Self> {
        let invalid = || Error::Invalid {
            field,
            reason: "must be an https address (or http on localhost, or \
                     with AUTH_PRIVATE_HTTP=allow inside a private network)",
        };
        let url = Url::parse(url).map_err(|_| invalid())?;
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT);
        let client = match (url.scheme(), private) {
            ("https", _) => client,
            ("http", _) if is_local(&url) => client.no_proxy(),
            ("http", PrivateAddresses::Allowed) if !literal(&url).is_some_and(is_public) => {
                client.no_proxy().dns_resolver(Arc::new(PrivateOnly))
            }
            _ => return Err(invalid()),
        };
        let client = client.build().map_err(|error| {
            tracing::error!(%error, "cannot make an HTTP client");
            Error::Internal
        })?;
        Ok(Self { client, url })
    }

    /// A GET request.
    pub(super) fn get(&self) -> RequestBuilder {
        self.client.get(self.url.clone())
    }

    /// A POST request.
    pub(super) fn post(&self) -> RequestBuilder {
        self.client.post(self.url.clone())
    }
}

/// Sends a request and reads its answer, which has to be 200 and at most `bytes_max` long, whatever
/// length it declares.
pub(super) async fn answer(
    request: RequestBuilder,
    bytes_max: usize,
) -> Result<Vec<u8>, FetchError> {
    let mut response: Response = request.send().await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Err(FetchError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The IP address that the host of `url` is, if it is one.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str().unwrap_or_default();
    host.trim_matches(['[', ']']).parse().ok()
}

fn is_local(url: &Url) -> bool {
    url.host_str() == Some("localhost") || literal(url).is_some_and(|host| host.is_loopback())
}

/// Resolves names to addresses inside private networks only: a name that somebody moves to the
/// internet gets no request without encryption.
struct PrivateOnly;

impl Resolve for PrivateOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let private: Vec<SocketAddr> = found.filter(|it| !is_public(it.ip())).collect();
            if private.is_empty() {
                let reason = "the name has no address inside a private network";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason).into());
            }
            let addresses: Addrs = Box::new(private.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_or_of_this_machine_or_private_where_configured() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let fetcher = |url, private| Fetcher::new("A_URL", url, private).map(drop);
        for good in [
            "https://platform.example/jwks",
            "http://localhost:3000/jwks",
            "http://127.0.0.1/jwks",
            "http://[::1]:3000/jwks",
        ] {
            assert_eq!(fetcher(good, PrivateAddresses::Refused), Ok(()), "{good}");
        }
        for private in [
            "http://login/jwks",
            "http://10.0.0.7/jwks",
            "http://[fd00::7]/",
        ] {
            assert_eq!(fetcher(private, PrivateAddresses::Allowed), Ok(()));
            let error = fetcher(private, PrivateAddresses::Refused).expect_err(private);
            assert_eq!(error.field(), Some("A_URL"));
        }
        for bad in [
            "http://1.1.1.1/jwks",
            "file:///etc/passwd",
            "login/jwks",
            "",
        ] {
            assert!(fetcher(bad, PrivateAddresses::Allowed).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_outside_of_private_networks_gets_no_request_without_encryption() {
        let resolved = |name: &str| PrivateOnly.resolve(name.parse().expect("a name"));
        assert!(resolved("localhost").await.is_ok());
        // A literal address is resolved without a network.
        assert!(resolved("1.1.1.1").await.is_err());
    }
}
