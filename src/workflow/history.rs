//! The steps that a document has taken, by pages, the newest first.

use serde::Serialize;
use utoipa::ToSchema;

use super::Workflow;
use crate::{
    auth::{Claims, Right, User},
    error::{Error, Result},
    id::{DocumentId, RoomName, StepId, Timestamp, UserId},
    payload::Payload,
    store::{FromRow, Row, Window, args},
};

/// A request for one page.
#[derive(Clone, Debug, ToSchema)]
pub struct HistoryRequest {
    /// The document's room.
    pub room: RoomName,
    /// Which part of the history.
    #[schema(ignore)]
    pub window: Window<StepId>,
}

/// A page of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WorkflowHistory)]
pub struct HistoryPage {
    /// The steps.
    pub history: Vec<Step>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<StepId>,
}

/// A step that a document has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WorkflowStep)]
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
        Ok(Self {
            room: payload.room()?,
            window: Window::read(payload, StepId::parse)?,
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
        let _permit = self.permits.acquire().await?;
        let read = |after, rows_max| self.read_steps(claims, &request.room, after, rows_max);
        let (history, next_cursor) = request.window.fill(read, |step| step.id, Some).await?;
        Ok(HistoryPage {
            history,
            next_cursor,
        })
    }

    async fn read_steps(
        &self,
        claims: &Claims,
        room: &RoomName,
        after: Option<StepId>,
        rows_max: i64,
    ) -> Result<Vec<Step>> {
        let read = self.store.view(async |tx| {
            let found = tx.find(
                "select document_id from document where team = $1 and room = $2",
                args![claims.team, room],
            );
            let (document,): (DocumentId,) = found.await?.ok_or(Error::NO_DOCUMENT)?;
            tx.list(
                "select step.step_id, step.from_status, step.to_status, step.by_user, step.note,
                        step.at, person.name, person.avatar_url
                 from workflow_step as step
                 left join person on person.team = $1 and person.user_id = step.by_user
                 where step.document_id = $2 and ($3 is null or step.step_id < $3)
                 order by step.step_id desc limit $4",
                args![claims.team, document, after, rows_max],
            )
            .await
        });
        read.await
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
