//! The list of a team's documents that the caller may view.
//!
//! Rights follow from the token, so the database does not know them: pages are read in the order of
//! the list, and documents that the caller may not view are left out here. A cursor names the last
//! document that was examined: reading all pages lists each document once, and a document that is
//! written to meanwhile moves to the front, before the pages that are still to be read.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    auth::{Claims, Permission},
    error::{Error, Result},
    id::{DocumentId, RoomName, Timestamp},
    store::{ListedDocument, Store},
};

/// The most documents on a page.
const PAGE_MAX: usize = 100;
const PAGE_DEFAULT: usize = 50;
/// The most documents that are examined for one page, viewable or not.
const EXAMINED_MAX: usize = 1000;
/// The most lists that are read at once: the other connections to the database are left to editing.
const CONCURRENT_LISTS_MAX: usize = 2;
/// How long a request waits until fewer lists are being read.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The end of the year 9999 in milliseconds since 1970, the latest time that the databases store.
const TIME_MAX: i64 = 253_402_300_799_999;

/// The catalog of all documents. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    store: Store,
    permits: Arc<Semaphore>,
}

/// A request for one page of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    limit: usize,
    after: Option<Cursor>,
}

/// A page of documents, the last written first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The documents that the caller may view; they may be fewer than the limit, or none.
    pub documents: Vec<Summary>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// A document of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its name within the team.
    pub room: RoomName,
    /// Its id; a document that is deleted and created again gets another one.
    pub document_id: DocumentId,
    /// The caller's permission.
    pub permission: Permission,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written to, or created.
    pub updated_at: Timestamp,
}

/// A position in the list: after this document. Clients send it back unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    updated_at: Timestamp,
    document: DocumentId,
}

impl Catalog {
    /// The catalog of the documents in `store`.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            permits: Arc::new(Semaphore::new(CONCURRENT_LISTS_MAX)),
        }
    }

    /// Lists one page of the documents of the caller's team that the caller may view.
    ///
    /// Examines at most 1,000 documents and takes at most 12 s.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many lists are being read, [`Error::StorageUnavailable`],
    /// or [`Error::Internal`] where the database answers with a failure of its own.
    pub async fn list(&self, claims: &Claims, request: PageRequest) -> Result<Page> {
        let Ok(_permit) = timeout(PERMIT_TIMEOUT, self.permits.acquire()).await else {
            return Err(Error::Overloaded);
        };
        let mut page = Page {
            documents: Vec::with_capacity(request.limit),
            next_cursor: request.after,
        };
        let mut left = EXAMINED_MAX;
        // One row more than the page contains shows whether there is a next page. More rows are
        // read only where some of these may not be viewed.
        let mut rows_max = request.limit + 1;
        while left > 0 {
            let after = page
                .next_cursor
                .map(|last| (last.updated_at, last.document));
            let rows = self.store.list_documents(&claims.team, after, rows_max);
            let rows = rows.await?;
            let is_end = rows.len() < rows_max;
            left -= rows.len();
            rows_max = left;
            for row in rows {
                if page.documents.len() == request.limit {
                    return Ok(page);
                }
                page.next_cursor = Some(Cursor::of(&row));
                page.documents.extend(summary(row, claims));
            }
            if is_end {
                page.next_cursor = None;
                break;
            }
        }
        Ok(page)
    }
}

impl PageRequest {
    /// Parses the parameters `limit` (1 to 100; the default is 50) and `cursor` (from the previous
    /// page).
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `limit` or `cursor`.
    pub fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Self> {
        let limit = limit.map_or(Some(PAGE_DEFAULT), |limit| limit.parse().ok());
        let limit = limit.filter(|limit| (1..=PAGE_MAX).contains(limit));
        Ok(Self {
            limit: limit.ok_or(Error::Invalid {
                field: "limit",
                reason: "must be a number from 1 to 100",
            })?,
            after: cursor.map(Cursor::parse).transpose()?,
        })
    }
}

impl Cursor {
    fn of(row: &ListedDocument) -> Self {
        Self {
            updated_at: row.updated_at,
            document: row.id,
        }
    }

    /// Parses the text of a cursor.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `cursor`.
    pub fn parse(text: &str) -> Result<Self> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (updated_at, id) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
            let updated_at = updated_at.parse().ok()?;
            (0..=TIME_MAX).contains(&updated_at).then_some(())?;
            Some(Self {
                updated_at: Timestamp(updated_at),
                document: DocumentId::parse(id)?,
            })
        };
        read().ok_or(Error::Invalid {
            field: "cursor",
            reason: "must be the next_cursor of a page",
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = format!("{} {}", self.updated_at.0, self.document);
        f.write_str(&URL_SAFE_NO_PAD.encode(plain))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The document with the caller's permission; `None` where the caller may not view it.
fn summary(row: ListedDocument, claims: &Claims) -> Option<Summary> {
    Some(Summary {
        permission: claims.rights_in(&row.room).permission()?,
        room: row.room,
        document_id: row.id,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_cursor_parses_to_the_same_cursor() {
        let cursor = Cursor {
            updated_at: Timestamp(1_700_000_000_007),
            document: DocumentId::generate(),
        };
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
    }

    #[test]
    fn invalid_cursors_are_refused() {
        let id = DocumentId::generate();
        let encoded = |plain: String| URL_SAFE_NO_PAD.encode(plain);
        for bad in [
            String::new(),
            "no cursor".into(),
            encoded(String::new()),
            encoded("7".into()),
            encoded("7 no id".into()),
            encoded(format!("seven {id}")),
            encoded(format!("-1 {id}")),
            encoded(format!("{} {id}", i64::MAX)),
            URL_SAFE_NO_PAD.encode([0xff, b' ', 0xfe]),
        ] {
            let error = Cursor::parse(&bad).expect_err(&bad);
            assert_eq!(error.field(), Some("cursor"), "{bad:?}");
        }
    }

    #[test]
    fn a_page_has_1_to_100_documents() {
        let limit = |text| PageRequest::parse(text, None).map(|request| request.limit);
        assert_eq!(limit(None), Ok(50));
        assert_eq!(limit(Some("1")), Ok(1));
        assert_eq!(limit(Some("100")), Ok(100));
        for bad in ["", "0", "101", "-1", "1.5", "ten", "99999999999999999999"] {
            let error = limit(Some(bad)).expect_err(bad);
            assert_eq!(error.field(), Some("limit"), "{bad:?}");
        }
    }
}
