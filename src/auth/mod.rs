//! Authentication and rights. Only this module verifies tokens.
//!
//! A [`Verifier`] turns a token into [`Claims`]. `Claims` are proof of a valid token: they
//! are made only from a token whose signature was verified with the configured key and
//! algorithm, and which was valid at that time. A caller that keeps them for longer has
//! to check [`Claims::expires_at`] itself.
//!
//! A token is also refused where it was revoked: by the [`RevocationList`], which the feature
//! `revocations` fills, or by the main service, if it is asked (`introspection`). This module keeps no
//! sessions and knows no transport. It is the only user of `jsonwebtoken`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    config::ClaimNames,
    error::{Error, Result},
    id::{DocumentKey, NAME_BYTES_MAX, RoomName, Team, UserId},
};

mod fetch;
mod introspection;
mod jwks;
mod key;
mod mint;
mod permission;
mod revocation;
mod verifier;

pub use introspection::Credential;
pub use mint::{MintRequest, mint};
pub use permission::{Grants, Permission, Right, Rights};
pub use revocation::{Revocation, RevocationList, Revoked};
pub use verifier::{TOKEN_BYTES_MAX, Verifier};

/// The longest address of a user's picture, in bytes.
const AVATAR_URL_BYTES_MAX: usize = 2048;

/// The team of a token without a team.
const DEFAULT_TEAM: &str = "default";

/// The end of the year 9999, in seconds since 1970: the last time that RFC 3339 can express.
const TIME_MAX: f64 = 253_402_300_799.0;

/// A user as others see them. Name and picture come from the token, so that nobody can
/// impersonate another user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// The token's `sub`.
    pub id: UserId,
    /// 1 to 255 bytes without control characters; the id if the token has no name.
    #[schema(examples("Ana Li"))]
    pub name: String,
    /// An http or https address of at most 2,048 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

impl User {
    /// Reads a person whom a service names: `{ id, name?, avatar_url? }`.
    pub fn read(user: &Value) -> Option<Self> {
        let text = |field| user.get(field).and_then(Value::as_str);
        let id = text("id").and_then(UserId::parse)?;
        let name = text("name").and_then(display_name);
        Some(Self {
            name: name.unwrap_or_else(|| id.as_str().to_owned()),
            avatar_url: text("avatar_url").and_then(avatar_url),
            id,
        })
    }
}

/// The claims of a verified token.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The user. Shared with the session's identity and with presence.
    pub user: Arc<User>,
    /// The scope of all room names.
    pub team: Team,
    /// The roles as the token lists them, unknown ones included.
    pub roles: Vec<String>,
    /// The login session (`sid`), by which it may be revoked.
    pub login: Option<String>,
    /// Rights for single documents.
    pub grants: Grants,
    /// When the token was issued, in seconds since 1970, rounded down.
    pub issued_at: Option<i64>,
    /// When the token expires, in seconds since 1970, rounded down.
    pub expires_at: i64,
    /// The token itself, only where the main service is asked about it again.
    pub credential: Option<Arc<Credential>>,
}

impl Claims {
    /// The rights of the roles, outside of any document.
    pub fn rights(&self) -> Rights {
        Rights::of_roles(&self.roles)
    }

    /// The rights in `room`: a grant for it replaces the rights of the roles, whether it
    /// gives more or less.
    ///
    /// No grant gives `publish`, which belongs to servers of the platform.
    pub fn rights_in(&self, room: &RoomName) -> Rights {
        self.grants.find(room).unwrap_or_else(|| self.rights())
    }

    /// Whether the token lets view every document of the team.
    pub fn may_view_everything(&self) -> bool {
        self.grants.is_empty() && self.rights().allows(Right::View)
    }

    /// The name of the document of `room` in the team.
    pub fn key(&self, room: &RoomName) -> DocumentKey {
        DocumentKey {
            team: self.team.clone(),
            room: room.clone(),
        }
    }

    /// Reads the claims of a token's payload, which must have been verified.
    fn read(payload: &Map<String, Value>, names: &ClaimNames, times: Times) -> Result<Self> {
        let claim = |name: &str| payload.get(name).filter(|value| !value.is_null());
        let text = |name: &str| claim(name).and_then(Value::as_str);

        let id = text(&names.subject).and_then(UserId::parse);
        let id = id.ok_or_else(|| refuse("the token names no user of 1 to 255 bytes"))?;
        // A malformed team is refused: the default team would give access to its documents.
        let team = match claim(&names.team) {
            None => Team::parse(DEFAULT_TEAM),
            Some(team) => team.as_str().and_then(Team::parse),
        };
        // A malformed login is refused: without it the session could not be revoked.
        let login = match claim(&names.session) {
            None => None,
            Some(login) => Some(
                login_of(login).ok_or_else(|| refuse("the token's login session is malformed"))?,
            ),
        };
        let grants = match claim(&names.documents) {
            None => Grants::default(),
            Some(documents) => Grants::read(documents)
                .ok_or_else(|| refuse("the token has grants for too many documents"))?,
        };
        Ok(Self {
            user: Arc::new(User {
                name: text(&names.name)
                    .and_then(display_name)
                    .unwrap_or_else(|| id.as_str().to_owned()),
                avatar_url: text(&names.avatar_url).and_then(avatar_url),
                id,
            }),
            team: team.ok_or_else(|| refuse("the token's team is malformed"))?,
            roles: claim(&names.roles).map(roles).unwrap_or_default(),
            login,
            grants,
            issued_at: times.issued_at.map(whole_seconds),
            expires_at: whole_seconds(times.expires_at),
            credential: None,
        })
    }
}

/// The times in a token, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Times {
    issued_at: Option<f64>,
    expires_at: f64,
}

/// The error of a token that is not valid: the user has to sign in again.
fn refuse(reason: &'static str) -> Error {
    Error::Unauthorized { reason }
}

/// Rounds down, so that a token is never valid longer than it states.
fn whole_seconds(seconds: f64) -> i64 {
    seconds.clamp(-TIME_MAX, TIME_MAX).floor() as i64
}

/// Whether a text can be the `sid` of a token: 1 to 255 bytes without NUL, which a database may not
/// be able to store.
pub fn is_login(login: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&login.len()) && !login.contains('\0')
}

fn login_of(login: &Value) -> Option<String> {
    let login = login.as_str()?;
    is_login(login).then(|| login.to_owned())
}

/// The roles in a list of texts, or a single text. Other values give no role.
fn roles(roles: &Value) -> Vec<String> {
    match roles {
        Value::String(role) => vec![role.clone()],
        Value::Array(list) => {
            let texts = list.iter().filter_map(Value::as_str);
            let mut roles: Vec<_> = texts.map(str::to_owned).collect();
            // The claims are kept as long as the session.
            roles.shrink_to_fit();
            roles
        }
        _ => Vec::new(),
    }
}

/// Removes control characters and truncates to 255 bytes; `None` if nothing visible is left.
fn display_name(name: &str) -> Option<String> {
    let mut name: String = name.chars().filter(|c| !c.is_control()).collect();
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// An address that is safe as the source of a picture in a page; `None` for any other.
fn avatar_url(url: &str) -> Option<String> {
    let plain = !url.contains(|c: char| c.is_control() || c.is_whitespace());
    let fits = url.len() <= AVATAR_URL_BYTES_MAX;
    let web = || {
        let parsed = reqwest::Url::parse(url).ok()?;
        matches!(parsed.scheme(), "http" | "https").then(|| url.to_owned())
    };
    (plain && fits).then(web).flatten()
}

#[cfg(test)]
mod tests;
