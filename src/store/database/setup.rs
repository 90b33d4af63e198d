//! The parts of opening a database that both databases share.

use sqlx::{error::DatabaseError, migrate::MigrateError};

use crate::{error::Error, store::failure::Failure};

pub(super) fn not_migrated(error: MigrateError) -> Error {
    tracing::error!(%error, "the database cannot be brought to this version's schema");
    match &error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
            if is_forbidden(cause) =>
        {
            invalid_url(
                "names a role that may not bring the schema to this version: run `realtime-server migrate` with the role that owns it",
            )
        }
        MigrateError::Execute(cause) if Failure::of(cause) != Failure::Permanent => {
            Error::StorageUnavailable
        }
        _ => Error::Internal,
    }
}

/// Whether the role lacks a right (42501).
fn is_forbidden(cause: &sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some("42501")
}

pub(super) fn invalid_url(reason: &'static str) -> Error {
    Error::Invalid {
        field: "DATABASE_URL",
        reason,
    }
}
