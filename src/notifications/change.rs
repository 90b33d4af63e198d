//! Reading, deleting and muting notifications; every tab and device of the person learns of it.

use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type},
};

use super::{
    Notifications,
    inbox::Inbox,
    unread::{may_see, unread_of_caller},
};
use crate::{
    auth::Claims,
    bus::{Audience, Event},
    error::{Error, Result},
    id::{NotificationId, RoomName, Timestamp},
    payload::Payload,
    store::{Json, Transaction, args},
};

/// The most notifications that one request names.
const IDS_MAX: usize = 100;
/// The most kinds that a person mutes.
const MUTED_MAX: usize = 50;
/// The name of the event.
pub const READ: &str = "notification_read";
/// The name of the event.
pub const DELETED: &str = "notification_deleted";

/// Which notifications a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These; unknown ones are ignored.
    Ids(Vec<NotificationId>),
    /// All that the caller may see.
    All,
}

impl Which {
    /// Reads `ids` or `all`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `ids` where it is neither, or more than 100 ids.
    pub fn read(payload: &Payload) -> Result<Self> {
        let (ids, all) = (payload.find_texts("ids")?, payload.flag("all")?);
        if all && ids.is_none() {
            return Ok(Self::All);
        }
        let ids = ids.filter(|ids| ids.len() <= IDS_MAX).and_then(|ids| {
            let ids = ids.into_iter().map(NotificationId::parse);
            ids.collect()
        });
        let ids = ids.ok_or(Error::Invalid {
            field: "ids",
            reason: "must be a list of at most 100 ids of notifications",
        })?;
        Ok(if all { Self::All } else { Self::Ids(ids) })
    }
}

impl ToSchema for Which {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((NotificationId::name().into(), NotificationId::schema()));
    }
}

/// The fields of a request, of which it has one.
impl PartialSchema for Which {
    fn schema() -> RefOr<Schema> {
        let ids = ArrayBuilder::new().items(Ref::from_schema_name(NotificationId::name()));
        let ids = ids.description(Some(
            "These notifications, at most 100; unknown ids are ignored.",
        ));
        let all = ObjectBuilder::new().schema_type(Type::Boolean);
        let all = all.description(Some("True: all notifications of the caller."));
        ObjectBuilder::new()
            .property("ids", ids.max_items(Some(IDS_MAX)))
            .property("all", all)
            .into()
    }
}

/// A request for the preferences of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, ToSchema)]
pub struct Muted {
    /// The kinds of which the person is not to be notified, at most 50; without it they stay as they
    /// are.
    #[schema(max_items = 50, examples(json!(["reply"])))]
    pub muted: Option<Vec<String>>,
}

impl Muted {
    /// Reads `muted`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is no list of texts.
    pub fn read(payload: &Payload) -> Result<Self> {
        let muted = payload.find_texts("muted")?;
        let muted = muted.map(|kinds| kinds.into_iter().map(str::to_owned).collect());
        Ok(Self { muted })
    }
}

/// The result of reading or deleting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UnreadNotifications)]
pub struct Read {
    /// How many notifications are unread now.
    pub unread: i64,
}

/// What a person wants to be notified of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NotificationPreferences)]
pub struct Preferences {
    /// The kinds of which the person is not notified.
    pub muted: Vec<String>,
}

/// The events `notification_read` and `notification_deleted`.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationsChanged)]
pub struct Changed<'a> {
    ids: &'a [NotificationId],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    all: bool,
    unread: i64,
}

impl Notifications {
    /// Marks notifications of the caller as read.
    ///
    /// # Errors
    /// As [`Store::transact`](crate::store::Store::transact).
    pub async fn read(&self, claims: &Claims, which: &Which, now: Timestamp) -> Result<Read> {
        let read = self.store.transact(async |tx| {
            let inbox = Inbox::lock(&tx, &claims.team, &claims.user.id).await?;
            let unread = inbox.unread - mark_read(&tx, claims, which, now).await?;
            Self::finish(&tx, claims, READ, which, unread, now).await
        });
        read.await
    }

    /// Deletes notifications of the caller.
    ///
    /// # Errors
    /// As [`Store::transact`](crate::store::Store::transact).
    pub async fn delete(&self, claims: &Claims, which: &Which, now: Timestamp) -> Result<Read> {
        let deleted = self.store.transact(async |tx| {
            let inbox = Inbox::lock(&tx, &claims.team, &claims.user.id).await?;
            // What is read first is not counted as unread by its deletion.
            let unread = inbox.unread - mark_read(&tx, claims, which, now).await?;
            delete(&tx, claims, which).await?;
            Self::finish(&tx, claims, DELETED, which, unread, now).await
        });
        deleted.await
    }

    /// The caller's preferences; with `muted`, sets the kinds of which the caller is not notified.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `muted`; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn preferences(
        &self,
        claims: &Claims,
        muted: Option<Vec<String>>,
    ) -> Result<Preferences> {
        let Some(mut muted) = muted else {
            let found = self.store.view(async |tx| {
                tx.find::<(Json<Vec<String>>,)>(
                    "select muted from inbox where team = $1 and user_id = $2",
                    args![claims.team, claims.user.id],
                )
                .await
            });
            let muted = found.await?.map(|(Json(muted),)| muted);
            return Ok(Preferences {
                muted: muted.unwrap_or_default(),
            });
        };
        muted.sort_unstable();
        muted.dedup();
        if muted.len() > MUTED_MAX || muted.iter().any(|kind| !is_kind(kind)) {
            return Err(Error::Invalid {
                field: "muted",
                reason: "must be at most 50 kinds, each a word of at most 64 bytes",
            });
        }
        let saved = self.store.transact(async |tx| {
            Inbox::lock(&tx, &claims.team, &claims.user.id).await?;
            tx.execute(
                "update inbox set muted = $3 where team = $1 and user_id = $2",
                args![claims.team, claims.user.id, Json(&muted)],
            )
            .await
        });
        saved.await?;
        Ok(Preferences { muted })
    }

    /// Writes the number of unread notifications and tells the person's tabs and devices.
    async fn finish(
        tx: &Transaction,
        claims: &Claims,
        event: &'static str,
        which: &Which,
        unread: i64,
        now: Timestamp,
    ) -> Result<Read> {
        let (team, user) = (&claims.team, &claims.user.id);
        Inbox::set_unread(tx, team, user, unread).await?;
        let unread = unread_of_caller(tx, claims, unread).await?;
        let (ids, all) = match which {
            Which::Ids(ids) => (ids.as_slice(), false),
            Which::All => (&[] as &[_], true),
        };
        let changed = Changed { ids, all, unread };
        let event = Event::new(event, vec![Audience::User(user.clone())], &changed)?;
        tx.publish(team, now, &event)?;
        Ok(Read { unread })
    }
}

/// Whether `kind` can be the kind of a notification: a word of 1 to 64 bytes.
pub(super) fn is_kind(kind: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    (1..=64).contains(&kind.len()) && kind.chars().all(is_part)
}

/// Marks unread notifications of the caller as read; returns how many these were.
async fn mark_read(
    tx: &Transaction,
    claims: &Claims,
    which: &Which,
    now: Timestamp,
) -> Result<i64> {
    let (team, user) = (&claims.team, &claims.user.id);
    let mut marked = 0;
    match which {
        Which::Ids(ids) => {
            for id in ids {
                marked += tx
                    .execute(
                        "update notification set read_at = $4 where notification_id = $1
                         and team = $2 and user_id = $3 and read_at is null",
                        args![id, team, user, now],
                    )
                    .await?;
            }
        }
        Which::All => {
            for room in viewable_rooms(tx, claims).await? {
                marked += tx
                    .execute(
                        "update notification set read_at = $4 where team = $1 and user_id = $2
                         and room is not distinct from $3 and read_at is null",
                        args![team, user, room, now],
                    )
                    .await?;
            }
        }
    }
    Ok(i64::try_from(marked).unwrap_or(i64::MAX))
}

/// Deletes notifications of the caller.
async fn delete(tx: &Transaction, claims: &Claims, which: &Which) -> Result<()> {
    let (team, user) = (&claims.team, &claims.user.id);
    match which {
        Which::Ids(ids) => {
            for id in ids {
                tx.execute(
                    "delete from notification
                     where notification_id = $1 and team = $2 and user_id = $3",
                    args![id, team, user],
                )
                .await?;
            }
        }
        Which::All => {
            for room in viewable_rooms(tx, claims).await? {
                tx.execute(
                    "delete from notification where team = $1 and user_id = $2
                     and room is not distinct from $3",
                    args![team, user, room],
                )
                .await?;
            }
        }
    }
    Ok(())
}

/// The rooms of the caller's notifications that the caller may view, and `None` for notifications
/// about no document.
async fn viewable_rooms(tx: &Transaction, claims: &Claims) -> Result<Vec<Option<RoomName>>> {
    let rooms: Vec<(Option<RoomName>,)> = tx
        .list(
            "select distinct room from notification where team = $1 and user_id = $2",
            args![claims.team, claims.user.id],
        )
        .await?;
    let rooms = rooms.into_iter().map(|(room,)| room);
    let viewable = rooms.filter(|room| may_see(claims, room.as_ref()));
    Ok(viewable.collect())
}
