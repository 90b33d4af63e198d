//! Classifies failures of the database.
//!
//! A failure is [transient](Failure::Transient) where the same statement may succeed later, for
//! reasons outside of the statement, and [permanent](Failure::Permanent) where the database
//! refuses the values that it was given. Failures that are not known are transient, because
//! trying again loses nothing.

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

use crate::{error::Error, id::DocumentId};

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The database is unreachable, full, busy, stopping, read-only or wrongly configured.
    Transient,
    /// The database, or a pooler before it, reports an error of its own. It may concern everything, or only the place where a
    /// document is stored: that is seen by trying other documents.
    Unclear,
    /// The database does not accept these values.
    Permanent,
}

impl Failure {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::of_code(&**error),
            // Values that our types cannot represent; the database itself works.
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                Self::Permanent
            }
            _ => Self::Transient,
        }
    }

    fn of_code(error: &dyn DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<PgDatabaseError>().is_some() {
            return postgres_failure(&code);
        }
        match code.parse().is_ok_and(sqlite_refuses_values) {
            true => Self::Permanent,
            false => Self::Transient,
        }
    }
}

/// Whether the transaction was rolled back because of another one, so that running it again from
/// its beginning may succeed.
///
/// In Postgres that is a serialization failure (40001) or a deadlock (40P01), in SQLite a database
/// that is busy or locked.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        postgres_conflicts(&code)
    } else {
        code.parse().is_ok_and(sqlite_conflicts)
    }
}

fn postgres_conflicts(code: &str) -> bool {
    matches!(code, "40001" | "40P01")
}

fn sqlite_conflicts(code: u32) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    matches!(code & 0xff, BUSY | LOCKED)
}

/// What a SQLSTATE means, by its class.
///
/// Most classes affect every document alike, and pass or are repaired by an operator, so that trying again helps:
/// - 08: the connection broke, or a pooler has lost its server
/// - 0A, 26, 42: a statement that was prepared for another schema, or was forgotten by a pooler; a missing right or table
/// - 25: the database is read-only (25006), or ended an idle transaction (25P03)
/// - 28, 3D: the role or the database is missing or refused for now
/// - 40: rolled back because of another transaction
/// - 53: a full disk (53100), no memory, too many connections (53300)
/// - 55: a row or an object is in use, or recovery is in progress
/// - 57: the statement was cancelled by a timeout, or the server stops or starts
/// - 58: an error of the operating system, such as a disk that fails
fn postgres_failure(code: &str) -> Failure {
    match code.get(..2) {
        Some(
            "22" // A data exception: out of range, not of the encoding.
            | "23" // An integrity constraint.
            | "44" // The check option of a view.
            | "54" // A limit of the program: a row or a field that is too large.
            | "P0", // A trigger of the operator's that raises.
        ) => Failure::Permanent,
        // Internal: a damaged page or index (XX001, XX002), which other documents may not touch; but XX000 is also what poolers
        // and hosted databases answer while their server is away.
        Some("XX") => Failure::Unclear,
        _ => Failure::Transient,
    }
}

/// The same for a result code of SQLite, whose low byte is the primary code.
///
/// Not among them, because they affect every document alike: read-only (8), an I/O error (10), a
/// full disk (13), a file that cannot be opened (14) or is not a database (26).
fn sqlite_refuses_values(code: u32) -> bool {
    const CORRUPT: u32 = 11;
    const TOO_BIG: u32 = 18;
    const CONSTRAINT: u32 = 19;
    const MISMATCH: u32 = 20;
    matches!(code & 0xff, CORRUPT | TOO_BIG | CONSTRAINT | MISMATCH)
}

/// Logs `error`, which happened during `operation`, and returns the error for the caller.
pub(super) fn report(
    operation: &'static str,
    document: Option<DocumentId>,
    error: sqlx::Error,
) -> Error {
    let document = document.map(tracing::field::debug);
    match Failure::of(&error) {
        Failure::Transient | Failure::Unclear => {
            tracing::warn!(document, %error, "{operation}: the database is unavailable");
            Error::StorageUnavailable
        }
        Failure::Permanent => {
            tracing::error!(document, %error, "{operation}: the database refused");
            Error::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_are_sorted_by_whether_trying_again_may_help() {
        use Failure::{Permanent, Transient, Unclear};
        for (code, failure, name) in [
            ("22001", Permanent, "string_data_right_truncation"),
            ("22021", Permanent, "character_not_in_repertoire"),
            ("22P05", Permanent, "untranslatable_character"),
            ("23502", Permanent, "not_null_violation"),
            ("23505", Permanent, "unique_violation"),
            ("23514", Permanent, "check_violation"),
            ("44000", Permanent, "with_check_option_violation"),
            ("54000", Permanent, "program_limit_exceeded"),
            ("P0001", Permanent, "raise_exception"),
            ("XX000", Unclear, "internal_error"),
            ("XX001", Unclear, "data_corrupted"),
            ("XX002", Unclear, "index_corrupted"),
            ("08P01", Transient, "protocol_violation"),
            ("08006", Transient, "connection_failure"),
            (
                "0A000",
                Transient,
                "cached plan must not change result type",
            ),
            ("25006", Transient, "read_only_sql_transaction"),
            ("25P03", Transient, "idle_in_transaction_session_timeout"),
            ("26000", Transient, "invalid_sql_statement_name"),
            ("28P01", Transient, "invalid_password"),
            ("40001", Transient, "serialization_failure"),
            ("40P01", Transient, "deadlock_detected"),
            ("42501", Transient, "insufficient_privilege"),
            ("42P01", Transient, "undefined_table"),
            ("42703", Transient, "undefined_column"),
            ("53100", Transient, "disk_full"),
            ("53200", Transient, "out_of_memory"),
            ("53300", Transient, "too_many_connections"),
            ("55000", Transient, "recovery is in progress"),
            ("55P03", Transient, "lock_not_available"),
            ("57014", Transient, "query_canceled"),
            ("57P01", Transient, "admin_shutdown"),
            ("57P02", Transient, "crash_shutdown"),
            ("57P03", Transient, "cannot_connect_now"),
            ("58030", Transient, "io_error"),
            ("58P01", Transient, "undefined_file"),
            ("", Transient, "none"),
        ] {
            assert_eq!(postgres_failure(code), failure, "{code} {name}");
        }
    }

    #[test]
    fn sqlite_codes_of_refused_values_are_permanent() {
        for (code, is_permanent, name) in [
            (11, true, "SQLITE_CORRUPT"),
            (267, true, "SQLITE_CORRUPT_VTAB"),
            (779, true, "SQLITE_CORRUPT_INDEX"),
            (18, true, "SQLITE_TOOBIG"),
            (19, true, "SQLITE_CONSTRAINT"),
            (1811, true, "SQLITE_CONSTRAINT_TRIGGER"),
            (2067, true, "SQLITE_CONSTRAINT_UNIQUE"),
            (20, true, "SQLITE_MISMATCH"),
            (1, false, "SQLITE_ERROR: no such table"),
            (3, false, "SQLITE_PERM"),
            (5, false, "SQLITE_BUSY"),
            (517, false, "SQLITE_BUSY_SNAPSHOT"),
            (6, false, "SQLITE_LOCKED"),
            (7, false, "SQLITE_NOMEM"),
            (8, false, "SQLITE_READONLY"),
            (9, false, "SQLITE_INTERRUPT"),
            (10, false, "SQLITE_IOERR"),
            (1034, false, "SQLITE_IOERR_FSYNC"),
            (13, false, "SQLITE_FULL"),
            (14, false, "SQLITE_CANTOPEN"),
            (15, false, "SQLITE_PROTOCOL"),
            (17, false, "SQLITE_SCHEMA"),
            (23, false, "SQLITE_AUTH"),
            (26, false, "SQLITE_NOTADB"),
        ] {
            assert_eq!(sqlite_refuses_values(code), is_permanent, "{code} {name}");
        }
    }

    #[test]
    fn conflicts_are_transient_and_recognised_by_their_code() {
        for code in ["40001", "40P01"] {
            assert!(postgres_conflicts(code));
            assert_eq!(postgres_failure(code), Failure::Transient);
        }
        // SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT, SQLITE_LOCKED.
        for code in [5, 517, 6] {
            assert!(sqlite_conflicts(code) && !sqlite_refuses_values(code));
        }
        for code in ["57014", "55P03", "23505", ""] {
            assert!(!postgres_conflicts(code));
        }
        for code in [9, 13, 19, 2067] {
            assert!(!sqlite_conflicts(code));
        }
    }
}
