//! Verifies tokens, in a fixed order: size, header, key, signature, time, issuer
//! and audience, and then the other claims.
//!
//! No claim is used before the signature is verified. Of the header, `kid` only chooses
//! among the published keys, and `alg` must be the algorithm of the chosen key. Tokens
//! are not stored, and revoked sessions are not known here.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, decode_header};
use serde_json::{Map, Value};

use super::{
    Claims, Times,
    jwks::Jwks,
    key::{self, Key},
    refuse,
};
use crate::{
    config::{Auth, ClaimNames, SigningKey},
    error::{Error, Result},
    id::Timestamp,
    supervise::Supervisor,
};

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The largest difference of clocks that is tolerated, in milliseconds, whatever is configured.
const LEEWAY_MS_MAX: u64 = 5000;

/// Turns tokens into [`Claims`]. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    rules: Arc<Rules>,
}

struct Rules {
    keys: Keys,
    issuer: Option<String>,
    audience: Option<String>,
    leeway_ms: f64,
    claims: ClaimNames,
}

enum Keys {
    One(Box<Key>),
    Published(Arc<Jwks>),
}

impl Verifier {
    /// Makes the verifier that `auth` configures.
    ///
    /// A development secret is read, or generated. A JWKS is fetched, which may take
    /// 5 seconds; if that fails, it is fetched again when tokens arrive. The process
    /// must have installed its TLS provider before. `supervisor` owns the fetches.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the name of the variable that is invalid, or
    /// [`Error::Internal`] if the development secret's file cannot be read or written.
    pub async fn new(auth: &Auth, supervisor: &Supervisor) -> Result<Self> {
        let algorithm = key::algorithm(auth.algorithm.as_deref())?;
        let one = |key| Keys::One(Box::new(key));
        let keys = match &auth.key {
            SigningKey::Secret(secret) => one(Key::from_secret(secret, algorithm)?),
            SigningKey::DevelopmentSecret { file } => {
                let secret = key::development_secret(file)?;
                one(Key::from_secret(&secret, algorithm)?)
            }
            SigningKey::PublicKeyPem(pem) => one(Key::from_pem(pem, algorithm)?),
            SigningKey::Jwks { url } => {
                let jwks = Arc::new(Jwks::new(url, algorithm, supervisor.clone())?);
                jwks.refresh().await;
                Keys::Published(jwks)
            }
        };
        let rules = Rules {
            keys,
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            leeway_ms: auth.leeway_ms.min(LEEWAY_MS_MAX) as f64,
            claims: auth.claims.clone(),
        };
        Ok(Self {
            rules: Arc::new(rules),
        })
    }

    /// Verifies `token` at the present time, as [`verify_at`](Self::verify_at) does.
    ///
    /// # Errors
    /// The same.
    pub async fn verify(&self, token: &str) -> Result<Claims> {
        self.verify_at(token, Timestamp::now()).await
    }

    /// Verifies `token` at the time `now`.
    ///
    /// Waits only if the token's key is not in the cache, for at most one fetch. May be
    /// cancelled at any time.
    ///
    /// # Errors
    /// [`Error::TokenExpired`] from `exp` on, for a token with a valid signature;
    /// [`Error::Overloaded`] until the published keys were fetched for the first time;
    /// [`Error::Unauthorized`] for every other refusal.
    pub async fn verify_at(&self, token: &str, now: Timestamp) -> Result<Claims> {
        let rules = &self.rules;
        let (algorithm, kid) = read_header(token)?;
        let payload = match &rules.keys {
            Keys::One(key) => key.open(token)?,
            Keys::Published(jwks) => jwks.find(kid.as_deref(), algorithm).await?.open(token)?,
        };
        let times = rules.check_times(&payload, now)?;
        rules.check_issuer(&payload)?;
        rules.check_audience(&payload)?;
        Claims::read(&payload, &rules.claims, times)
    }
}

/// The algorithm and key id in the header, which is not verified yet.
fn read_header(token: &str) -> Result<(Algorithm, Option<String>)> {
    if token.is_empty() {
        return Err(refuse("a token is needed"));
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(refuse("the token is larger than 16384 bytes"));
    }
    let header = decode_header(token);
    let header =
        header.map_err(|_| refuse("the token is malformed, or of an unknown algorithm"))?;
    // RFC 7515, section 4.1.11: a token with an unknown critical extension must be refused.
    if header.crit.is_some() {
        return Err(refuse(
            "the token requires an extension that is not supported",
        ));
    }
    Ok((header.alg, header.kid))
}

impl Rules {
    fn check_times(&self, payload: &Map<String, Value>, now: Timestamp) -> Result<Times> {
        let now_ms = now.0 as f64;
        let is_ahead = |seconds: f64| seconds * 1000.0 > now_ms + self.leeway_ms;

        let expires_at = time(payload, "exp")?.ok_or_else(|| refuse("the token has no exp"))?;
        if now_ms >= expires_at * 1000.0 + self.leeway_ms {
            return Err(Error::TokenExpired);
        }
        if time(payload, "nbf")?.is_some_and(is_ahead) {
            return Err(refuse("the token is not valid yet"));
        }
        let issued_at = time(payload, "iat")?;
        if issued_at.is_some_and(is_ahead) {
            return Err(refuse("the token was issued in the future"));
        }
        Ok(Times {
            issued_at,
            expires_at,
        })
    }

    fn check_issuer(&self, payload: &Map<String, Value>) -> Result<()> {
        let Some(issuer) = &self.issuer else {
            return Ok(());
        };
        match payload.get("iss").and_then(Value::as_str) {
            Some(named) if named == issuer => Ok(()),
            _ => Err(refuse("the token is not from the configured issuer")),
        }
    }

    /// Checks that the configured audience is among those of the token (RFC 7519, section 4.1.3).
    fn check_audience(&self, payload: &Map<String, Value>) -> Result<()> {
        let Some(audience) = &self.audience else {
            return Ok(());
        };
        let matches = |named: &Value| named.as_str() == Some(audience);
        let included = match payload.get("aud") {
            Some(Value::Array(several)) => several.iter().any(matches),
            Some(one) => matches(one),
            None => false,
        };
        if !included {
            return Err(refuse("the token is not for the configured audience"));
        }
        Ok(())
    }
}

/// A time in seconds since 1970, which need not be an integer (RFC 7519, section 2).
fn time(payload: &Map<String, Value>, name: &str) -> Result<Option<f64>> {
    match payload.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(refuse("a time in the token is not a number")),
        },
    }
}

#[cfg(test)]
mod tests;
