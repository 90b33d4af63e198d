//! The tail of the log in SQLite: a commit appends the rows of all documents to the end of one table, `log_tail`, and about once a
//! second, and before each snapshot, they are moved to `update_log`. A row never leaves the tail otherwise, so that the positions
//! go on after it.
//!
//! In `update_log` each document's rows are on pages of their own, and so are the documents' `head_seq` and `updated_at`. A commit
//! that changed them for 50 documents would write more than 100 pages; one that appends to the tail writes a few. A move writes
//! these pages too, but once for all rows of a second. Readers use the view `document_log`, which has both tables.

use std::{collections::HashMap, future::pending, time::Duration};

use sqlx::{Connection, SqliteConnection, SqliteTransaction};
use tokio::time::{Instant, sleep_until};

use super::{database::Sqlite, failure::Failure};
use crate::id::DocumentId;

/// How long a row stays in the tail. So long is `updated_at` of a document behind.
const AGE_MAX: Duration = Duration::from_secs(1);
/// With so many rows the tail is moved at once. Loading a document reads the whole tail, and a move makes the next commit wait: for
/// some 4 ms with so many rows of 50 documents.
const ROWS_MAX: usize = 1024;
/// When a move that has failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What the table `log_tail` holds.
pub(super) struct LogTail {
    /// For each document with rows in the tail: how many positions the newest one is ahead of the document's `head_seq`.
    ahead: HashMap<DocumentId, i64>,
    /// The position of the newest row, for documents that were written since the move before the last one.
    heads: HashMap<DocumentId, i64>,
    /// The version of the database at which they were read or written; it changes when another process writes.
    version: Option<i64>,
    rows: usize,
    state: State,
    /// When the rows have to be moved.
    due: Option<Instant>,
}

/// Whether [`LogTail`] agrees with the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Known,
    /// Rows of an earlier process may be there, or those of a commit whose outcome was not reported.
    Unknown,
}

impl LogTail {
    /// The tail as it is after a start: due to be moved.
    pub(super) fn unknown() -> Self {
        Self {
            due: Some(Instant::now()),
            ..Self::none()
        }
    }

    /// The tail of a database that has none.
    pub(super) fn none() -> Self {
        Self {
            ahead: HashMap::new(),
            heads: HashMap::new(),
            version: None,
            rows: 0,
            state: State::Unknown,
            due: None,
        }
    }

    /// Waits until the rows have to be moved; for ever if there are none.
    pub(super) async fn is_due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => pending().await,
        }
    }

    /// How many positions the newest row of `document` in the tail is ahead of the document's `head_seq`.
    pub(super) fn ahead(&self, document: DocumentId) -> i64 {
        self.ahead.get(&document).copied().unwrap_or(0)
    }

    /// Forgets all positions if another process, such as an operator's shell, has written to the database since its last version.
    pub(super) fn at_version(&mut self, version: i64) {
        if self.version.replace(version) != Some(version) {
            self.heads.clear();
        }
    }

    /// The position of the newest row of `document`, if it is known.
    pub(super) fn head(&self, document: DocumentId) -> Option<i64> {
        self.heads.get(&document).copied()
    }

    /// Notes that `document` has this `head_seq`.
    pub(super) fn found(&mut self, document: DocumentId, head_seq: i64) {
        let head = head_seq + self.ahead(document);
        self.heads.insert(document, head);
    }

    /// Forgets the positions of `documents`.
    pub(super) fn forget(&mut self, documents: impl Iterator<Item = DocumentId>) {
        for document in documents {
            self.heads.remove(&document);
        }
    }

    /// Prepares for a commit. If the tail is unknown, its rows are moved first.
    pub(super) async fn begin_append(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<()> {
        if self.state == State::Unknown {
            self.empty(connection).await?;
        }
        // Until the outcome is known, also if this task is stopped meanwhile.
        self.state = State::Unknown;
        Ok(())
    }

    /// Notes that a commit has appended rows: the number of each document's rows. Documents whose position is not known have got none.
    /// Returns the new positions of the others.
    pub(super) fn appended(
        &mut self,
        documents: impl Iterator<Item = (DocumentId, i64)>,
    ) -> Vec<(DocumentId, i64)> {
        self.state = State::Known;
        let mut heads = Vec::with_capacity(documents.size_hint().0);
        for (document, rows) in documents {
            let Some(head) = self.heads.get_mut(&document) else {
                continue;
            };
            *head += rows;
            heads.push((document, *head));
            if rows > 0 {
                *self.ahead.entry(document).or_default() += rows;
                self.rows += usize::try_from(rows).unwrap_or(0);
            }
        }
        let now = Instant::now();
        if self.rows >= ROWS_MAX {
            self.due = Some(now);
        } else if self.rows > 0 {
            self.due.get_or_insert(now + AGE_MAX);
        }
        heads
    }

    /// Moves all rows to `update_log`.
    ///
    /// # Errors
    /// The cause; the rows are still in the tail, where they are durable as well. They are moved later.
    pub(super) async fn move_rows(&mut self, sqlite: &Sqlite) -> sqlx::Result<()> {
        if self.state == State::Known && self.ahead.is_empty() {
            return Ok(());
        }
        self.due = Some(Instant::now() + RETRY_AFTER);
        let mut lease = sqlite.writer.lease().await?;
        self.empty(&mut lease.connection).await?;
        lease.give_back();
        Ok(())
    }

    /// Moves all rows. If the database refuses to, as it does where a page of one document is damaged, each document's rows are moved
    /// by themselves, and those that are refused stay.
    async fn empty(&mut self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let was_known = std::mem::replace(&mut self.state, State::Unknown) == State::Known;
        match move_all(connection).await {
            Ok(()) => {}
            Err(error) if Failure::of(&error) == Failure::Permanent => {
                tracing::error!(%error, "the database refuses to move the tail of the log");
                let documents: Vec<(DocumentId,)> =
                    sqlx::query_as("select distinct document_id from log_tail")
                        .fetch_all(&mut *connection)
                        .await?;
                for (document,) in documents {
                    if let Err(error) = move_document(connection, document).await {
                        tracing::error!(%error, %document, "rows stay in the tail of the log");
                    }
                }
            }
            Err(error) => return Err(error),
        }
        let left: Vec<(DocumentId, i64)> =
            sqlx::query_as("select document_id, count(*) from log_tail group by document_id")
                .fetch_all(connection)
                .await?;
        self.due = (!left.is_empty()).then(|| Instant::now() + RETRY_AFTER);
        // What was written lately is likely to be written again.
        self.heads
            .retain(|document, _| was_known && self.ahead.contains_key(document));
        self.ahead = left.into_iter().collect();
        self.rows = 0;
        self.state = State::Known;
        Ok(())
    }
}

async fn move_all(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let has_rows: bool = sqlx::query_scalar("select exists (select 1 from log_tail)")
        .fetch_one(&mut *transaction)
        .await?;
    if has_rows {
        move_where(&mut transaction, None).await?;
    }
    transaction.commit().await
}

async fn move_document(
    connection: &mut SqliteConnection,
    document: DocumentId,
) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    move_where(&mut transaction, Some(document)).await?;
    transaction.commit().await
}

/// Moves the rows of one document, or of all. Rows of a document that was deleted for good are dropped.
///
/// An earlier version does not know the tail: if one has served the database after a crash, it has given the positions of these rows
/// to its own. They get later positions then.
async fn move_where(
    transaction: &mut SqliteTransaction<'_>,
    document: Option<DocumentId>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into update_log (document_id, seq, payload, checksum, at, user_id)
         select document_id,
                seq + max(0, head_seq + 1 - min(seq) over (partition by document_id)),
                payload, checksum, at, user_id
         from log_tail join document using (document_id)
         where $1 is null or document_id = $1",
    )
    .bind(document)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "update document set updated_at = max(updated_at, moved.at),
                             head_seq = moved.last + max(0, head_seq + 1 - moved.first)
         from (select document_id, min(seq) as first, max(seq) as last, max(at) as at
               from log_tail where $1 is null or document_id = $1 group by document_id) as moved
         where document.document_id = moved.document_id",
    )
    .bind(document)
    .execute(&mut **transaction)
    .await?;
    sqlx::query("delete from log_tail where $1 is null or document_id = $1")
        .bind(document)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
