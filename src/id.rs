//! Types for names and numbers that must not be confused with one another.
//!
//! A value of these types was checked when it was parsed and is not checked again.
//! Cloning a text id increments a reference count.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use time::{
    OffsetDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::{Error, Result};

pub use document::ClientId;

/// The longest id or name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 255;

/// The name of a room as its clients write it: 1 to 255 bytes of UTF-8
/// without control characters or comma.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[^,\\u0000-\\u001f\\u007f-\\u009f]{1,255}$", examples("article-42"))]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Parses the name of a room.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `room`.
    pub fn parse(name: &str) -> Result<Self> {
        let reason = match name {
            "" => "must not be empty",
            _ if name.len() > NAME_BYTES_MAX => "must be at most 255 bytes",
            _ if name.contains(|c: char| c.is_control() || c == ',') => {
                "must not contain control characters or a comma"
            }
            _ => return Ok(Self(name.into())),
        };
        Err(Error::Invalid {
            field: "room",
            reason,
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A team: the scope of room names. It comes from the token, never from a payload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Team(Arc<str>);

impl Team {
    /// Parses `name`: 1 to 255 bytes without control characters; `None` otherwise.
    pub fn parse(name: &str) -> Option<Self> {
        plain(name).map(Self)
    }

    /// The team's name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::parse(&name)
    }
}

/// The id of a person or a service, from the token's `sub`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,255}$", examples("u-17"))]
pub struct UserId(Arc<str>);

impl UserId {
    /// Parses `id`: 1 to 255 bytes without control characters; `None` otherwise.
    pub fn parse(id: &str) -> Option<Self> {
        plain(id).map(Self)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = Error;

    fn try_from(id: String) -> Result<Self> {
        Self::parse(&id).ok_or(Error::Invalid {
            field: "user",
            reason: "must be 1 to 255 bytes without control characters",
        })
    }
}

fn plain(text: &str) -> Option<Arc<str>> {
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len());
    (fits && !text.contains(char::is_control)).then(|| text.into())
}

/// The name of a document: a team and the room's name within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DocumentKey {
    /// The team.
    pub team: Team,
    /// The room's name within the team.
    pub room: RoomName,
}

macro_rules! row_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
        #[schema(value_type = String, format = "uuid", examples("01952f3e-7a6c-7c31-9d0f-1f2e3d4c5b6a"))]
        pub struct $name(Uuid);

        impl $name {
            /// A new id.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Parses an id; `None` if `text` is none.
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

// UUIDs of version 7: they rise with the time of their creation.
row_ids! {
    /// The id of a document. A document that is deleted and created again under the same
    /// name has another id.
    DocumentId;
    /// The id of an entry in a team's activity.
    ActivityId;
    /// The id of a thread of comments.
    ThreadId;
    /// The id of a comment.
    CommentId;
    /// The id of a notification.
    NotificationId;
    /// The id of a step in a document's workflow.
    StepId;
    /// The id of a message to the main service.
    MessageId;
}

/// The id of a session. Unique on this instance since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// A position in a document's log: starts at 1, rises, stays below 2^53. 0 is the position
/// before the first row.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema,
)]
#[schema(examples(7))]
pub struct Seq(pub i64);

/// The position of an event among the events of its team: starts at 1 and rises without gaps
/// in the order of the commits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema,
)]
#[schema(examples(1041))]
pub struct EventId(pub i64);

/// A point in time, in milliseconds since 1970 (UTC). Its text is RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-01-31T12:00:00.000Z"))]
pub struct Timestamp(pub i64);

const RFC3339_MS: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

impl Timestamp {
    /// The present time of the system's clock.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// A time of RFC 3339, whatever its offset and its fraction of a second; `None` for another text.
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let milliseconds = time.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(milliseconds).ok().map(Self)
    }

    /// A point in time given in whole seconds since 1970, as in tokens.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        f.write_str(&moment.format(&RFC3339_MS).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_are_checked_by_bytes_and_characters() {
        assert!(RoomName::parse("article-42").is_ok());
        assert!(RoomName::parse("Café / draft|ü").is_ok());
        for bad in ["", "a,b", "a\0b", "a\nb", "a\u{85}b", &"é".repeat(128)] {
            let error = RoomName::parse(bad).expect_err(bad);
            assert_eq!(error.field(), Some("room"), "{bad:?}");
        }
        assert!(RoomName::parse(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn timestamps_are_rfc3339_with_milliseconds() {
        assert_eq!(
            Timestamp(1_700_000_000_007).to_string(),
            "2023-11-14T22:13:20.007Z"
        );
        assert_eq!(
            Timestamp::from_seconds(0).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
