//! What a service asks for: `{ sid }`, or `{ user, issued_before? }`.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, Ref, RefOr, Schema, Type},
};

use crate::{
    auth::{Revoked, is_login},
    error::{Error, Result},
    id::{Timestamp, UserId},
    payload::Payload,
};

/// How far `issued_before` may be in the future: the service's clock may be ahead.
const AHEAD_MS_MAX: i64 = 60_000;

/// Whose sessions are to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A login session, by the `sid` of its tokens.
    Login(String),
    /// The sessions of a user, by the `sub` of the tokens.
    User {
        /// The user.
        id: UserId,
        /// The time before which the tokens were issued; without it, the time of the request.
        issued_before: Option<Timestamp>,
    },
}

impl ToSchema for Request {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((UserId::name().into(), UserId::schema()));
        schemas.push((Timestamp::name().into(), Timestamp::schema()));
    }
}

/// The fields of a request, which has `sid` or `user`.
impl PartialSchema for Request {
    fn schema() -> RefOr<Schema> {
        let sid = ObjectBuilder::new().schema_type(Type::String);
        let sid = sid.min_length(Some(1)).max_length(Some(255));
        let sid = sid.description(Some("The login session: the claim sid of its tokens."));
        ObjectBuilder::new()
            .property("sid", sid)
            .property("user", Ref::from_schema_name(UserId::name()))
            .property("issued_before", Ref::from_schema_name(Timestamp::name()))
            .into()
    }
}

impl Request {
    /// Reads `sid`, or `user` and `issued_before`, at the time `now`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload, now: Timestamp) -> Result<Self> {
        let invalid = |field, reason| Err(Error::Invalid { field, reason });
        let sid = payload.find_text("sid")?;
        let user = payload.find_user("user")?;
        let issued_before = payload.find_time("issued_before")?;
        if issued_before.is_some_and(|time| time.0 > now.0 + AHEAD_MS_MAX) {
            return invalid("issued_before", "must not be in the future");
        }
        match (sid, user) {
            (Some(_), Some(_)) => invalid("user", "must be absent where sid is given"),
            (None, None) => invalid("sid", "must be given, or else user"),
            (Some(_), None) if issued_before.is_some() => {
                invalid("issued_before", "must be absent where sid is given")
            }
            (Some(sid), None) if !is_login(sid) => invalid("sid", "must be 1 to 255 bytes"),
            (Some(sid), None) => Ok(Self::Login(sid.to_owned())),
            (None, Some(id)) => Ok(Self::User { id, issued_before }),
        }
    }

    /// What is revoked by a request at the time `now`.
    pub(super) fn at(&self, now: Timestamp) -> Revoked {
        match self {
            Self::Login(sid) => Revoked::Login(sid.clone()),
            Self::User { id, issued_before } => Revoked::User {
                id: id.clone(),
                issued_before: issued_before.unwrap_or(now),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn read(fields: Value) -> Result<Request> {
        let Value::Object(fields) = fields else {
            panic!("an object");
        };
        Request::read(&Payload::new(fields), NOW)
    }

    #[test]
    fn a_request_names_a_login_or_a_user() {
        assert_eq!(
            read(json!({ "sid": "l-1" })),
            Ok(Request::Login("l-1".into()))
        );
        let of_ana = |issued_before| Request::User {
            id: UserId::parse("ana").expect("an id"),
            issued_before,
        };
        assert_eq!(read(json!({ "user": "ana" })), Ok(of_ana(None)));
        // Another offset, and any number of digits of the second.
        let time = json!({ "user": "ana", "issued_before": "2027-01-15T09:00:00.5+01:00" });
        assert_eq!(read(time), Ok(of_ana(Some(Timestamp(NOW.0 + 500)))));
        let Revoked::User { issued_before, .. } = of_ana(None).at(NOW) else {
            panic!("a user");
        };
        assert_eq!(issued_before, NOW);
    }

    #[test]
    fn a_malformed_request_is_refused_with_its_field() {
        for (fields, field) in [
            (json!({}), "sid"),
            (json!({ "sid": "l-1", "user": "ana" }), "user"),
            (json!({ "sid": 7 }), "sid"),
            (json!({ "sid": "" }), "sid"),
            (json!({ "sid": "x".repeat(256) }), "sid"),
            (json!({ "user": "" }), "user"),
            (
                json!({ "sid": "l-1", "issued_before": NOW }),
                "issued_before",
            ),
            (
                json!({ "user": "ana", "issued_before": 1_800_000_000 }),
                "issued_before",
            ),
            (
                json!({ "user": "ana", "issued_before": "yesterday" }),
                "issued_before",
            ),
            (
                json!({ "user": "ana", "issued_before": Timestamp(NOW.0 + 61_000) }),
                "issued_before",
            ),
        ] {
            let error = read(fields.clone()).expect_err("refused");
            assert_eq!(error.field(), Some(field), "{fields}");
        }
    }
}
