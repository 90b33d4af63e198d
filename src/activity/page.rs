//! Lists of a team's activity that the caller may see, by pages, the newest entries first.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Activities, Activity};
use crate::{
    auth::{Claims, Right, User},
    error::Result,
    id::{ActivityId, DocumentId, RoomName, UserId},
    payload::Payload,
    store::{FromRow, Json, Row, Window, args},
};

/// A request for one page.
#[derive(Clone, Debug, ToSchema)]
pub struct PageRequest {
    /// Only what happened to the document of this room.
    pub room: Option<RoomName>,
    /// Only what this person did.
    pub actor: Option<UserId>,
    /// Which part of the list.
    #[schema(ignore)]
    pub window: Window<ActivityId>,
}

impl PageRequest {
    /// Reads `room`, `actor`, `limit` and `cursor`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::error::Error::Invalid) with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        Ok(Self {
            room: payload.find_room()?,
            actor: payload.find_user("actor")?,
            window: Window::read(payload, ActivityId::parse)?,
        })
    }
}

/// A page of activity.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ActivityPage)]
pub struct Page {
    /// The entries that the caller may see; they may be fewer than the limit, or none.
    pub activities: Vec<Activity>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<ActivityId>,
}

/// The statement of a list; its parameters are the id after the last entry that may be listed, the
/// number of rows, and those of the filter. [`pages`](crate::store::Window) has the reasons for its
/// form.
macro_rules! select_page {
    ($filter:literal, $order:literal) => {
        concat!(
            "select activity.activity_id, activity.verb, activity.room, activity.subject,
                    activity.at, activity.actor_id,
                    (select person.name from person where person.team = activity.team
                     and person.user_id = activity.actor_id) as name,
                    (select person.avatar_url from person where person.team = activity.team
                     and person.user_id = activity.actor_id) as avatar_url
             from activity
             where ",
            $filter,
            " order by ",
            $order,
            " limit (select $2)"
        )
    };
}

const OF_TEAM: &str = select_page!(
    "(activity.team, activity.activity_id) < ($3, $1)
     and (activity.team, activity.activity_id) > ($3, '')",
    "activity.team desc, activity.activity_id desc"
);
const OF_DOCUMENT: &str = select_page!(
    "(activity.document_id, activity.activity_id) < ($3, $1)
     and (activity.document_id, activity.activity_id) > ($3, '')",
    "activity.document_id desc, activity.activity_id desc"
);
const OF_DOCUMENT_AND_ACTOR: &str = select_page!(
    "(activity.document_id, activity.actor_id, activity.activity_id) < ($3, $4, $1)
     and (activity.document_id, activity.actor_id, activity.activity_id) > ($3, $4, '')",
    "activity.document_id desc, activity.actor_id desc, activity.activity_id desc"
);
const OF_ACTOR: &str = select_page!(
    "(activity.team, activity.actor_id, activity.activity_id) < ($3, $4, $1)
     and (activity.team, activity.actor_id, activity.activity_id) > ($3, $4, '')",
    "activity.team desc, activity.actor_id desc, activity.activity_id desc"
);
/// It follows every id.
const AFTER_ALL: &str = "~";

impl Activities {
    /// Lists one page of what happened in the caller's team, as far as the caller may view the
    /// documents. Of a room, what happened to its present document.
    ///
    /// Examines at most 1,000 entries and takes at most 12 s.
    ///
    /// # Errors
    /// [`Forbidden`](crate::error::Error::Forbidden) where the caller may not view the room;
    /// [`Overloaded`](crate::error::Error::Overloaded) where too many lists are being read;
    /// otherwise as [`Store::view`](crate::store::Store::view).
    pub async fn list(&self, claims: &Claims, request: &PageRequest) -> Result<Page> {
        if let Some(room) = &request.room {
            claims.rights_in(room).require(Right::View)?;
        }
        let _permit = self.permits.acquire().await?;
        let read = |after, rows_max| self.read(claims, request, after, rows_max);
        let visible = |activity: Activity| may_see(claims, &activity).then_some(activity);
        let page = request.window.fill(read, |activity| activity.id, visible);
        let (activities, next_cursor) = page.await?;
        Ok(Page {
            activities,
            next_cursor,
        })
    }

    async fn read(
        &self,
        claims: &Claims,
        request: &PageRequest,
        after: Option<ActivityId>,
        rows_max: i64,
    ) -> Result<Vec<Activity>> {
        let after = after.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let binds = args![after, rows_max];
        let read = self.store.view(async |tx| {
            let (sql, filter) = match (&request.room, &request.actor) {
                (None, None) => (OF_TEAM, args![claims.team]),
                (None, Some(actor)) => (OF_ACTOR, args![claims.team, actor]),
                (Some(room), actor) => {
                    let found: Option<(DocumentId,)> = tx
                        .find(
                            "select document_id from document where team = $1 and room = $2",
                            args![claims.team, room],
                        )
                        .await?;
                    let Some((document,)) = found else {
                        return Ok(Vec::new());
                    };
                    match actor {
                        None => (OF_DOCUMENT, args![document]),
                        Some(actor) => (OF_DOCUMENT_AND_ACTOR, args![document, actor]),
                    }
                }
            };
            tx.list(sql, binds.into_iter().chain(filter).collect())
                .await
        });
        read.await
    }
}

fn may_see(claims: &Claims, activity: &Activity) -> bool {
    let room = activity.room.as_ref();
    room.is_none_or(|room| claims.rights_in(room).allows(Right::View))
}

impl FromRow for Activity {
    fn from_row(row: &Row) -> Result<Self> {
        let actor: UserId = row.get("actor_id")?;
        let name: Option<String> = row.get("name")?;
        let subject: Option<Json<Value>> = row.get("subject")?;
        Ok(Self {
            id: row.get("activity_id")?,
            verb: row.get("verb")?,
            actor: User {
                name: name.unwrap_or_else(|| actor.as_str().to_owned()),
                avatar_url: row.get("avatar_url")?,
                id: actor,
            },
            room: row.get("room")?,
            subject: subject.map(|Json(subject)| subject),
            at: row.get("at")?,
        })
    }
}
