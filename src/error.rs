//! What can go wrong, named by what the caller can do about it.
//!
//! The enum knows no transport: HTTP status and Socket.IO acknowledgement are
//! two exhaustive matches elsewhere. Causes are logged once, where they are
//! met; what leaves the server is the code and a message that is safe to show.

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A result whose failure is an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal or a failure, with a stable [`code`](Error::code).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No token, or one that does not verify: sign in again.
    #[error("{reason}")]
    Unauthorized {
        /// Why, without a word of the token itself.
        reason: &'static str,
    },
    /// The token is past its `exp`: come back with a fresh one.
    #[error("the token has expired")]
    TokenExpired,
    /// The session was ended by the platform.
    #[error("the session was revoked")]
    SessionRevoked,
    /// The caller's rights do not cover this.
    #[error("this needs the right: {needed}")]
    Forbidden {
        /// The right that is missing.
        needed: &'static str,
    },
    /// There is no such thing, or the caller may not know of it.
    #[error("there is no such {what}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
    },
    /// The request contradicts the present state.
    #[error("{reason}")]
    Conflict {
        /// The contradiction.
        reason: &'static str,
    },
    /// The request is malformed.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field at fault, as the client named it.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The payload or the document would pass a size limit.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Taking the update in would take too long.
    #[error("the update takes too long to integrate: send it in smaller parts")]
    TooCostly,
    /// Too fast: wait and repeat.
    #[error("too many requests")]
    RateLimited {
        /// After this long, in milliseconds, the same request would pass.
        retry_after_ms: u64,
    },
    /// The socket has joined as many rooms as it may.
    #[error("at most {limit} rooms a socket")]
    TooManyRooms {
        /// The limit.
        limit: usize,
    },
    /// The user, or the server, has as many connections as it may.
    #[error("too many connections")]
    TooManyConnections,
    /// The database cannot be reached, or the journal of unwritten updates is full.
    #[error("the storage is unavailable")]
    StorageUnavailable,
    /// This part of the server has more waiting than it may hold: repeat later.
    #[error("overloaded")]
    Overloaded,
    /// The server is stopping: connect again.
    #[error("the server is stopping")]
    Draining,
    /// A fault of the server; the cause is in its log.
    #[error("internal error")]
    Internal,
}

impl Error {
    /// The stable code that clients branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Unauthorized { .. } => "unauthorized",
            Error::TokenExpired => "token_expired",
            Error::SessionRevoked => "session_revoked",
            Error::Forbidden { .. } => "forbidden",
            Error::NotFound { .. } => "not_found",
            Error::Conflict { .. } => "conflict",
            Error::Invalid { .. } => "invalid",
            Error::TooLarge { .. } | Error::TooCostly => "too_large",
            Error::RateLimited { .. } => "rate_limited",
            Error::TooManyRooms { .. } => "too_many_rooms",
            Error::TooManyConnections => "too_many_connections",
            Error::StorageUnavailable => "storage_unavailable",
            Error::Overloaded => "overloaded",
            Error::Draining => "draining",
            Error::Internal => "internal",
        }
    }

    /// Whether the same request may succeed later (for an expired token: with a new one).
    pub fn retryable(&self) -> bool {
        match self {
            Error::TokenExpired
            | Error::RateLimited { .. }
            | Error::TooManyConnections
            | Error::StorageUnavailable
            | Error::Overloaded
            | Error::Draining => true,
            Error::Unauthorized { .. }
            | Error::SessionRevoked
            | Error::Forbidden { .. }
            | Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::Invalid { .. }
            | Error::TooLarge { .. }
            | Error::TooCostly
            | Error::TooManyRooms { .. }
            | Error::Internal => false,
        }
    }

    /// How long to wait before repeating, in milliseconds, where that is known.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Error::RateLimited { retry_after_ms } => Some(*retry_after_ms),
            _ => None,
        }
    }

    /// The field at fault in a malformed request.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Error::Invalid { field, .. } => Some(field),
            _ => None,
        }
    }
}

/// The error as every door shows it:
/// `{ code, message, retryable, retry_after_ms?, field? }`.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("Error", 5)?;
        error.serialize_field("code", self.code())?;
        error.serialize_field("message", &self.to_string())?;
        error.serialize_field("retryable", &self.retryable())?;
        match self.retry_after_ms() {
            Some(ms) => error.serialize_field("retry_after_ms", &ms)?,
            None => error.skip_field("retry_after_ms")?,
        }
        match self.field() {
            Some(field) => error.serialize_field("field", field)?,
            None => error.skip_field("field")?,
        }
        error.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_what_a_client_can_act_on() {
        let json = |error: Error| serde_json::to_string(&error).expect("JSON");
        let invalid = Error::Invalid {
            field: "room",
            reason: "must not be empty",
        };
        assert_eq!(
            json(invalid),
            r#"{"code":"invalid","message":"room: must not be empty","retryable":false,"field":"room"}"#
        );
        assert_eq!(
            json(Error::RateLimited { retry_after_ms: 7 }),
            r#"{"code":"rate_limited","message":"too many requests","retryable":true,"retry_after_ms":7}"#
        );
    }
}
