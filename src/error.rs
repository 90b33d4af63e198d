//! The errors that clients receive, distinguished by what the caller can do.
//!
//! They do not depend on a transport: HTTP status and Socket.IO acknowledgement are
//! two exhaustive matches elsewhere. A cause is logged once, where it occurs; a client
//! gets only the code and a message that is safe to show.

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A result with [`Error`] as its error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal or a failure, with a stable [`code`](Error::code).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no token, or it is not valid: sign in again.
    #[error("{reason}")]
    Unauthorized {
        /// The reason, without any part of the token.
        reason: &'static str,
    },
    /// The token is past its `exp`: repeat with a new one.
    #[error("the token has expired")]
    TokenExpired,
    /// The session was ended by the platform.
    #[error("the session was revoked")]
    SessionRevoked,
    /// The caller lacks a right.
    #[error("this needs the right: {needed}")]
    Forbidden {
        /// The missing right.
        needed: &'static str,
    },
    /// The object does not exist, or the caller may not know that it does.
    #[error("there is no such {what}")]
    NotFound {
        /// The kind of object.
        what: &'static str,
    },
    /// The request contradicts the present state.
    #[error("{reason}")]
    Conflict {
        /// The contradiction.
        reason: &'static str,
    },
    /// The workflow has no such step from the document's present status: take one that is allowed.
    #[error("{reason}")]
    NoStep {
        /// The contradiction.
        reason: &'static str,
        /// The statuses to which the caller may move the document now.
        allowed: Vec<String>,
    },
    /// The request is malformed.
    #[error("{field}: {reason}")]
    Invalid {
        /// The invalid field, as the client named it.
        field: &'static str,
        /// Why it is invalid.
        reason: &'static str,
    },
    /// The payload or the document would exceed a size limit.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Integrating the update would take too long.
    #[error("the update takes too long to integrate: send it in smaller parts")]
    TooCostly,
    /// The caller sends requests too fast: wait and repeat.
    #[error("too many requests")]
    RateLimited {
        /// The time after which the same request would be accepted, in milliseconds.
        retry_after_ms: u64,
    },
    /// The socket has joined as many rooms as allowed.
    #[error("at most {limit} rooms a socket")]
    TooManyRooms {
        /// The limit.
        limit: usize,
    },
    /// The user, or the server, has as many connections as allowed.
    #[error("too many connections")]
    TooManyConnections,
    /// The database cannot be reached, or the journal of unwritten updates is full.
    #[error("the storage is unavailable")]
    StorageUnavailable,
    /// A queue of the server is full: repeat later.
    #[error("overloaded")]
    Overloaded,
    /// The server is stopping: connect again.
    #[error("the server is stopping")]
    Draining,
    /// An error of the server, whose cause is in its log.
    #[error("internal error")]
    Internal,
}

impl Error {
    /// The document does not exist, or it was deleted.
    pub const NO_DOCUMENT: Self = Self::NotFound { what: "document" };

    /// The stable code by which clients distinguish errors.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Unauthorized { .. } => "unauthorized",
            Error::TokenExpired => "token_expired",
            Error::SessionRevoked => "session_revoked",
            Error::Forbidden { .. } => "forbidden",
            Error::NotFound { .. } => "not_found",
            Error::Conflict { .. } | Error::NoStep { .. } => "conflict",
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
            | Error::NoStep { .. }
            | Error::Invalid { .. }
            | Error::TooLarge { .. }
            | Error::TooCostly
            | Error::TooManyRooms { .. }
            | Error::Internal => false,
        }
    }

    /// How long to wait before the request is repeated, in milliseconds, if that is known.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Error::RateLimited { retry_after_ms } => Some(*retry_after_ms),
            _ => None,
        }
    }

    /// The invalid field of a malformed request.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Error::Invalid { field, .. } => Some(field),
            _ => None,
        }
    }

    /// The statuses to which the caller may move the document instead.
    pub fn allowed(&self) -> Option<&[String]> {
        match self {
            Error::NoStep { allowed, .. } => Some(allowed),
            _ => None,
        }
    }
}

/// The error as every door sends it:
/// `{ code, message, retryable, retry_after_ms?, field?, allowed? }`.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("Error", 6)?;
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
        match self.allowed() {
            Some(allowed) => error.serialize_field("allowed", allowed)?,
            None => error.skip_field("allowed")?,
        }
        error.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_serialised_with_its_code_and_details() {
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
        let no_step = Error::NoStep {
            reason: "no",
            allowed: vec!["draft".into()],
        };
        assert_eq!(
            json(no_step),
            r#"{"code":"conflict","message":"no","retryable":false,"allowed":["draft"]}"#
        );
    }
}
