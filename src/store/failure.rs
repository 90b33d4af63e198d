//! What a failure of the database means for whoever asked.
//!
//! The question is always the same: may the same statement succeed later, for
//! reasons that lie outside of it ([`Passing`](Failure::Passing)), or does the
//! database refuse what it was given ([`Lasting`](Failure::Lasting))? In doubt
//! a failure passes: trying again loses nothing.

use std::{io, time::Duration};

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};
use tokio::time::timeout;

use crate::{error::Error, id::DocumentId};

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The database is away, full, busy, stopping, read-only or not as it should be.
    Passing,
    /// The database will not take these values.
    Lasting,
}

impl Failure {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let lasting = match error {
            sqlx::Error::Database(error) => refuses_values(&**error),
            // Values that our types cannot hold; the database itself is well.
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                true
            }
            _ => false,
        };
        if lasting {
            Self::Lasting
        } else {
            Self::Passing
        }
    }
}

fn refuses_values(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        // Data exception, integrity constraint, program limit, internal (a damaged page).
        return matches!(code.get(..2), Some("22" | "23" | "54" | "XX"));
    }
    // SQLite: corrupt, too big, constraint, mismatch; the low byte is the primary code.
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 11 | 18 | 19 | 20))
}

/// Waits for `work` for at most `limit`, then fails as if the connection had broken.
pub(super) async fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// Logs `error`, which was met in `doing` something, and names it for the caller.
pub(super) fn report(
    doing: &'static str,
    document: Option<DocumentId>,
    error: sqlx::Error,
) -> Error {
    let document = document.map(tracing::field::debug);
    match Failure::of(&error) {
        Failure::Passing => {
            tracing::warn!(document, %error, "{doing}: the database is unavailable");
            Error::StorageUnavailable
        }
        Failure::Lasting => {
            tracing::error!(document, %error, "{doing}: the database refused");
            Error::Internal
        }
    }
}
