//! Why a transaction cannot be committed, and whether it is run again.

use crate::{
    error::Error,
    store::failure::{is_conflict, report},
};

/// Why a transaction cannot be committed.
pub(super) enum Fault {
    /// The same again may succeed.
    Conflict(sqlx::Error),
    Lasting(Error),
}

impl Fault {
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Conflict(_) => Error::StorageUnavailable,
            Self::Lasting(error) => error.clone(),
        }
    }

    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Conflict(error) => report("a transaction", None, error),
            Self::Lasting(error) => error,
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        if is_conflict(&error) {
            Self::Conflict(error)
        } else {
            Self::Lasting(report("a transaction", None, error))
        }
    }
}
