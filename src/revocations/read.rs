//! The rows of revocations, read by their numbers.

use crate::{
    auth::{Revocation, Revoked},
    error::{Error, Result},
    id::{Team, Timestamp, UserId},
    store::{Store, args},
};

/// The most rows that are read at once.
pub(super) const ROWS_MAX: usize = 5000;
/// The kinds of revocations in the table.
pub(super) const LOGIN: &str = "login";
pub(super) const USER: &str = "user";

/// A revocation with its number.
pub(super) struct Numbered {
    pub(super) seq: i64,
    pub(super) revocation: Revocation,
}

type Row = (
    i64,
    Team,
    String,
    String,
    Option<Timestamp>,
    Timestamp,
    Timestamp,
);

/// The revocations whose numbers are above `seq`, in their order, at most [`ROWS_MAX`].
pub(super) async fn after(store: &Store, seq: i64) -> Result<Vec<Numbered>> {
    let rows: Vec<Row> = store
        .view(async |tx| {
            tx.list(
                "select seq, team, kind, subject, issued_before, revoked_at, kept_until
                 from revocation where seq > $1 order by seq limit $2",
                args![seq, ROWS_MAX as i64],
            )
            .await
        })
        .await?;
    rows.into_iter().map(numbered).collect()
}

fn numbered(row: Row) -> Result<Numbered> {
    let (seq, team, kind, subject, issued_before, revoked_at, kept_until) = row;
    let user = || UserId::parse(&subject).zip(issued_before);
    let revoked = match kind.as_str() {
        LOGIN => Some(Revoked::Login(subject)),
        USER => user().map(|(id, issued_before)| Revoked::User { id, issued_before }),
        _ => None,
    };
    let revoked = revoked.ok_or_else(|| {
        tracing::error!(seq, kind, "a row of the table revocation cannot be read");
        Error::Internal
    })?;
    Ok(Numbered {
        seq,
        revocation: Revocation {
            team,
            revoked,
            revoked_at,
            kept_until,
        },
    })
}
