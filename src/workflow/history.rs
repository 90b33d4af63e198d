//! The steps that a document has taken, by pages, the newest first.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::Workflow;
use crate::{
    auth::{Claims, Right, User},
    error::{Error, Result},
    id::{DocumentId, RoomName, StepId, Timestamp, UserId},
    payload::Payload,
    store::{Bind, FromRow, Row, args},
};

/// The most steps on a page.
const PAGE_MAX: usize = 100;
const PAGE_DEFAULT: usize = 50;
/// How long a request waits until fewer pages are being read.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// A request for one page.
#[derive(Clone, Debug)]
pub struct HistoryRequest {
    /// The document's room.
    pub room: RoomName,
    /// The most steps: 1 to 100.
    pub limit: usize,
    /// The last step of the page before.
    pub cursor: Option<StepId>,
}

/// A page of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryPage {
    /// The steps.
    pub history: Vec<Step>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<StepId>,
}

/// A step that a document has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    #[serde(skip)]
    id: StepId,
    /// The status before.
    pub from: String,
    /// The status after.
    pub to: String,
    /// Who moved it.
    pub by: User,
    /// What was said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was moved.
    pub at: Timestamp,
}

impl HistoryRequest {
    /// Reads `room`, `limit` and `cursor`. Without a limit, a page has 50 steps.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        let limit = payload.find_count("limit")?.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::Invalid {
                field: "limit",
                reason: "must be a number from 1 to 100",
            });
        }
        let cursor = payload.find_text("cursor")?.map(|text| {
            StepId::parse(text).ok_or(Error::Invalid {
                field: "cursor",
                reason: "must be the next_cursor of a page of the same history",
            })
        });
        Ok(Self {
            room: payload.room()?,
            limit,
            cursor: cursor.transpose()?,
        })
    }
}

impl Workflow {
    /// Lists one page of the steps that the present document of a room has taken.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to view, [`Error::NotFound`], [`Error::Overloaded`]
    /// where too many pages are being read; otherwise as
    /// [`Store::view`](crate::store::Store::view).
    pub async fn history(&self, claims: &Claims, request: &HistoryRequest) -> Result<HistoryPage> {
        claims.rights_in(&request.room).require(Right::View)?;
        let Ok(_permit) = timeout(PERMIT_TIMEOUT, self.permits.acquire()).await else {
            return Err(Error::Overloaded);
        };
        // One row more than the page contains shows whether there is a next page.
        let rows_max = Bind::Integer(i64::try_from(request.limit + 1).ok());
        let read = self.store.view(async |tx| {
            let found = tx.find(
                "select document_id from document where team = $1 and room = $2",
                args![claims.team, request.room],
            );
            let (document,): (DocumentId,) = found.await?.ok_or(Error::NO_DOCUMENT)?;
            let mut binds = args![claims.team, document, request.cursor];
            binds.push(rows_max);
            tx.list(
                "select step.step_id, step.from_status, step.to_status, step.by_user, step.note,
                        step.at, person.name, person.avatar_url
                 from workflow_step as step
                 left join person on person.team = $1 and person.user_id = step.by_user
                 where step.document_id = $2 and ($3 is null or step.step_id < $3)
                 order by step.step_id desc limit $4",
                binds,
            )
            .await
        });
        let mut history: Vec<Step> = read.await?;
        let has_more = history.len() > request.limit;
        history.truncate(request.limit);
        let last = history.last().filter(|_| has_more);
        Ok(HistoryPage {
            next_cursor: last.map(|step| step.id),
            history,
        })
    }
}

impl FromRow for Step {
    fn from_row(row: &Row) -> Result<Self> {
        let by: UserId = row.get("by_user")?;
        let name: Option<String> = row.get("name")?;
        Ok(Self {
            id: row.get("step_id")?,
            from: row.get("from_status")?,
            to: row.get("to_status")?,
            by: User {
                name: name.unwrap_or_else(|| by.as_str().to_owned()),
                avatar_url: row.get("avatar_url")?,
                id: by,
            },
            note: row.get("note")?,
            at: row.get("at")?,
        })
    }
}
