//! The errors that clients receive, distinguished by what the caller can do.
//!
//! They do not depend on a transport: HTTP status and Socket.IO acknowledgement are
//! two exhaustive matches elsewhere. A cause is logged once, where it occurs; a client
//! gets only the code and a message that is safe to show.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

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
    #[error("too many requests: beyond {limit}")]
    RateLimited {
        /// The name of the setting of the limit, in lower case.
        limit: &'static str,
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

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $name:literal, $retry:ident;)+) => {
        /// The stable code by which clients distinguish errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
        #[schema(rename_all = "snake_case")]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $code,)+
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$code),+];

            /// The code on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$code => $name,)+
                }
            }

            /// When it occurs.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(ErrorCode::$code => concat!($($doc),+),)+
                }
            }

            /// Whether the same request may succeed later (for an expired token: with a new one).
            pub const fn retryable(self) -> bool {
                const LATER: bool = true;
                const NEVER: bool = false;
                match self {
                    $(ErrorCode::$code => $retry,)+
                }
            }
        }
    };
}

codes! {
    /// There is no token, or it is not valid.
    Unauthorized = "unauthorized", NEVER;
    /// The token has expired: repeat with a new one.
    TokenExpired = "token_expired", LATER;
    /// The session was ended by the platform.
    SessionRevoked = "session_revoked", NEVER;
    /// The caller lacks a right.
    Forbidden = "forbidden", NEVER;
    /// The object does not exist, or the caller may not know that it does.
    NotFound = "not_found", NEVER;
    /// The request contradicts the present state.
    Conflict = "conflict", NEVER;
    /// The request is malformed.
    Invalid = "invalid", NEVER;
    /// The request, or what it would change, exceeds a limit of size or cost.
    TooLarge = "too_large", NEVER;
    /// The caller sends requests too fast: wait and repeat.
    RateLimited = "rate_limited", LATER;
    /// The socket has joined as many rooms as allowed.
    TooManyRooms = "too_many_rooms", NEVER;
    /// The user, or the server, has as many connections as allowed.
    TooManyConnections = "too_many_connections", LATER;
    /// The database cannot be reached: repeat later.
    StorageUnavailable = "storage_unavailable", LATER;
    /// A queue of the server is full: repeat later.
    Overloaded = "overloaded", LATER;
    /// The server is stopping: repeat, or connect again.
    Draining = "draining", LATER;
    /// An error of the server, whose cause is in its log.
    Internal = "internal", NEVER;
}

impl Error {
    /// The document does not exist, or it was deleted.
    pub const NO_DOCUMENT: Self = Self::NotFound { what: "document" };

    /// What a client can do about it, as one of the codes of the wire.
    pub fn kind(&self) -> ErrorCode {
        match self {
            Error::Unauthorized { .. } => ErrorCode::Unauthorized,
            Error::TokenExpired => ErrorCode::TokenExpired,
            Error::SessionRevoked => ErrorCode::SessionRevoked,
            Error::Forbidden { .. } => ErrorCode::Forbidden,
            Error::NotFound { .. } => ErrorCode::NotFound,
            Error::Conflict { .. } | Error::NoStep { .. } => ErrorCode::Conflict,
            Error::Invalid { .. } => ErrorCode::Invalid,
            Error::TooLarge { .. } | Error::TooCostly => ErrorCode::TooLarge,
            Error::RateLimited { .. } => ErrorCode::RateLimited,
            Error::TooManyRooms { .. } => ErrorCode::TooManyRooms,
            Error::TooManyConnections => ErrorCode::TooManyConnections,
            Error::StorageUnavailable => ErrorCode::StorageUnavailable,
            Error::Overloaded => ErrorCode::Overloaded,
            Error::Draining => ErrorCode::Draining,
            Error::Internal => ErrorCode::Internal,
        }
    }

    /// The stable code by which clients distinguish errors.
    pub fn code(&self) -> &'static str {
        self.kind().name()
    }

    /// Whether the same request may succeed later (for an expired token: with a new one).
    pub fn retryable(&self) -> bool {
        self.kind().retryable()
    }

    /// How long to wait before the request is repeated, in milliseconds, if that is known.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Error::RateLimited { retry_after_ms, .. } => Some(*retry_after_ms),
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
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorObject<'a> {
    /// The stable code by which clients distinguish errors.
    #[schema(value_type = ErrorCode)]
    code: &'static str,
    /// The reason in English, for developers.
    #[schema(examples("room: must not be empty"))]
    message: String,
    /// Whether the same request may succeed later (for an expired token: with a new one).
    retryable: bool,
    /// How long to wait before the request is repeated, in milliseconds, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// The invalid field of a malformed request, as the client named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// The statuses to which the caller may move the document instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<&'a [String]>,
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = ErrorObject {
            code: self.code(),
            message: self.to_string(),
            retryable: self.retryable(),
            retry_after_ms: self.retry_after_ms(),
            field: self.field(),
            allowed: self.allowed(),
        };
        object.serialize(serializer)
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
            json(Error::RateLimited {
                limit: "updates_per_second",
                retry_after_ms: 7
            }),
            r#"{"code":"rate_limited","message":"too many requests: beyond updates_per_second","retryable":true,"retry_after_ms":7}"#
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
