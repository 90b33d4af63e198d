//! What services tell a team of: things that happened elsewhere on the platform.

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, ObjectBuilder},
};

use super::{Activities, NewActivity, record};
use crate::{
    auth::{Claims, Right, User},
    error::{Error, Result},
    id::{DocumentId, RoomName, Timestamp, UserId},
    idempotency::{RequestKey, once},
    payload::Payload,
    store::{args, has_nul},
};

/// The longest subject, in bytes of JSON.
const SUBJECT_BYTES_MAX: usize = 4096;

/// What a service tells a team of.
#[derive(Clone, Debug, ToSchema)]
pub struct Publication {
    /// What was done: a word of at most 64 bytes.
    #[schema(pattern = "^[a-z0-9_]{1,64}$", examples("exported"))]
    pub verb: String,
    /// Who did it; without an actor, the service.
    #[schema(schema_with = actor)]
    pub actor: Option<User>,
    /// The document that it is about, if any.
    pub room: Option<RoomName>,
    /// What else is to be said of it, an object of at most 4,096 bytes.
    #[schema(value_type = Option<Object>)]
    pub subject: Option<Value>,
}

/// The field `actor`.
fn actor() -> Object {
    ObjectBuilder::new()
        .description(Some("Who did it; without an actor, the service."))
        .property("id", UserId::schema())
        .property("name", String::schema())
        .property("avatar_url", String::schema())
        .required("id")
        .build()
}

impl Publication {
    /// Reads `verb`, `actor` (`{ id, name }`), `room` and `subject`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        let invalid = |field, reason| Err(Error::Invalid { field, reason });
        let verb = payload.text("verb")?;
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(1..=64).contains(&verb.len()) || !verb.chars().all(is_part) {
            return invalid("verb", "must be a word of at most 64 lower-case letters");
        }
        let subject = payload.find("subject");
        let fits = |subject: &Value| {
            let bytes = subject.to_string().len();
            subject.is_object() && bytes <= SUBJECT_BYTES_MAX && !has_nul(subject)
        };
        if !subject.is_none_or(fits) {
            return invalid(
                "subject",
                "must be an object of at most 4,096 bytes without NUL",
            );
        }
        let actor = payload.find("actor").map(|actor| {
            let is_text = |name: &&str| match actor.get(name) {
                None | Some(Value::Null | Value::String(_)) => true,
                Some(_) => false,
            };
            let are_texts = ["name", "avatar_url"].iter().all(is_text);
            let actor = User::read(actor).filter(|_| are_texts);
            actor.ok_or(Error::Invalid {
                field: "actor",
                reason: "must be a person: an object with an id, and texts as name and avatar_url",
            })
        });
        Ok(Self {
            verb: verb.to_owned(),
            actor: actor.transpose()?,
            room: payload.find_room()?,
            subject: subject.cloned(),
        })
    }
}

impl Activities {
    /// Records what a service tells a team of; returns the [`Activity`](super::Activity). A request
    /// with the key of an earlier one returns that one's.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to publish; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn publish(
        &self,
        claims: &Claims,
        publication: &Publication,
        key: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<Value> {
        claims.rights().require(Right::Publish)?;
        let team = &claims.team;
        let published = self.store.transact(async |tx| {
            let publish = async || {
                let document = match &publication.room {
                    None => None,
                    Some(room) => {
                        let found: Option<(DocumentId,)> = tx
                            .find(
                                "select document_id from document where team = $1 and room = $2",
                                args![team, room],
                            )
                            .await?;
                        let (document,) = found.ok_or(Error::NO_DOCUMENT)?;
                        Some((document, room))
                    }
                };
                let new = NewActivity {
                    team,
                    document,
                    verb: &publication.verb,
                    actor: publication.actor.as_ref().unwrap_or(&claims.user),
                    subject: publication.subject.clone(),
                    at: now,
                };
                let activity = record(&tx, new).await?;
                Ok(json!(activity))
            };
            once(&tx, claims, "activity_publish", key.as_ref(), now, publish).await
        });
        published.await
    }
}
