//! Which web pages may talk to the server.
//!
//! A browser names the page's origin in every cross-origin request and in every
//! WebSocket upgrade; both are checked against the same list. Programs that are
//! no browser name none, and are judged by their token alone.

use std::fmt;

use http::{Uri, uri::Scheme};

use super::read::{ConfigError, Reader};

/// The origins that browsers may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every page: `*` was said.
    Any,
    /// These pages, as browsers write them: `https://app.example.com`.
    Listed(Vec<String>),
    /// Pages of this very machine, on any port.
    Localhost,
}

impl Origins {
    pub(super) const VARIABLE: &str = "CORS_ALLOWED_ORIGINS";

    /// The listed origins; `None` where the variable is unset.
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

    /// Whether a page of `origin` may talk to the server; `origin` is the
    /// value of the header of that name.
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
/// `None` for whatever is more or less than scheme, host and port, and for the
/// opaque origin `null`, which any page can take on.
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
        // A colon with nothing, or nothing sensible, after it.
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
    fn a_star_has_to_be_said_and_allows_all() {
        assert_eq!(listed("*"), Ok(Some(Origins::Any)));
        assert!(Origins::Any.allows("https://anything.example"));
        assert_eq!(listed(""), Ok(None));
    }

    #[test]
    fn what_is_no_origin_is_refused_by_name() {
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
