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
    bus::{Audience, Event},
    error::Result,
    id::{NotificationId, RoomName, Team, ThreadId, Timestamp, UserId},
    session::Sessions,
    store::{FromRow, Json, PagePermits, Row, Store, Transaction, args},
};

/// The name of the event.
pub const NOTIFICATION: &str = "notification";

/// What people are to be notified of.
#[derive(Clone, Debug)]
pub struct Notice<'a> {
    /// The team of all of them.
    pub team: &'a Team,
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
    /// Who did it, if it was a person; this person is not notified.
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

/// A person's inbox: how many notifications are unread, and which kinds are muted.
struct Inbox {
    unread: i64,
    muted: Vec<String>,
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

    /// Notifies people, each once, within the transaction of a feature, which has locked the rows
    /// of the document before. Left out are the actor and whoever has muted the kind.
    ///
    /// # Errors
    /// As [`Transaction::execute`].
    pub async fn notify(
        &self,
        tx: &Transaction,
        to: &BTreeSet<UserId>,
        notice: &Notice<'_>,
    ) -> Result<()> {
        if let Some(actor) = notice.actor {
            tx.note_person(notice.team, actor, notice.at).await?;
        }
        // In the order of their ids, because each inbox stays locked until the commit.
        for user in to {
            if notice.actor.is_none_or(|actor| actor.id != *user) {
                self.notify_one(tx, user, notice).await?;
            }
        }
        Ok(())
    }

    async fn notify_one(&self, tx: &Transaction, user: &UserId, notice: &Notice<'_>) -> Result<()> {
        let inbox = Inbox::lock(tx, notice.team, user).await?;
        if inbox.muted.iter().any(|kind| kind == notice.kind) {
            return Ok(());
        }
        let (notification, unread) = match fold(tx, user, notice).await? {
            Some(folded) => (folded, inbox.unread),
            None => {
                let new = insert(tx, user, notice).await?;
                let unread = inbox.unread + 1;
                Inbox::set_unread(tx, notice.team, user, unread).await?;
                (new, unread)
            }
        };
        let unread = self.unread_of_user(tx, notice.team, user, unread).await?;
        let told = Told {
            notification: &notification,
            unread,
        };
        let event = Event::new(NOTIFICATION, vec![Audience::User(user.clone())], &told)?;
        let event = match notice.room {
            Some(room) => event.about(room),
            None => event,
        };
        tx.publish(notice.team, notice.at, &event)
    }
}

/// Adds `notice` to the unread notification of the same kind and subject, if there is one.
async fn fold(
    tx: &Transaction,
    user: &UserId,
    notice: &Notice<'_>,
) -> Result<Option<Notification>> {
    let actor = notice.actor.map(|actor| &actor.id);
    let folded: Option<(NotificationId, i64)> = tx
        .find(
            "update notification
             set count = count + 1, title = $5, body = $6, actor_id = $7, url = $8,
                 created_at = $9, thread_id = coalesce($10, thread_id)
             where team = $1 and user_id = $2 and kind = $3 and subject = $4 and read_at is null
             returning notification_id, count",
            args![
                notice.team,
                user,
                notice.kind,
                notice.subject,
                notice.title,
                notice.body,
                actor,
                notice.url,
                notice.at,
                notice.thread
            ],
        )
        .await?;
    Ok(folded.map(|(id, count)| notice.as_notification(id, count)))
}

async fn insert(tx: &Transaction, user: &UserId, notice: &Notice<'_>) -> Result<Notification> {
    let id = NotificationId::generate();
    tx.execute(
        "insert into notification (notification_id, team, user_id, kind, subject, title, body,
                                   room, thread_id, actor_id, url, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            id,
            notice.team,
            user,
            notice.kind,
            notice.subject,
            notice.title,
            notice.body,
            notice.room,
            notice.thread,
            notice.actor.map(|actor| &actor.id),
            notice.url,
            notice.at
        ],
    )
    .await?;
    Ok(notice.as_notification(id, 1))
}

impl Notice<'_> {
    fn as_notification(&self, id: NotificationId, count: i64) -> Notification {
        Notification {
            id,
            kind: self.kind.to_owned(),
            title: self.title.to_owned(),
            body: self.body.map(str::to_owned),
            room: self.room.cloned(),
            thread_id: self.thread,
            actor: self.actor.cloned(),
            url: self.url.map(str::to_owned),
            created_at: self.at,
            read_at: None,
            count,
        }
    }
}

impl Inbox {
    /// Locks a person's inbox until the commit, and creates it if there is none.
    async fn lock(tx: &Transaction, team: &Team, user: &UserId) -> Result<Self> {
        let locked: Option<(i64, Json<Vec<String>>)> = tx
            .find(
                "insert into inbox (team, user_id) values ($1, $2)
                 on conflict (team, user_id) do update set unread = inbox.unread
                 returning unread, muted",
                args![team, user],
            )
            .await?;
        let (unread, Json(muted)) = locked.unwrap_or_default();
        Ok(Self { unread, muted })
    }

    async fn set_unread(tx: &Transaction, team: &Team, user: &UserId, unread: i64) -> Result<()> {
        tx.execute(
            "update inbox set unread = $3 where team = $1 and user_id = $2",
            args![team, user, unread],
        )
        .await
        .map(drop)
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
