//! Verifies tokens, in a fixed order: size, header, key, signature, time, issuer
//! and audience, and then the other claims.
//!
//! No claim is used before the signature is verified. Of the header, `kid` only chooses
//! among the published keys, and `alg` must be the algorithm of the chosen key. At last a
//! token is refused that was revoked, by the list of revocations or by the answer of the
//! main service. Tokens are kept only to ask it again.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, decode_header};
use serde_json::{Map, Value};

use super::{
    Claims, Credential, RevocationList, Times,
    introspection::{Introspection, Verdict},
    jwks::Jwks,
    key::{self, Key},
    refuse,
};
use crate::{
    config::{Auth, ClaimNames, OnFailure, SigningKey},
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
    lifetime_max_ms: f64,
    claims: ClaimNames,
    revocations: RevocationList,
    introspection: Option<Introspection>,
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
                let jwks = Arc::new(Jwks::new(
                    url,
                    auth.private_http,
                    algorithm,
                    supervisor.clone(),
                )?);
                jwks.refresh().await;
                Keys::Published(jwks)
            }
        };
        let validation = auth.validation.as_ref();
        let introspection = validation
            .map(|validation| {
                let metrics = supervisor.metrics().clone();
                Introspection::new(validation, auth.private_http, metrics)
            })
            .transpose()?;
        let rules = Rules {
            keys,
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            leeway_ms: auth.leeway_ms.min(LEEWAY_MS_MAX) as f64,
            lifetime_max_ms: auth.lifetime_max_ms as f64,
            claims: auth.claims.clone(),
            revocations: RevocationList::default(),
            introspection,
        };
        Ok(Self {
            rules: Arc::new(rules),
        })
    }

    /// The revocations by which tokens are refused: none, until some are added.
    pub fn revocations(&self) -> &RevocationList {
        &self.rules.revocations
    }

    /// Verifies the `token` of a newcomer at the present time, as [`verify_at`](Self::verify_at)
    /// does, and then asks the main service about it, if that is configured.
    ///
    /// # Errors
    /// The same; [`Error::SessionRevoked`] if the main service says that the token is not active;
    /// [`Error::Overloaded`] if it does not answer, unless newcomers are accepted then.
    pub async fn verify(&self, token: &str) -> Result<Claims> {
        let on_failure = self.introspection().map(|it| it.on_failure);
        self.verify_and_ask(token, on_failure.unwrap_or_default())
            .await
    }

    /// As [`verify`](Self::verify), for the fresh token of somebody who is connected: it is accepted
    /// also if the main service does not answer.
    ///
    /// # Errors
    /// The same.
    pub async fn verify_renewal(&self, token: &str) -> Result<Claims> {
        self.verify_and_ask(token, OnFailure::Accept).await
    }

    async fn verify_and_ask(&self, token: &str, on_failure: OnFailure) -> Result<Claims> {
        let mut claims = self.verify_at(token, Timestamp::now()).await?;
        let Some(introspection) = self.introspection() else {
            return Ok(claims);
        };
        let credential = Arc::new(Credential::new(token));
        match (introspection.verdict(&credential).await, on_failure) {
            (Verdict::Active, _) | (Verdict::Unknown, OnFailure::Accept) => {}
            (Verdict::Inactive, _) => return Err(Error::SessionRevoked),
            (Verdict::Unknown, OnFailure::Refuse) => return Err(Error::Overloaded),
        }
        claims.credential = Some(credential);
        Ok(claims)
    }

    /// Whether the main service is asked about tokens.
    pub fn asks(&self) -> bool {
        self.rules.introspection.is_some()
    }

    /// Whether it is time to [ask](Self::ask_again) about the token of these claims.
    pub fn is_stale(&self, claims: &Claims) -> bool {
        let asked = self.introspection().zip(claims.credential.as_ref());
        asked.is_some_and(|(introspection, credential)| introspection.is_stale(credential))
    }

    /// Asks the main service about a token again. Without an answer the token stays accepted.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] if the token is not active any more.
    pub async fn ask_again(&self, claims: &Claims) -> Result<()> {
        let Some((introspection, credential)) =
            self.introspection().zip(claims.credential.as_ref())
        else {
            return Ok(());
        };
        match introspection.verdict(credential).await {
            Verdict::Inactive => Err(Error::SessionRevoked),
            Verdict::Active | Verdict::Unknown => Ok(()),
        }
    }

    fn introspection(&self) -> Option<&Introspection> {
        self.rules.introspection.as_ref()
    }

    /// Verifies `token` at the time `now`, without the main service.
    ///
    /// Waits only if the token's key is not in the cache, for at most one fetch. May be
    /// cancelled at any time.
    ///
    /// # Errors
    /// [`Error::TokenExpired`] from `exp` on, for a token with a valid signature;
    /// [`Error::SessionRevoked`] for one that was revoked;
    /// [`Error::Overloaded`] if the token's key cannot be fetched;
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
        let claims = Claims::read(&payload, &rules.claims, times)?;
        if rules.revocations.refuses(&claims) {
            return Err(Error::SessionRevoked);
        }
        Ok(claims)
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
        let issued_ms = issued_at.map_or(now_ms, |seconds| seconds * 1000.0);
        if expires_at * 1000.0 - issued_ms > self.lifetime_max_ms + self.leeway_ms {
            return Err(refuse(
                "the token lives for longer than JWT_LIFETIME_MAX_MS",
            ));
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
