//! The codes with which connections of stock clients are closed.
//!
//! They retry after all but those from 4400 on, after which y-websocket 3 stops; y-websocket 2
//! retries always.

use engineio::Outbox;

use crate::error::{Error, ErrorCode};

/// A message or a room name is not what it has to be.
pub(super) const MALFORMED: u16 = 4400;
/// A message is too large.
pub(super) const TOO_LARGE: u16 = 4413;
/// The client reads too slowly.
const TRY_LATER: u16 = 1013;

/// The close code of a connection that ends with `error`.
pub(super) fn code(error: &Error) -> u16 {
    match error.kind() {
        ErrorCode::Unauthorized | ErrorCode::TokenExpired | ErrorCode::SessionRevoked => 4401,
        ErrorCode::Forbidden => 4403,
        ErrorCode::NotFound => 4404,
        ErrorCode::Conflict | ErrorCode::Invalid => MALFORMED,
        ErrorCode::TooLarge => TOO_LARGE,
        ErrorCode::RateLimited
        | ErrorCode::TooManyRooms
        | ErrorCode::TooManyConnections
        | ErrorCode::StorageUnavailable
        | ErrorCode::Overloaded => TRY_LATER,
        ErrorCode::Draining => 1012,
        ErrorCode::Internal => 1011,
    }
}

/// Whether a retry cannot help, unless something else changes.
pub(super) fn is_permanent(error: &Error) -> bool {
    code(error) >= MALFORMED || error.kind() == ErrorCode::TooManyRooms
}

/// Closes a connection because of `error`, after the messages that are queued.
pub(super) fn because(outbox: &Outbox, error: &Error) {
    outbox.close_for(code(error), error.code());
}

/// Closes the connection of a client that does not read. What is queued is dropped.
pub(super) fn lagging(outbox: &Outbox, reason: &'static str) {
    outbox.close_early(TRY_LATER, reason);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_retry_can_help_is_closed_with_a_code_after_which_stock_clients_retry() {
        let errors = [
            Error::Unauthorized { reason: "" },
            Error::SessionRevoked,
            Error::Forbidden { needed: "view" },
            Error::NO_DOCUMENT,
            Error::Conflict { reason: "" },
            Error::TooLarge { limit: 1 },
            Error::TooManyRooms { limit: 1 },
            Error::TooCostly,
            Error::TooManyConnections,
            Error::StorageUnavailable,
            Error::Overloaded,
            Error::Draining,
        ];
        for error in errors {
            assert_eq!(is_permanent(&error), !error.retryable(), "{error:?}");
        }
        // A retry needs another token, which only the application has.
        assert_eq!(code(&Error::TokenExpired), 4401);
        assert_eq!(code(&Error::Internal), 1011);
    }
}
