//! Lists of a person's notifications, by pages, the newest first.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};
use tokio::time::timeout;

use super::{Notification, Notifications};
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::{NotificationId, Timestamp},
    payload::Payload,
    store::{Bind, args},
};

/// The most notifications on a page.
const PAGE_MAX: usize = 100;
const PAGE_DEFAULT: usize = 50;
/// The most notifications that are examined for one page, visible or not.
const EXAMINED_MAX: usize = 1000;
/// How long a request waits until fewer lists are being read.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The end of the year 9999 in milliseconds since 1970, the latest time that the databases store.
const TIME_MAX: i64 = 253_402_300_799_999;
/// It follows every id.
const AFTER_ALL: &str = "~";

/// A request for one page.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// Only those that are not read.
    pub unread_only: bool,
    /// The most notifications: 1 to 100; without a limit, 50.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// Reads `unread_only`, `limit` and `cursor`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        Ok(Self {
            unread_only: payload.flag("unread_only")?,
            limit: payload.find_count("limit")?,
            cursor: payload.find_text("cursor")?.map(str::to_owned),
        })
    }
}

/// A page of notifications.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// Those that the caller may see; they may be fewer than the limit, or none.
    pub notifications: Vec<Notification>,
    /// How many of all are unread.
    pub unread: i64,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// A position in the list: after this notification. Clients send it back unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: Timestamp,
    id: NotificationId,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self> {
        let read = || {
            let (at, id) = text.split_once('.')?;
            let at = at.parse().ok().filter(|at| (0..=TIME_MAX).contains(at))?;
            Some(Self {
                at: Timestamp(at),
                id: NotificationId::parse(id)?,
            })
        };
        read().ok_or(Error::Invalid {
            field: "cursor",
            reason: "must be the next_cursor of a page of the same list",
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
/// than that of the person, whatever it believes about the number of rows.
macro_rules! select_page {
    ($filter:literal) => {
        concat!(
            "select notification.notification_id, notification.kind, notification.title,
                    notification.body, notification.room, notification.thread_id,
                    notification.actor_id, notification.url, notification.count,
                    notification.created_at, notification.read_at, person.name, person.avatar_url
             from notification
             left join person
             on person.team = notification.team and person.user_id = notification.actor_id
             where (notification.team, notification.user_id, notification.created_at,
                    notification.notification_id) < ($1, $2, $3, $4)
             and (notification.team, notification.user_id, notification.created_at) > ($1, $2, $5)",
            $filter,
            " order by notification.team desc, notification.user_id desc,
                       notification.created_at desc, notification.notification_id desc limit $6"
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
    /// [`Error::Invalid`] with the field `limit` or `cursor`; [`Error::Overloaded`] where too many
    /// lists are being read; otherwise as [`Store::view`](crate::store::Store::view).
    pub async fn list(&self, claims: &Claims, request: &PageRequest) -> Result<Page> {
        let limit = request.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::Invalid {
                field: "limit",
                reason: "must be a number from 1 to 100",
            });
        }
        let mut after = request.cursor.as_deref().map(Cursor::parse).transpose()?;
        let Ok(_permit) = timeout(PERMIT_TIMEOUT, self.permits.acquire()).await else {
            return Err(Error::Overloaded);
        };
        let unread = self.unread(claims).await?;
        let mut notifications = Vec::with_capacity(limit);
        let mut left = EXAMINED_MAX;
        // One row more than the page contains shows whether there is a next page.
        let mut rows_max = limit + 1;
        while left > 0 {
            let rows = self
                .read_rows(claims, request.unread_only, after, rows_max)
                .await?;
            let is_end = rows.len() < rows_max;
            left -= rows.len();
            rows_max = left;
            for row in rows {
                if notifications.len() == limit {
                    return Ok(Page {
                        notifications,
                        unread,
                        next_cursor: after,
                    });
                }
                after = Some(Cursor {
                    at: row.created_at,
                    id: row.id,
                });
                if may_see(claims, &row) {
                    notifications.push(row);
                }
            }
            if is_end {
                after = None;
                break;
            }
        }
        Ok(Page {
            notifications,
            unread,
            next_cursor: after,
        })
    }

    async fn read_rows(
        &self,
        claims: &Claims,
        unread_only: bool,
        after: Option<Cursor>,
        rows_max: usize,
    ) -> Result<Vec<Notification>> {
        let at = after.map_or(Timestamp(TIME_MAX), |after| after.at);
        let id = after.map_or_else(|| AFTER_ALL.to_owned(), |after| after.id.to_string());
        let mut binds = args![claims.team, claims.user.id, at, id, Timestamp(-1)];
        binds.push(Bind::Integer(i64::try_from(rows_max).ok()));
        let sql = match unread_only {
            true => select_page!(" and notification.read_at is null"),
            false => select_page!(""),
        };
        self.store.view(async |tx| tx.list(sql, binds).await).await
    }
}

fn may_see(claims: &Claims, notification: &Notification) -> bool {
    let room = notification.room.as_ref();
    room.is_none_or(|room| claims.rights_in(room).allows(Right::View))
}
