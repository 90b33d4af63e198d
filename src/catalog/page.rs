//! Lists of a team's documents that the caller may view, by pages.
//!
//! Documents that do not match the search are left out like those that the caller may not view. A
//! document that is written to while pages are read moves to the front, before the pages that are
//! still to be read.
//!
//! There is no index by `updated_at`: every commit would have to update it, so that listing became
//! faster and writing slower, and writing is what users wait for. The database finds the team's
//! documents by the index of their names and sorts them.

use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use super::{
    Catalog, Cursor, Sort,
    cursor::Key,
    summary::{Summary, may_restore},
};
use crate::{
    auth::Claims,
    config::STATUS_BYTES_MAX,
    error::{Error, Result},
    id::UserId,
    store::{FromRow, Metadata, Row, ToBind, Window, metadata_columns, people},
};

/// The longest text that is searched for, in characters.
const QUERY_CHARS_MAX: usize = 255;

/// A request for one page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    window: Window<Cursor>,
    sort: Sort,
    /// In lower case.
    query: Option<String>,
    status: Option<String>,
}

/// The parameters of a [`PageRequest`], as the client wrote them.
#[derive(Clone, Copy, Debug, Default, ToSchema)]
pub struct PageParameters<'a> {
    /// 1 to 100; the default is 50.
    #[schema(value_type = Option<usize>, minimum = 1, maximum = 100)]
    pub limit: Option<&'a str>,
    /// `updated` (the default), `created` or `title`.
    #[schema(schema_with = orders)]
    pub sort: Option<&'a str>,
    /// `true` for the documents in the trash, the last deleted first.
    #[schema(value_type = Option<bool>)]
    pub trash: Option<&'a str>,
    /// A text that the title has to contain, or the name of the room where there is no title,
    /// without regard to case.
    #[schema(rename = "q", max_length = 255)]
    pub query: Option<&'a str>,
    /// The status that the document has to have in the workflow.
    #[schema(min_length = 1, max_length = 64)]
    pub status: Option<&'a str>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<&'a str>,
}

/// The orders for which a client may ask.
fn orders() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("`updated`: the last written first (the default); `created`: the last created first; `title`."))
        .enum_values(Some(["updated", "created", "title"]))
        .build()
}

/// A page of documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DocumentPage)]
pub struct Page {
    /// The documents that the caller may view; they may be fewer than the limit, or none.
    pub documents: Vec<Summary>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next_cursor: Option<Cursor>,
}

/// A row of a list.
struct Listed {
    metadata: Metadata,
    title_key: String,
    deleted_by: Option<UserId>,
}

/// The statement of a list; its parameters are the team, the key and the id of the last document
/// before, the number of rows, the status that is asked for, and the initial status.
macro_rules! select_page {
    ($team:literal, $key:literal, $compare:literal, $order:literal) => {
        concat!(
            "select ",
            metadata_columns!(),
            ", document.title_key, document.deleted_by
             from document ",
            people!(),
            "
             where ",
            $team,
            " = $1
             and ($2 is null or (",
            $key,
            ", document.document_id) ",
            $compare,
            " ($2, $3))
             and ($5 is null or coalesce(document.status, $6) = $5)
             order by ",
            $key,
            $order,
            ", document.document_id",
            $order,
            " limit $4"
        )
    };
}

impl Catalog {
    /// Lists one page of the documents of the caller's team that the caller may view; of the trash,
    /// those that the caller may restore.
    ///
    /// Examines at most 1,000 documents and takes at most 12 s.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many lists are being read, [`Error::StorageUnavailable`],
    /// or [`Error::Internal`] where the database answers with a failure of its own.
    pub async fn list(&self, claims: &Claims, request: PageRequest) -> Result<Page> {
        let _permit = self.permits.acquire().await?;
        if request.sort == Sort::Updated {
            self.store.settle().await;
        }
        let read = |after, rows_max| self.read(claims, &request, after, rows_max);
        let cursor = |row: &Listed| row.cursor(request.sort);
        let select = |row| self.select(&request, row, claims);
        let (documents, next_cursor) = request.window.fill(read, cursor, select).await?;
        Ok(Page {
            documents,
            next_cursor,
        })
    }

    async fn read(
        &self,
        claims: &Claims,
        request: &PageRequest,
        after: Option<Cursor>,
        rows_max: i64,
    ) -> Result<Vec<Listed>> {
        let sql = match request.sort {
            Sort::Updated => select_page!("document.team", "document.updated_at", "<", " desc"),
            Sort::Created => select_page!("document.team", "document.created_at", "<", " desc"),
            Sort::Title => select_page!("document.team", "document.title_key", ">", ""),
            Sort::Deleted => {
                select_page!("document.trash_team", "document.deleted_at", "<", " desc")
            }
        };
        let (key, id) = request.sort.binds(after.as_ref());
        let binds = vec![
            claims.team.to_bind(),
            key,
            id,
            rows_max.to_bind(),
            request.status.to_bind(),
            self.initial_status.to_bind(),
        ];
        self.store.view(async |tx| tx.list(sql, binds).await).await
    }

    /// The document as the caller sees it; `None` where it is left out.
    fn select(&self, request: &PageRequest, row: Listed, claims: &Claims) -> Option<Summary> {
        let metadata = &row.metadata;
        let shown = metadata.title.as_deref().unwrap_or(metadata.room.as_str());
        let matches = |query: &String| shown.to_lowercase().contains(query);
        if !request.query.as_ref().is_none_or(matches) {
            return None;
        }
        if request.sort == Sort::Deleted
            && !may_restore(claims, &row.metadata, row.deleted_by.as_ref())
        {
            return None;
        }
        Summary::new(self.document(row.metadata), claims)
    }
}

impl PageRequest {
    /// Parses the parameters of a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `limit`, `sort`, `trash`, `q`, `status` or `cursor`.
    pub fn parse(parameters: PageParameters<'_>) -> Result<Self> {
        // No page has no documents, so that this limit is refused.
        let limit = parameters.limit.map(|limit| limit.parse().unwrap_or(0));
        let sort = match (parameters.trash, parameters.sort) {
            (None | Some("false"), None) => Sort::default(),
            (None | Some("false"), Some(word)) => Sort::parse(word)?,
            (Some("true"), None) => Sort::Deleted,
            (Some("true"), Some(_)) => {
                return Err(Error::Invalid {
                    field: "sort",
                    reason: "the trash has an order of its own",
                });
            }
            (Some(_), _) => {
                return Err(Error::Invalid {
                    field: "trash",
                    reason: "must be true or false",
                });
            }
        };
        let query = parameters.query.map(str::trim);
        let query = query.filter(|query| !query.is_empty());
        if query.is_some_and(|query| query.chars().count() > QUERY_CHARS_MAX) {
            return Err(Error::Invalid {
                field: "q",
                reason: "must be at most 255 characters",
            });
        }
        let is_status = |status: &str| {
            (1..=STATUS_BYTES_MAX).contains(&status.len()) && !status.contains(char::is_control)
        };
        if !parameters.status.is_none_or(is_status) {
            return Err(Error::Invalid {
                field: "status",
                reason: "must be a status of the workflow",
            });
        }
        let cursor = |text: &str| Cursor::parse(text, sort);
        Ok(Self {
            window: Window::parse(limit, parameters.cursor, cursor)?,
            sort,
            query: query.map(str::to_lowercase),
            status: parameters.status.map(str::to_owned),
        })
    }
}

impl Listed {
    fn cursor(&self, sort: Sort) -> Cursor {
        let metadata = &self.metadata;
        let key = match sort {
            Sort::Updated => Key::Time(metadata.updated_at),
            Sort::Created => Key::Time(metadata.created_at),
            Sort::Title => Key::Text(self.title_key.clone()),
            Sort::Deleted => Key::Time(metadata.deleted_at.unwrap_or(metadata.updated_at)),
        };
        Cursor {
            sort,
            key,
            document: metadata.document_id,
        }
    }
}

impl FromRow for Listed {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            title_key: row.get("title_key")?,
            deleted_by: row.get("deleted_by")?,
            metadata: Metadata::from_row(row)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_100_documents() {
        let limit = |limit| {
            let parameters = PageParameters {
                limit,
                ..PageParameters::default()
            };
            PageRequest::parse(parameters).map(|request| request.window.limit)
        };
        assert_eq!(limit(None), Ok(50));
        assert_eq!(limit(Some("1")), Ok(1));
        assert_eq!(limit(Some("100")), Ok(100));
        for bad in ["", "0", "101", "-1", "1.5", "ten", "99999999999999999999"] {
            let error = limit(Some(bad)).expect_err(bad);
            assert_eq!(error.field(), Some("limit"), "{bad:?}");
        }
    }

    #[test]
    fn the_order_and_the_trash_are_words() {
        let sort = |sort, trash| {
            let parameters = PageParameters {
                sort,
                trash,
                ..PageParameters::default()
            };
            let request = PageRequest::parse(parameters).map(|request| request.sort);
            request.map_err(|error| error.field().unwrap_or_default())
        };
        assert_eq!(sort(None, None), Ok(Sort::Updated));
        assert_eq!(sort(Some("title"), Some("false")), Ok(Sort::Title));
        assert_eq!(sort(None, Some("true")), Ok(Sort::Deleted));
        assert_eq!(sort(Some("deleted"), None), Err("sort"));
        assert_eq!(sort(Some("title"), Some("true")), Err("sort"));
        assert_eq!(sort(None, Some("yes")), Err("trash"));
    }
}
