//! Reads what other instances have added to the log of a document that is in memory.

use std::time::Duration;

use super::{
    Json, Store, args,
    author::Authors,
    checksum::update_checksum,
    database::{Database, reading},
    failure::report,
    load::Loaded,
    timeouts::bounded,
};
use crate::{
    error::{Error, Result},
    id::{DocumentId, Seq},
};

/// How long reading on may take. Whoever needs it waits meanwhile, with all others in the room.
const READ_ON_TIMEOUT: Duration = Duration::from_secs(1);

/// Who writes to the logs of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// This process alone: an SQLite file belongs to one server.
    This,
    /// Other instances too.
    Several,
}

/// What was found after a position.
enum Tail {
    /// All rows up to the log's head.
    Complete(Loaded),
    /// Rows have been trimmed, or are damaged: the document has to be read as a whole.
    Incomplete,
    /// There is no such document.
    Gone,
}

impl Store {
    /// Who writes to the logs.
    pub fn writers(&self) -> Writers {
        match &*self.inner.database {
            Database::Postgres(_) => Writers::Several,
            Database::Sqlite(_) => Writers::This,
        }
    }

    /// Reads the rows of the document's log after `since`, with the owners of all client ids where there are such rows. If the log
    /// no longer has all of them, the document is read as by [`load`](Store::load). The first takes at most one second.
    ///
    /// # Errors
    /// As [`load`](Store::load).
    pub async fn read_on(&self, document: DocumentId, since: Seq) -> Result<Loaded> {
        if self.writers() == Writers::This {
            // It is rare: rows were written twice, because the outcome of their commit was not reported.
            return self.load(document).await;
        }
        let tail = bounded(READ_ON_TIMEOUT, self.read_tail(document, since)).await;
        let tail = tail.map_err(|error| report("reading on", Some(document), error))?;
        match tail {
            Tail::Complete(loaded) => Ok(loaded),
            Tail::Incomplete => self.load(document).await,
            Tail::Gone => Err(Error::NO_DOCUMENT),
        }
    }

    /// The newest positions of the logs of these documents, without those that are deleted.
    ///
    /// # Errors
    /// As [`view`](Store::view).
    pub async fn heads(&self, documents: &[DocumentId]) -> Result<Vec<(DocumentId, Seq)>> {
        let given: Vec<_> = documents.iter().map(|document| [document]).collect();
        self.view(async |tx| {
            tx.list(
                "select document.document_id, document.head_seq
                 from json_each($1) as given
                 cross join document
                 where document.document_id = given.value ->> 0 and document.deleted_at is null",
                args![Json(given)],
            )
            .await
        })
        .await
    }

    async fn read_tail(&self, document: DocumentId, since: Seq) -> sqlx::Result<Tail> {
        let tail = reading!(&*self.inner.database, transaction => {
            // One statement, so that both are of one moment: a row for the document, or one for each newer row of its log.
            let rows: Vec<TailRow> = sqlx::query_as(
                "select document.head_seq, update_log.seq, update_log.payload, update_log.checksum
                 from document
                 left join update_log on update_log.document_id = document.document_id
                      and update_log.seq > $2
                 where document.document_id = $1 and document.deleted_at is null
                 order by update_log.seq",
            )
            .bind(document)
            .bind(since.0)
            .fetch_all(&mut *transaction)
            .await?;
            let mut tail = Tail::of(document, since, rows);
            if let Tail::Complete(loaded) = &mut tail && !loaded.updates.is_empty() {
                let rows: Vec<(i64, String)> =
                    sqlx::query_as("select client_id, user_id from author where document_id = $1")
                        .bind(document)
                        .fetch_all(&mut *transaction)
                        .await?;
                let mut authors = Authors::default();
                rows.iter().for_each(|(client, user)| authors.add(*client, user));
                loaded.authors = authors.into_owners();
            }
            tail
        });
        Ok(tail)
    }
}

/// The head of a log, and one of its rows: position, update, checksum.
type TailRow = (i64, Option<i64>, Option<Vec<u8>>, Option<i64>);

impl Tail {
    fn of(document: DocumentId, since: Seq, rows: Vec<TailRow>) -> Self {
        let Some(&(head, ..)) = rows.first() else {
            return Tail::Gone;
        };
        let mut loaded = Loaded {
            head_seq: Seq(head),
            ..Loaded::default()
        };
        for (_, seq, payload, checksum) in rows {
            if let (Some(seq), Some(payload), Some(checksum)) = (seq, payload, checksum)
                && update_checksum(document, &payload) == checksum
            {
                loaded.updates.push((Seq(seq), payload.into()));
            }
        }
        let rows = i64::try_from(loaded.updates.len()).unwrap_or(i64::MAX);
        match rows == (head - since.0).max(0) {
            true => Tail::Complete(loaded),
            false => Tail::Incomplete,
        }
    }
}
