//! The notifications of people: kept until they are read and for 90 days, and sent at once to every
//! tab and device.
//!
//! ```text
//! Notice         what people are to be notified of
//! Notification   one of a person's notifications, as clients see it
//! Notifications  notifies within the transaction of a feature; lists, reads and deletes
//! Publication    what a service tells people (publish.rs)
//! ```
//! Unread notifications of one kind and subject are one, with a count. The number of unread ones is
//! kept in the person's inbox row, which every change of the person's notifications locks first, so
//! that it is exact, and so that the events of one person tell of it in order.
//!
//! Nobody is notified of their own deeds. A person's rights are in the person's token, which the
//! server does not have while the person is away: a notification about a document that the person
//! may not view is stored, but neither sent nor listed nor counted.

mod change;
mod inbox;
mod notify;
mod page;
mod publish;
mod retention;
mod unread;

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

pub use self::{
    change::{
        Changed, DELETED as NOTIFICATION_DELETED, Muted, Preferences, READ as NOTIFICATION_READ,
        Read, Which,
    },
    page::{Page, PageRequest},
    publish::{Publication, Published, Recipients},
};
use crate::{
    auth::User,
    error::Result,
    id::{NotificationId, RoomName, ThreadId, Timestamp, UserId},
    session::Sessions,
    store::{FromRow, PagePermits, Row, Store},
};

/// The name of the event.
pub const NOTIFICATION: &str = "notification";

/// What people are to be notified of.
#[derive(Clone, Debug)]
pub struct Notice<'a> {
    /// Who is notified, except for the actor and those who have muted the kind.
    pub to: &'a BTreeSet<UserId>,
    /// What kind of thing happened: `mention`, `reply`.
    pub kind: &'a str,
    /// What it is about, the same text for what is to be folded into one notification.
    pub subject: &'a str,
    /// One line.
    pub title: &'a str,
    /// More of it, as plain text.
    pub body: Option<&'a str>,
    /// The document that it is about, if any: only who may view it learns of it.
    pub room: Option<&'a RoomName>,
    /// The thread that it is about, if any.
    pub thread: Option<ThreadId>,
    /// Who did it, if it was a person.
    pub actor: Option<&'a User>,
    /// Where it can be seen, if not in the document.
    pub url: Option<&'a str>,
    /// When it happened.
    pub at: Timestamp,
}

/// A notification, as its recipient sees it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Notification {
    /// Its id; it stays the same while more is folded into it.
    pub id: NotificationId,
    /// As [`Notice::kind`].
    pub kind: String,
    /// As [`Notice::title`], of the newest.
    pub title: String,
    /// As [`Notice::body`], of the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// As [`Notice::room`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomName>,
    /// As [`Notice::thread`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<ThreadId>,
    /// As [`Notice::actor`], of the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<User>,
    /// As [`Notice::url`], of the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the newest happened.
    pub created_at: Timestamp,
    /// When it was read, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// How many were folded into it.
    pub count: i64,
}

/// The event `notification`.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationEvent)]
pub struct Told<'a> {
    #[serde(flatten)]
    notification: &'a Notification,
    unread: i64,
}

/// The notifications of all people. Cheap to clone.
#[derive(Clone)]
pub struct Notifications {
    store: Store,
    sessions: Sessions,
    permits: PagePermits,
}

impl Notifications {
    /// The notifications in `store`. `sessions` knows the rights of those who are connected.
    pub fn new(store: Store, sessions: Sessions) -> Self {
        Self {
            store,
            sessions,
            permits: PagePermits::default(),
        }
    }
}

impl FromRow for Notification {
    fn from_row(row: &Row) -> Result<Self> {
        let actor: Option<UserId> = row.get("actor_id")?;
        let name: Option<String> = row.get("name")?;
        let avatar_url = row.get("avatar_url")?;
        Ok(Self {
            id: row.get("notification_id")?,
            kind: row.get("kind")?,
            title: row.get("title")?,
            body: row.get("body")?,
            room: row.get("room")?,
            thread_id: row.get("thread_id")?,
            actor: actor.map(|id| User {
                name: name.unwrap_or_else(|| id.as_str().to_owned()),
                avatar_url,
                id,
            }),
            url: row.get("url")?,
            created_at: row.get("created_at")?,
            read_at: row.get("read_at")?,
            count: row.get("count")?,
        })
    }
}
