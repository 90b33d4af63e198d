//! The parts of opening a database that both databases share.

use sqlx::migrate::MigrateError;

use crate::{error::Error, store::failure::Failure};

pub(super) fn not_migrated(error: MigrateError) -> Error {
    tracing::error!(%error, "the database cannot be brought to this version's schema");
    match &error {
        MigrateError::Execute(cause) if Failure::of(cause) == Failure::Transient => {
            Error::StorageUnavailable
        }
        _ => Error::Internal,
    }
}

pub(super) fn invalid_url(reason: &'static str) -> Error {
    Error::Invalid {
        field: "DATABASE_URL",
        reason,
    }
}
