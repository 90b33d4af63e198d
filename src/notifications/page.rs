//! Lists of a person's notifications, by pages, the newest first.

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{Notification, Notifications, unread::may_see};
use crate::{
    auth::Claims,
    error::Result,
    id::{NotificationId, Timestamp},
    payload::Payload,
    store::{TIME_MAX, Window, args, parse_time},
};

/// A request for one page.
#[derive(Clone, Debug, ToSchema)]
pub struct PageRequest {
    /// Only those that are not read.
    #[schema(required = false)]
    pub unread_only: bool,
    /// Which part of the list.
    #[schema(ignore)]
    pub window: Window<Cursor>,
}

impl PageRequest {
    /// Reads `unread_only`, `limit` and `cursor`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::error::Error::Invalid) with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        Ok(Self {
            unread_only: payload.flag("unread_only")?,
            window: Window::read(payload, Cursor::parse)?,
        })
    }
}

/// A page of notifications.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = NotificationPage)]
pub struct Page {
    /// Those that the caller may see; they may be fewer than the limit, or none.
    pub notifications: Vec<Notification>,
    /// How many of all are unread.
    pub unread: i64,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next_cursor: Option<Cursor>,
}

/// A position in the list: after this notification. Clients send it back unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: Timestamp,
    id: NotificationId,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('.')?;
        Some(Self {
            at: parse_time(at)?,
            id: NotificationId::parse(id)?,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.0, self.id)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The statement of a list; its parameters are the team, the person, the position, a time before all
/// notifications, and the number of rows. The comparisons of tuples let Postgres use no other index
/// than that of the person; [`pages`](crate::store::Window) has the reasons for the rest of its form.
macro_rules! select_page {
    ($filter:literal) => {
        concat!(
            "select notification.notification_id, notification.kind, notification.title,
                    notification.body, notification.room, notification.thread_id,
                    notification.actor_id, notification.url, notification.count,
                    notification.created_at, notification.read_at,
                    (select person.name from person
                     where person.team = $1 and person.user_id = notification.actor_id) as name,
                    (select person.avatar_url from person
                     where person.team = $1 and person.user_id = notification.actor_id)
                    as avatar_url
             from notification
             where (notification.team, notification.user_id, notification.created_at,
                    notification.notification_id) < ($1, $2, $3, $4)
             and (notification.team, notification.user_id, notification.created_at) > ($1, $2, $5)",
            $filter,
            " order by notification.team desc, notification.user_id desc,
                       notification.created_at desc, notification.notification_id desc
              limit (select $6)"
        )
    };
}

impl Notifications {
    /// Lists one page of the caller's notifications, without those about documents that the caller
    /// may not view.
    ///
    /// Examines at most 1,000 notifications and takes at most 12 s. A notification into which more
    /// is folded moves to the front.
    ///
    /// # Errors
    /// [`Overloaded`](crate::error::Error::Overloaded) where too many lists are being read;
    /// otherwise as [`Store::view`](crate::store::Store::view).
    pub async fn list(&self, claims: &Claims, request: &PageRequest) -> Result<Page> {
        let _permit = self.permits.acquire().await?;
        let unread = self.unread(claims).await?;
        let read = |after, rows_max| self.read_rows(claims, request.unread_only, after, rows_max);
        let cursor = |notification: &Notification| Cursor {
            at: notification.created_at,
            id: notification.id,
        };
        let visible = |row: Notification| may_see(claims, row.room.as_ref()).then_some(row);
        let (notifications, next_cursor) = request.window.fill(read, cursor, visible).await?;
        Ok(Page {
            notifications,
            unread,
            next_cursor,
        })
    }

    async fn read_rows(
        &self,
        claims: &Claims,
        unread_only: bool,
        after: Option<Cursor>,
        rows_max: i64,
    ) -> Result<Vec<Notification>> {
        let at = after.map_or(TIME_MAX, |after| after.at);
        // The tilde follows every id.
        let id = after.map_or_else(|| "~".to_owned(), |after| after.id.to_string());
        let before_all = Timestamp(-1);
        let binds = args![claims.team, claims.user.id, at, id, before_all, rows_max];
        let sql = match unread_only {
            true => select_page!(" and notification.read_at is null"),
            false => select_page!(""),
        };
        self.store.view(async |tx| tx.list(sql, binds).await).await
    }
}
