//! Makes tokens for development and tests, as the platform does in production.
//!
//! Only a shared secret can sign. If a public key or a JWKS address is configured, only
//! the platform can make tokens. A token made here is valid under the same configuration.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::{
    key,
    permission::{granted, is_role},
};
use crate::{
    config::{Auth, SigningKey},
    error::{Error, Result},
    id::{Team, UserId},
};

/// The claims of a new token. `None` and empty lists are left out of it.
#[derive(Clone, Debug)]
pub struct MintRequest {
    /// The user's id, 1 to 255 bytes.
    pub user: String,
    /// The name that others see.
    pub name: Option<String>,
    /// The team; without it, the token is of the team `default`.
    pub team: Option<String>,
    /// Roles, each of which must exist.
    pub roles: Vec<String>,
    /// Grants: a room's name or a prefix ending in `*`, and `none`, `view`,
    /// `comment`, `edit`, `review` or `manage`.
    pub documents: Vec<(String, String)>,
    /// How long the token is valid, in seconds: at least 1, at most `JWT_LIFETIME_MAX_MS`.
    pub ttl_seconds: u64,
}

/// Makes and signs a token with the issue time `now`, in seconds since 1970.
///
/// If the key is the development secret, its file is read, or generated.
///
/// # Errors
/// [`Error::Invalid`] with the name of the invalid field of the request, or of the
/// invalid variable; [`Error::Conflict`] if the configured key cannot sign;
/// [`Error::Internal`] if the development secret's file cannot be read.
pub fn mint(auth: &Auth, request: &MintRequest, now: i64) -> Result<String> {
    let secret = match &auth.key {
        SigningKey::Secret(secret) => secret.clone(),
        SigningKey::DevelopmentSecret { file } => key::development_secret(file)?,
        SigningKey::PublicKeyPem(_) | SigningKey::Jwks { .. } => {
            return Err(Error::Conflict {
                reason: "only a shared secret can sign tokens, and a public key is configured",
            });
        }
    };
    check(request, auth.lifetime_max_ms)?;
    let algorithm = key::hmac(key::algorithm(auth.algorithm.as_deref())?)?;
    let claims = payload(auth, request, now);
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).map_err(|error| {
        tracing::error!(%error, "cannot sign a token");
        Error::Internal
    })
}

fn check(request: &MintRequest, lifetime_max_ms: u64) -> Result<()> {
    let invalid = |field, reason| Err(Error::Invalid { field, reason });
    if UserId::parse(&request.user).is_none() {
        return invalid("user", "must be 1 to 255 bytes without control characters");
    }
    if let Some(team) = &request.team
        && Team::parse(team).is_none()
    {
        return invalid("team", "must be 1 to 255 bytes without control characters");
    }
    if !request.roles.iter().all(|role| is_role(role)) {
        return invalid(
            "role",
            "must be viewer, commenter, editor, reviewer, admin or service",
        );
    }
    if !request
        .documents
        .iter()
        .all(|(_, word)| granted(word).is_some())
    {
        return invalid(
            "document",
            "must be granted none, view, comment, edit, review or manage",
        );
    }
    if request.ttl_seconds == 0 {
        return invalid("ttl_seconds", "must be at least 1");
    }
    if request.ttl_seconds > lifetime_max_ms / 1000 {
        return invalid("ttl_seconds", "must be at most JWT_LIFETIME_MAX_MS");
    }
    Ok(())
}

fn payload(auth: &Auth, request: &MintRequest, now: i64) -> Map<String, Value> {
    let names = &auth.claims;
    let expires_at = now.saturating_add_unsigned(request.ttl_seconds);
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    put("iat", json!(now));
    put("exp", json!(expires_at));
    if let Some(issuer) = &auth.issuer {
        put("iss", json!(issuer));
    }
    if let Some(audience) = &auth.audience {
        put("aud", json!(audience));
    }
    put(&names.subject, json!(request.user));
    if let Some(name) = &request.name {
        put(&names.name, json!(name));
    }
    if let Some(team) = &request.team {
        put(&names.team, json!(team));
    }
    if !request.roles.is_empty() {
        put(&names.roles, json!(request.roles));
    }
    if !request.documents.is_empty() {
        let grants = request.documents.iter();
        let grants: Map<_, _> = grants
            .map(|(room, word)| (room.clone(), json!(word)))
            .collect();
        put(&names.documents, Value::Object(grants));
    }
    claims
}
