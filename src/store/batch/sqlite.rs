//! The group commit in SQLite: the rows of all documents are appended to the tail of the log (`log_tail.rs`).
//!
//! Each text is handed to SQLite's thread and back, so that the usual commit is one text, whose insert is a transaction of its
//! own. There is a text for each number of rows: lists in JSON would be one text for all, but take twice as long.

use std::{fmt::Write as _, sync::LazyLock};

use futures_util::TryStreamExt;
use sqlx::{Connection, Either, Executor, Row as _, SqliteConnection};

use super::{Batch, Row};
use crate::{
    id::{DocumentId, UserId},
    store::log_tail::LogTail,
};

/// Up to so many rows are inserted by one text; of more rows, so many at once, or [`ROWS_OF_MANY`].
const ROWS_OF_FEW: usize = 32;
const ROWS_OF_MANY: usize = 256;

/// The texts that insert 1 to [`ROWS_OF_FEW`] rows, and [`ROWS_OF_MANY`].
static INSERTS: LazyLock<Vec<String>> = LazyLock::new(|| (1..=ROWS_OF_FEW).map(insert).collect());
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert(ROWS_OF_MANY));

impl Batch {
    /// Appends the rows to the tail. Returns the new heads of the documents, without those in the trash.
    pub(super) async fn write_sqlite(
        &self,
        connection: &mut SqliteConnection,
        tail: &mut LogTail,
    ) -> sqlx::Result<Vec<(DocumentId, i64)>> {
        tail.begin_append(connection).await?;
        let inserted = if self.authors.is_empty() && self.rows.len() <= ROWS_OF_FEW {
            self.insert_rows(connection, tail).await?
        } else {
            let mut transaction = connection.begin_with("begin immediate").await?;
            let inserted = self.insert_rows(&mut transaction, tail).await?;
            self.insert_authors(&mut transaction).await?;
            transaction.commit().await?;
            inserted
        };
        if inserted < self.rows.len() as u64 {
            // Some documents were deleted since their heads were read.
            tail.forget(self.documents());
        }
        self.find_heads(connection, tail).await?;
        let documents = self.documents.iter();
        Ok(tail.appended(documents.map(|document| (document.id, document.rows))))
    }

    /// Inserts the rows. Returns how many, without those of documents in the trash.
    async fn insert_rows(
        &self,
        connection: &mut SqliteConnection,
        tail: &mut LogTail,
    ) -> sqlx::Result<u64> {
        let mut inserted = 0;
        let mut rest = self.rows.as_slice();
        while !rest.is_empty() {
            let (rows, later) = rest.split_at(at_once(rest.len()));
            rest = later;
            inserted += self.insert_at_once(connection, tail, rows).await?;
        }
        Ok(inserted)
    }

    async fn insert_at_once(
        &self,
        connection: &mut SqliteConnection,
        tail: &mut LogTail,
        rows: &[Row],
    ) -> sqlx::Result<u64> {
        let text = INSERTS.get(rows.len() - 1).unwrap_or(&INSERT_MANY);
        let mut query = sqlx::query(text.as_str());
        for row in rows {
            let document = self.document_of(row);
            query = query
                .bind(document)
                .bind(tail.ahead(document) + row.position.ordinal)
                .bind(&row.payload[..])
                .bind(self.checksum(row))
                .bind(row.at)
                .bind(row.user.as_ref().map(UserId::as_str));
        }
        let mut inserted = None;
        let mut results = connection.fetch_many(query);
        while let Some(result) = results.try_next().await? {
            match result {
                // The first statement is the insert.
                Either::Left(done) => drop(inserted.get_or_insert(done.rows_affected())),
                Either::Right(row) => tail.at_version(row.try_get(0)?),
            }
        }
        Ok(inserted.unwrap_or(0))
    }

    /// Reads the heads of the documents that the tail does not know.
    async fn find_heads(
        &self,
        connection: &mut SqliteConnection,
        tail: &mut LogTail,
    ) -> sqlx::Result<()> {
        let is_unknown = |document: &DocumentId| tail.head(*document).is_none();
        let unknown: Vec<_> = self.documents().filter(is_unknown).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let documents = json_rows(&unknown, |text, document| write!(text, "\"{document}\""));
        let found: Vec<(DocumentId, i64)> = sqlx::query_as(
            "select document_id, head_seq
             from json_each($1) as given
             cross join document on document_id = given.value ->> 0 and deleted_at is null",
        )
        .bind(documents)
        .fetch_all(connection)
        .await?;
        for (document, head_seq) in found {
            tail.found(document, head_seq);
        }
        Ok(())
    }

    async fn insert_authors(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        if self.authors.is_empty() {
            return Ok(());
        }
        let authors = json_rows(&self.authors, |text, (document, author)| {
            let document = self.documents[*document].id;
            let user = serde_json::Value::from(author.user.as_str());
            let (client, clock, since) = (author.client, author.first_clock, author.since.0);
            write!(text, "\"{document}\",{client},{user},{clock},{since}")
        });
        sqlx::query(
            "insert into author (document_id, client_id, user_id, first_clock, since)
             select document_id, given.value ->> 1, given.value ->> 2, given.value ->> 3,
                    given.value ->> 4
             from json_each($1) as given
             cross join document on document_id = given.value ->> 0 and deleted_at is null
             where true on conflict do nothing",
        )
        .bind(authors)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// How many of `rows` rows the next statement inserts.
fn at_once(rows: usize) -> usize {
    match rows {
        ROWS_OF_MANY.. => ROWS_OF_MANY,
        _ => rows.min(ROWS_OF_FEW),
    }
}

/// The text that inserts `rows` rows and tells the version of the database. The positions of rows are given relative to `head_seq`,
/// which does not count those in the tail.
fn insert(rows: usize) -> String {
    let values = vec!["(?, ?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "insert into log_tail (document_id, seq, payload, checksum, at, user_id)
         select document_id, head_seq + column2, column3, column4, column5, column6
         from (values {values})
         cross join document on document_id = column1 and deleted_at is null;
         pragma data_version"
    )
}

/// A JSON array of arrays; `write` writes the elements of each inner array.
fn json_rows<T>(items: &[T], mut write: impl FnMut(&mut String, &T) -> std::fmt::Result) -> String {
    let mut text = String::with_capacity(items.len() * 64 + 2);
    text.push('[');
    for (index, item) in items.iter().enumerate() {
        text.push_str(if index == 0 { "[" } else { ",[" });
        write(&mut text, item).expect("writing to a String cannot fail");
        text.push(']');
    }
    text.push(']');
    text
}
