//! The group commit: a batch, written in one transaction.
//!
//! In Postgres each document's `head_seq` is raised under the lock of its row, and the new rows get the seqs up
//! to the new head, so that the seqs have no gaps while other instances write as well. The
//! statements differ between the databases for speed: Postgres gets one statement with arrays,
//! which is a single round trip unless it needs settings of its own; SQLite's are in `sqlite.rs`. A document
//! in the trash takes no rows.

use std::collections::HashMap;

use sqlx::{Connection, PgConnection};

use super::{Batch, BatchDocument, Heads};
use crate::{
    id::{DocumentId, Timestamp, UserId},
    store::{
        database::{Database, Sessions},
        log_tail::LogTail,
    },
};

/// From so many bytes on, a batch gets a longer statement timeout in Postgres than its connection has.
const LARGE_BYTES: usize = 1 << 20;

impl Batch {
    /// Writes the batch, all of it or nothing; it is durable when this returns. `updated_at` of its
    /// documents is set now, or when the rows leave SQLite's `tail`.
    ///
    /// After a failure the batch may be written nevertheless, where the answer was lost.
    pub(in crate::store) async fn write(
        &self,
        database: &Database,
        tail: &mut LogTail,
    ) -> sqlx::Result<Heads> {
        let heads = match database {
            Database::Postgres(postgres) => {
                let mut lease = postgres.log.lease().await?;
                let (connection, now) = (&mut lease.connection, Timestamp::now());
                let is_alone = postgres.sessions == Sessions::Kept && self.bytes <= LARGE_BYTES;
                let heads = if is_alone {
                    self.write_postgres(connection, postgres.sessions, now)
                        .await?
                } else {
                    self.write_with_settings(connection, postgres.sessions, now)
                        .await?
                };
                lease.give_back();
                heads
            }
            Database::Sqlite(sqlite) => {
                let mut lease = sqlite.writer.lease().await?;
                let heads = self.write_sqlite(&mut lease.connection, tail).await?;
                lease.give_back();
                heads
            }
        };
        let heads: HashMap<_, _> = heads.into_iter().collect();
        let head = |document: &BatchDocument| heads.get(&document.id).copied();
        Ok(Heads(self.documents.iter().map(head).collect()))
    }

    /// Writes in a transaction with settings of its own: a statement timeout of [`time_limit`](Batch::time_limit), and a durable
    /// commit, which a session that is not this one's alone may not have.
    async fn write_with_settings(
        &self,
        connection: &mut PgConnection,
        sessions: Sessions,
        now: Timestamp,
    ) -> sqlx::Result<Vec<(DocumentId, i64)>> {
        let mut transaction = connection
            .begin_with(
                "begin; set local synchronous_commit = on; set local statement_timeout = '5s'",
            )
            .await?;
        if self.bytes > LARGE_BYTES {
            sqlx::query("select set_config('statement_timeout', $1, true)")
                .persistent(sessions == Sessions::Kept)
                .bind(self.time_limit().as_millis().to_string())
                .execute(&mut *transaction)
                .await?;
        }
        let heads = self.write_postgres(&mut transaction, sessions, now).await?;
        transaction.commit().await?;
        Ok(heads)
    }

    /// Writes in one statement. It locks the documents in the order of their ids, so that
    /// instances that write to the same documents cannot deadlock.
    async fn write_postgres(
        &self,
        connection: &mut PgConnection,
        sessions: Sessions,
        now: Timestamp,
    ) -> sqlx::Result<Vec<(DocumentId, i64)>> {
        let documents = self
            .documents
            .iter()
            .map(|document| document.id.to_string());
        let row_counts = self.documents.iter().map(|document| document.rows);
        // Indexes count from one in Postgres.
        let row_documents = self.rows.iter().map(|row| row.position.document as i64 + 1);
        let rows_after = self.rows.iter().map(|row| self.rows_after(row.position));
        let payloads = self.rows.iter().map(|row| &row.payload[..]);
        let checksums = self.rows.iter().map(|row| self.checksum(row));
        let row_times = self.rows.iter().map(|row| row.at);
        let row_users = self
            .rows
            .iter()
            .map(|row| row.user.as_ref().map(UserId::as_str));
        let author_documents = self
            .authors
            .iter()
            .map(|(document, _)| *document as i64 + 1);
        let authors = || self.authors.iter().map(|(_, author)| author);
        let clients = authors().map(|author| author.client as i64);
        let users = authors().map(|author| author.user.as_str());
        let clocks = authors().map(|author| i64::from(author.first_clock));
        let times = authors().map(|author| author.since);
        sqlx::query_as(
            "with share as (
                 select * from unnest($1::text[], $2::bigint[]) with ordinality
                 as share (document_id, row_count, place)
             ), locked as (
                 select document_id, row_count, place
                 from document join share using (document_id)
                 where document.deleted_at is null
                 order by document_id for no key update of document
             ), raised as (
                 update document set head_seq = head_seq + row_count, updated_at = $7 from locked
                 where document.document_id = locked.document_id
                 returning document.document_id, head_seq, place
             ), written as (
                 insert into update_log (document_id, seq, payload, checksum, at, user_id)
                 select document_id, head_seq - behind, payload, checksum, at, user_id
                 from unnest($3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[],
                             $13::timestamptz[], $14::text[])
                 as given (place, behind, payload, checksum, at, user_id) join raised using (place)
             ), signed as (
                 insert into author (document_id, client_id, user_id, first_clock, since)
                 select document_id, client_id, user_id, first_clock, since
                 from unnest($8::bigint[], $9::bigint[], $10::text[], $11::bigint[],
                             $12::timestamptz[])
                 as given (place, client_id, user_id, first_clock, since)
                 join raised using (place) on conflict do nothing
             )
             select document_id, head_seq from raised",
        )
        .persistent(sessions == Sessions::Kept)
        .bind(documents.collect::<Vec<_>>())
        .bind(row_counts.collect::<Vec<_>>())
        .bind(row_documents.collect::<Vec<_>>())
        .bind(rows_after.collect::<Vec<_>>())
        .bind(payloads.collect::<Vec<_>>())
        .bind(checksums.collect::<Vec<_>>())
        .bind(now)
        .bind(author_documents.collect::<Vec<_>>())
        .bind(clients.collect::<Vec<_>>())
        .bind(users.collect::<Vec<_>>())
        .bind(clocks.collect::<Vec<_>>())
        .bind(times.collect::<Vec<_>>())
        .bind(row_times.collect::<Vec<_>>())
        .bind(row_users.collect::<Vec<_>>())
        .fetch_all(connection)
        .await
    }
}
