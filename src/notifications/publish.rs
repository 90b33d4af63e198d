//! What services tell people: notifications of any kind, to one person, to several, or to a team.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type},
};

use super::{Notice, Notifications, change::is_kind};
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::{RoomName, Team, Timestamp, UserId},
    idempotency::{RequestKey, once},
    payload::Payload,
    store::args,
};

/// The most recipients that one request names.
const USERS_MAX: usize = 1000;
/// The most people who are notified in one transaction: each inbox is locked until the commit, and in
/// SQLite the log's writer waits for it.
const BATCH: usize = 200;
/// The longest texts, in bytes.
const TITLE_BYTES_MAX: usize = 512;
const BODY_BYTES_MAX: usize = 4096;
const URL_BYTES_MAX: usize = 2048;

/// Who is notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// These people, 1 to 1,000.
    Users(BTreeSet<UserId>),
    /// Everybody in the team whom the server knows: who is connected, and who has written before.
    Team,
}

impl ToSchema for Recipients {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((UserId::name().into(), UserId::schema()));
    }
}

/// The fields of a request, of which it has one.
impl PartialSchema for Recipients {
    fn schema() -> RefOr<Schema> {
        let user = || Ref::from_schema_name(UserId::name());
        let team = ObjectBuilder::new().schema_type(Type::Boolean);
        let team = team.description(Some("True: everybody in the team whom the server knows."));
        let users = ArrayBuilder::new().items(user()).min_items(Some(1));
        let users = users.description(Some("These people, 1 to 1,000."));
        ObjectBuilder::new()
            .property("user", user())
            .property("users", users.max_items(Some(USERS_MAX)))
            .property("team", team)
            .into()
    }
}

/// What a service tells people.
#[derive(Clone, Debug, ToSchema)]
pub struct Publication {
    /// Who is notified.
    #[schema(ignore)]
    pub to: Recipients,
    /// The kind, a word of at most 64 bytes.
    #[schema(pattern = "^[A-Za-z0-9_.:-]{1,64}$", examples("export"))]
    pub kind: String,
    /// One line of at most 512 bytes.
    #[schema(min_length = 1, max_length = 512, examples("The export is ready"))]
    pub title: String,
    /// More of it, at most 4,096 bytes of plain text.
    #[schema(max_length = 4096)]
    pub body: Option<String>,
    /// The document that it is about.
    pub room: Option<RoomName>,
    /// Where it can be seen: an http or https address, or a path that begins with `/`.
    #[schema(max_length = 2048, pattern = "^(https?://|/)", examples("/exports/7"))]
    pub url: Option<String>,
}

/// The result of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Published {
    /// How many people it was meant for.
    pub recipients: usize,
}

impl Notifications {
    /// Notifies people of what a service tells them. Notifications of the same kind about the same
    /// document, or without a document of the same kind and title, are folded.
    ///
    /// A request with the key of an earlier one notifies nobody a second time. Of a large team or
    /// list, 200 people at a time are notified in one transaction: where one fails, those before it
    /// were notified.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to publish; [`Error::Invalid`] with the field that is
    /// not valid; otherwise as [`Store::transact`](crate::store::Store::transact).
    pub async fn publish(
        &self,
        claims: &Claims,
        publication: &Publication,
        key: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<Published> {
        claims.rights().require(Right::Publish)?;
        let to = match &publication.to {
            Recipients::Users(users) => users.clone(),
            Recipients::Team => self.known_people(&claims.team).await?,
        };
        let all: Vec<&UserId> = to.iter().collect();
        for (number, batch) in all.chunks(BATCH).enumerate() {
            let key = key.as_ref().map(|key| key.part(number));
            let batch: BTreeSet<UserId> = batch.iter().map(|&user| user.clone()).collect();
            let notice = publication.notice(&batch, now);
            let told = self.store.transact(async |tx| {
                let notify = async || {
                    self.notify(&tx, &claims.team, std::slice::from_ref(&notice))
                        .await?;
                    Ok(json!(batch.len()))
                };
                once(
                    &tx,
                    claims,
                    "notification_publish",
                    key.as_ref(),
                    now,
                    notify,
                )
                .await
            });
            told.await?;
        }
        Ok(Published {
            recipients: to.len(),
        })
    }

    /// Everybody in the team whom the server knows.
    async fn known_people(&self, team: &Team) -> Result<BTreeSet<UserId>> {
        let read = self.store.view(async |tx| {
            tx.list::<(UserId,)>("select user_id from person where team = $1", args![team])
                .await
        });
        let mut people: BTreeSet<UserId> = read.await?.into_iter().map(|(user,)| user).collect();
        let sessions = self.sessions.of_team(team);
        people.extend(sessions.iter().map(|it| it.claims().user.id.clone()));
        Ok(people)
    }
}

impl Publication {
    /// Reads `user`, `users` or `team`, and `kind`, `title`, `body`, `room` and `url`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        let one = payload.find_user("user")?;
        let many = payload.find_users("users")?;
        let to = match (one, many, payload.flag("team")?) {
            (Some(user), None, false) => Recipients::Users([user].into()),
            (None, Some(users), false) => Recipients::Users(users),
            (None, None, true) => Recipients::Team,
            _ => {
                return Err(Error::Invalid {
                    field: "users",
                    reason: "name one of user, users and team",
                });
            }
        };
        let publication = Self {
            to,
            kind: payload.text("kind")?.to_owned(),
            title: payload.text("title")?.to_owned(),
            body: payload.find_text("body")?.map(str::to_owned),
            room: payload.find_room()?,
            url: payload.find_text("url")?.map(str::to_owned),
        };
        publication.check()?;
        Ok(publication)
    }

    fn notice<'a>(&'a self, to: &'a BTreeSet<UserId>, at: Timestamp) -> Notice<'a> {
        let room = self.room.as_ref();
        Notice {
            to,
            kind: &self.kind,
            subject: room.map_or(self.title.as_str(), RoomName::as_str),
            title: &self.title,
            body: self.body.as_deref(),
            room,
            thread: None,
            actor: None,
            url: self.url.as_deref(),
            at,
        }
    }

    fn check(&self) -> Result<()> {
        let invalid = |field, reason| Err(Error::Invalid { field, reason });
        let is_text = |text: &str, max: usize| text.len() <= max && !text.contains('\0');
        if let Recipients::Users(users) = &self.to
            && !(1..=USERS_MAX).contains(&users.len())
        {
            return invalid("users", "must be 1 to 1,000 people");
        }
        if !is_kind(&self.kind) {
            return invalid("kind", "must be a word of at most 64 bytes");
        }
        if self.title.trim().is_empty() || !is_text(&self.title, TITLE_BYTES_MAX) {
            return invalid("title", "must be a text of 1 to 512 bytes");
        }
        let body = self.body.as_deref();
        if !body.is_none_or(|body| is_text(body, BODY_BYTES_MAX)) {
            return invalid("body", "must be a text of at most 4,096 bytes");
        }
        if !self.url.as_deref().is_none_or(is_link) {
            return invalid("url", "must be an http or https address, or a path");
        }
        Ok(())
    }
}

/// Whether a page may link to `url`: an address or a path, but no script.
fn is_link(url: &str) -> bool {
    let is_plain = !url.contains(|c: char| c.is_control() || c.is_whitespace());
    let is_path = url.starts_with('/') && !url.starts_with("//");
    let is_web = || url.starts_with("https://") || url.starts_with("http://");
    url.len() <= URL_BYTES_MAX && is_plain && (is_path || is_web())
}
