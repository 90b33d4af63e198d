//! Who is calling: tokens are verified here, and nowhere else.
//!
//! A [`Verifier`] turns a token into [`Claims`]. Whoever holds `Claims` holds
//! the proof: they are made only from a token whose signature was verified with
//! the configured key and the configured algorithm, and which was then within
//! its time. Whether it still is when it is used later is for the holder of a
//! long connection to watch, by [`Claims::expires_at`].
//!
//! This module keeps no sessions and knows no transport. It is the only user of
//! `jsonwebtoken`.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    config::ClaimNames,
    error::{Error, Result},
    id::{NAME_BYTES_MAX, RoomName, Team, UserId},
};

mod jwks;
mod key;
mod mint;
mod permission;
mod verifier;

pub use mint::{MintRequest, mint};
pub use permission::{Grants, Permission, Right, Rights};
pub use verifier::{TOKEN_BYTES_MAX, Verifier};

/// The longest address of a picture, in bytes.
const AVATAR_URL_BYTES_MAX: usize = 2048;

/// The team of a token that names none.
const DEFAULT_TEAM: &str = "default";

/// The end of the year 9999, in seconds since 1970: the last moment that RFC 3339 can write.
const TIME_MAX: f64 = 253_402_300_799.0;

/// A person, as others see them. The name and the picture are the token's own,
/// so that nobody can pose as another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// The token's `sub`.
    pub id: UserId,
    /// 1 to 255 bytes without control characters; the id where the token has no name.
    pub name: String,
    /// An http or https address of at most 2,048 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// What a verified token says.
#[derive(Clone, Debug)]
pub struct Claims {
    /// Who it is.
    pub user: User,
    /// The scope of all room names.
    pub team: Team,
    /// The roles as the token lists them, unknown ones included.
    pub roles: Vec<String>,
    /// The login session (`sid`), by which it may be revoked.
    pub login: Option<String>,
    /// Rights for single documents.
    pub grants: Grants,
    /// When the token was made, in seconds since 1970, rounded down.
    pub issued_at: Option<i64>,
    /// The moment from which it is no longer valid, in seconds since 1970, rounded down.
    pub expires_at: i64,
}

impl Claims {
    /// What the roles allow, outside of any document.
    pub fn rights(&self) -> Rights {
        Rights::of_roles(&self.roles)
    }

    /// What is allowed in `room`: a grant replaces the roles' rights, upward or downward.
    ///
    /// No grant gives `publish`, which belongs to servers of the platform.
    pub fn rights_in(&self, room: &RoomName) -> Rights {
        self.grants.find(room).unwrap_or_else(|| self.rights())
    }

    /// Reads our claims from a token's payload, which must have been verified.
    fn read(payload: &Map<String, Value>, names: &ClaimNames, times: Times) -> Result<Self> {
        let claim = |name: &str| payload.get(name).filter(|value| !value.is_null());
        let text = |name: &str| claim(name).and_then(Value::as_str);

        let id = text(&names.subject).and_then(UserId::parse);
        let id = id.ok_or_else(|| refuse("the token names no user of 1 to 255 bytes"))?;
        // Falling back to the default team would let a malformed name cross into it.
        let team = match claim(&names.team) {
            None => Team::parse(DEFAULT_TEAM),
            Some(team) => team.as_str().and_then(Team::parse),
        };
        // A login that is dropped silently could not be revoked.
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
            user: User {
                name: text(&names.name)
                    .and_then(display_name)
                    .unwrap_or_else(|| id.as_str().to_owned()),
                avatar_url: text(&names.avatar_url).and_then(avatar_url),
                id,
            },
            team: team.ok_or_else(|| refuse("the token's team is malformed"))?,
            roles: claim(&names.roles).map(roles).unwrap_or_default(),
            login,
            grants,
            issued_at: times.issued_at.map(whole_seconds),
            expires_at: whole_seconds(times.expires_at),
        })
    }
}

/// The moments of a token, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Times {
    issued_at: Option<f64>,
    expires_at: f64,
}

/// A refusal for good: sign in again.
fn refuse(reason: &'static str) -> Error {
    Error::Unauthorized { reason }
}

/// Rounds down, so that a token never lives longer than it says.
fn whole_seconds(seconds: f64) -> i64 {
    seconds.clamp(-TIME_MAX, TIME_MAX).floor() as i64
}

fn login_of(login: &Value) -> Option<String> {
    let login = login.as_str()?;
    let fits = (1..=NAME_BYTES_MAX).contains(&login.len());
    fits.then(|| login.to_owned())
}

/// A list of texts, or one alone; whatever else is there gives no role.
fn roles(roles: &Value) -> Vec<String> {
    match roles {
        Value::String(role) => vec![role.clone()],
        Value::Array(list) => {
            let texts = list.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Takes control characters out and cuts to 255 bytes; `None` if nothing to see is left.
fn display_name(name: &str) -> Option<String> {
    let mut name: String = name.chars().filter(|c| !c.is_control()).collect();
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// An address that is safe to put into a page as a picture's; `None` for any other.
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
