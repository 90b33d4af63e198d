//! The threads of a document, by pages: the newest thread first, each with all its comments.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Comments, Status,
    read::{ThreadRow, of_person, read_comments, read_thread, select_threads},
    text::NO_THREAD,
    thread::Thread,
};
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::{DocumentId, RoomName, ThreadId},
    payload::Payload,
    store::{Bind, ToBind, Transaction, Window, args},
};

/// A page ends with the thread with which its comments have this size, in bytes.
const PAGE_BYTES: i64 = 1024 * 1024;
/// Behind the id of every thread.
const END: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/// A request for one page.
#[derive(Clone, Debug, ToSchema)]
pub struct PageRequest {
    /// The document.
    room: RoomName,
    /// Only threads with this status.
    status: Option<Status>,
    #[schema(ignore)]
    window: Window<ThreadId>,
}

/// A page of threads.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ThreadPage)]
pub struct Page {
    /// The threads; a page of long threads has fewer than its limit.
    pub threads: Vec<Thread>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<ThreadId>,
}

impl PageRequest {
    /// Reads `room`, `status` (`open` or `resolved`), `limit` (1 to 100; the default is 50) and
    /// `cursor`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        let status = payload.find_text("status")?.map(Status::parse);
        Ok(Self {
            room: payload.room()?,
            status: status.transpose()?,
            window: Window::read(payload, ThreadId::parse)?,
        })
    }
}

/// A page as it is read from the database, where nobody knows whose text is gone.
struct ReadPage {
    threads: Vec<Thread>,
    next_cursor: Option<ThreadId>,
}

impl Comments {
    /// Lists one page of the threads of a document. Takes at most 8 s.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to view; [`Error::NotFound`] without a document;
    /// [`Error::Overloaded`] where too many lists are being read; otherwise as
    /// [`Store::view`](crate::store::Store::view).
    pub async fn list(&self, claims: &Claims, request: &PageRequest) -> Result<Page> {
        claims.rights_in(&request.room).require(Right::View)?;
        let ReadPage {
            mut threads,
            next_cursor,
        } = {
            let _permit = self.permits.acquire().await?;
            let read = self.store.view(async |tx| read(&tx, claims, request).await);
            read.await?
        };
        let anchors = threads.iter().map(|thread| thread.anchor.as_ref());
        let orphaned = self.are_orphaned(claims, &request.room, anchors).await;
        for (thread, orphaned) in threads.iter_mut().zip(orphaned) {
            thread.orphaned = orphaned;
        }
        Ok(Page {
            threads,
            next_cursor,
        })
    }

    /// One thread.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the caller may not know of it; otherwise as
    /// [`Store::view`](crate::store::Store::view).
    pub async fn get(&self, claims: &Claims, id: ThreadId) -> Result<Thread> {
        let read = self.store.view(async |tx| {
            let found: Option<(RoomName,)> = tx
                .find(
                    "select document.room from thread
                     join document on document.document_id = thread.document_id
                     where thread.thread_id = $1 and document.team = $2",
                    args![id, claims.team],
                )
                .await?;
            let (room,) = found.ok_or(NO_THREAD)?;
            let rights = claims.rights_in(&room);
            rights.require(Right::View).map_err(|_| NO_THREAD)?;
            read_thread(&tx, &claims.team, &room, id, false).await
        });
        let mut thread = read.await?;
        let anchor = thread.anchor.as_ref();
        thread.orphaned = self.is_orphaned(claims, &thread.room, anchor).await;
        Ok(thread)
    }
}

/// Reads a page.
///
/// The threads of one document are found by comparisons of pairs and triples, of the document with the
/// thread; [`pages`](crate::store::Window) has the reasons for the form of the statements.
async fn read(tx: &Transaction, claims: &Claims, request: &PageRequest) -> Result<ReadPage> {
    let document: Option<(DocumentId,)> = tx
        .find(
            "select document_id from document where team = $1 and room = $2",
            args![claims.team, request.room],
        )
        .await?;
    let (document,) = document.ok_or(Error::NO_DOCUMENT)?;
    let after = match request.window.after {
        Some(after) => after.to_bind(),
        None => END.to_bind(),
    };
    // One row more than the page contains shows whether there is a next page.
    let rows_max = request.window.limit as i64 + 1;
    let mut binds = args![claims.team, document];
    binds.extend([after, rows_max.to_bind()]);
    let sql = match request.status {
        None => select_threads!(
            "thread.document_id >= $2 and (thread.document_id, thread.thread_id) < ($2, $3)
             order by thread.document_id desc, thread.thread_id desc limit (select $4)"
        ),
        Some(status) => {
            binds.push(Bind::Bool(Some(status.is_resolved())));
            select_threads!(
                "(thread.document_id, thread.resolved) >= ($2, $5)
                 and (thread.document_id, thread.resolved, thread.thread_id) < ($2, $5, $3)
                 order by thread.document_id desc, thread.resolved desc, thread.thread_id desc
                 limit (select $4)"
            )
        }
    };
    let mut rows: Vec<ThreadRow> = tx.list(sql, binds).await?;
    let kept = page_len(rows.iter().map(|row| row.bytes), request.window.limit);
    let is_end = kept == rows.len();
    rows.truncate(kept);
    let last = rows.last().map(|row| row.id);
    let next_cursor = last.filter(|_| !is_end);
    let threads = rows.into_iter().map(|row| row.with(&request.room, false));
    let mut threads: Vec<Thread> = threads.collect();
    read_comments(tx, &claims.team, &mut threads).await?;
    Ok(ReadPage {
        threads,
        next_cursor,
    })
}

/// How many threads of these sizes are on a page: at least one, if there is one.
fn page_len(sizes: impl Iterator<Item = i64>, limit: usize) -> usize {
    let mut bytes = 0;
    let fitting = sizes.take(limit).take_while(|size| {
        let fits = bytes < PAGE_BYTES;
        bytes += size;
        fits
    });
    fitting.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_with_its_limit_or_its_size_and_is_never_empty() {
        let len = |sizes: &[i64], limit| page_len(sizes.iter().copied(), limit);
        assert_eq!(len(&[], 50), 0);
        assert_eq!(len(&[1, 2, 3], 2), 2);
        assert_eq!(len(&[PAGE_BYTES, 1], 50), 1);
        assert_eq!(len(&[1, PAGE_BYTES, 1], 50), 2);
        assert_eq!(len(&[PAGE_BYTES / 2; 3], 50), 2);
    }
}
