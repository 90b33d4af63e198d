//! The reasons for which a transaction is rolled back, and whether it is run again.

use crate::{
    error::Error,
    store::failure::{is_conflict, report},
};

/// Why a transaction was rolled back.
pub(super) enum Abort {
    /// Another transaction conflicted with it: running it again may succeed.
    Conflict(sqlx::Error),
    /// Running it again would not help.
    Final(Error),
}

impl Abort {
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Conflict(_) => Error::StorageUnavailable,
            Self::Final(error) => error.clone(),
        }
    }

    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Conflict(error) => report("a transaction", None, error),
            Self::Final(error) => error,
        }
    }
}

impl From<sqlx::Error> for Abort {
    fn from(error: sqlx::Error) -> Self {
        if is_conflict(&error) {
            Self::Conflict(error)
        } else {
            Self::Final(report("a transaction", None, error))
        }
    }
}
