//! Tokens for the server's clients, signed with the secret that the server is started with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The server's secret. It protects nothing: the server's database is temporary.
pub const SECRET: &str = "benchmark-secret-of-no-importance-0123456789";

/// How long a token is valid: longer than any scenario.
const VALID: Duration = Duration::from_secs(24 * 3600);

/// A token of an editor called `user`.
pub fn sign(user: &str) -> Result<String> {
    sign_with(user, json!({}))
}

/// A token of an editor called `user` with the rights `documents` for single documents.
pub fn sign_with(user: &str, documents: Value) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut claims = json!({
        "sub": user,
        "name": user,
        "team": "bench",
        "roles": ["editor"],
        "iat": now.as_secs(),
        "exp": (now + VALID).as_secs(),
    });
    if documents != json!({}) {
        claims["documents"] = documents;
    }
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).context("the signing key")?;
    mac.update(signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    Ok(format!("{signed}.{signature}"))
}
