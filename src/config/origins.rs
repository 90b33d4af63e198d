//! The origins of the web pages that may use the server.
//!
//! A browser sends the page's origin with every cross-origin request and every
//! WebSocket upgrade; both are checked against the same list. Programs other than
//! browsers send no origin, and only their token is checked.

use std::fmt;

use http::{Uri, uri::Scheme};

use super::read::{ConfigError, Reader};

/// The allowed origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every origin, by the setting `*`.
    Any,
    /// These origins, as browsers write them: `https://app.example.com`.
    Listed(Vec<String>),
    /// Pages of this machine, on any port.
    Localhost,
}

impl Origins {
    pub(super) const VARIABLE: &str = "CORS_ALLOWED_ORIGINS";

    /// The origins in the setting; `None` if it is unset.
    pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Self>, ConfigError> {
        let Some(text) = reader.text(Self::VARIABLE)? else {
            return Ok(None);
        };
        if text == "*" {
            return Ok(Some(Self::Any));
        }
        let listed: Result<_, _> = text
            .split(',')
            .map(|origin| {
                parse(origin.trim()).ok_or_else(|| {
                    let expected = "*, or origins such as https://app.example.com, \
                                    without a path and separated by commas";
                    ConfigError::shown(Self::VARIABLE, expected, origin.trim())
                })
            })
            .collect();
        listed.map(|origins| Some(Self::Listed(origins)))
    }

    /// Whether a page of `origin` may use the server. `origin` is the value of the
    /// `Origin` header.
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(listed) => parse(origin).is_some_and(|origin| listed.contains(&origin)),
            Self::Localhost => is_local(origin),
        }
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Listed(listed) => f.write_str(&listed.join(", ")),
            Self::Localhost => f.write_str("pages of this machine"),
        }
    }
}

/// An origin as browsers serialize it: lower case, no default port (RFC 6454, 6.2).
/// `None` unless it is exactly scheme, host and port, and for the opaque origin `null`,
/// which any page can have.
fn parse(origin: &str) -> Option<String> {
    let (_, after_scheme) = origin.split_once("://")?;
    if after_scheme.contains(['/', '?', '#', '@', '*']) {
        return None;
    }
    let uri: Uri = origin.parse().ok()?;
    let scheme = uri.scheme()?;
    let host = uri.host().filter(|host| !host.is_empty())?;
    let default_port = match scheme {
        _ if *scheme == Scheme::HTTP => Some(80),
        _ if *scheme == Scheme::HTTPS => Some(443),
        _ => None,
    };
    let port = match uri.port_u16() {
        // A colon without a valid port behind it.
        None if after_scheme.len() != host.len() => return None,
        port if port == default_port => None,
        port => port,
    };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{port}").to_ascii_lowercase())
}

fn is_local(origin: &str) -> bool {
    let Some(origin) = parse(origin) else {
        return false;
    };
    let Ok(uri) = origin.parse::<Uri>() else {
        return false;
    };
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    web && uri.host().is_some_and(|host| {
        matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Result<Option<Origins>, ConfigError> {
        let source = std::collections::BTreeMap::from([(Origins::VARIABLE, text)]);
        Origins::read(&Reader::new(&source))
    }

    #[test]
    fn a_listed_origin_is_allowed_and_no_other() {
        let origins = listed("https://app.example.com, http://localhost:5173,tauri://localhost")
            .expect("valid")
            .expect("set");
        for origin in [
            "https://app.example.com",
            "https://APP.example.com:443",
            "http://localhost:5173",
            "tauri://localhost",
        ] {
            assert!(origins.allows(origin), "{origin}");
        }
        for origin in [
            "http://app.example.com",
            "https://app.example.com.evil.com",
            "https://evil.com",
            "https://app.example.com:8443",
            "http://localhost",
            "null",
            "",
        ] {
            assert!(!origins.allows(origin), "{origin}");
        }
    }

    #[test]
    fn only_a_star_allows_all_origins() {
        assert_eq!(listed("*"), Ok(Some(Origins::Any)));
        assert!(Origins::Any.allows("https://anything.example"));
        assert_eq!(listed(""), Ok(None));
    }

    #[test]
    fn a_malformed_origin_is_refused_with_the_name_of_the_variable() {
        for wrong in [
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://me@app.example.com",
            "https://*.example.com",
            "https://a.example,*",
            "https://a.example:",
            "https://a.example:99999",
            "https://",
            "null",
            "https://a.example,,https://b.example",
        ] {
            let error = listed(wrong).expect_err(wrong);
            assert_eq!(error.variable, "CORS_ALLOWED_ORIGINS", "{wrong}");
        }
    }

    #[test]
    fn localhost_means_this_machine_on_any_port() {
        for origin in [
            "http://localhost:3000",
            "https://localhost",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "http://app.localhost",
        ] {
            assert!(Origins::Localhost.allows(origin), "{origin}");
        }
        for origin in [
            "http://localhost.evil.com",
            "http://evil.com",
            "http://127.0.0.1.evil.com",
            "http://localhost@evil.com",
            "null",
            "file://",
        ] {
            assert!(!Origins::Localhost.allows(origin), "{origin}");
        }
    }
}
