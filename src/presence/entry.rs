//! What others see of a person: the entry, and the requests that change it.

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use crate::{
    auth::{Claims, Right, User},
    error::{Error, Result},
    id::{RoomName, Timestamp},
};

/// The most rooms of one person that an entry lists.
pub const ROOMS_MAX: usize = 60;
/// The longest kind of an activity, and the longest label, in bytes of UTF-8.
const KIND_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 255;
/// The bit of [`Visible`] that stands for the activity. Lower ones stand for the rooms.
const ACTIVITY_BIT: u64 = 1 << 63;

/// Whether a person wants to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PresenceStatus)]
pub enum Status {
    /// The person is there.
    Online,
    /// The person is connected, but not looking.
    Away,
    /// The person is there and does not want to be disturbed.
    Busy,
    /// The person has no session. No client can set it.
    Offline,
}

/// What a person is doing, as a client of theirs says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PresenceActivity)]
pub struct Activity {
    /// A word of the application, such as `editing`: 1 to 64 bytes.
    #[schema(min_length = 1, max_length = 64, examples("editing"))]
    pub kind: String,
    /// The document that it is about. Who may not view it does not see the activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomName>,
    /// A text for people: 1 to 255 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    pub label: Option<String>,
}

/// The statuses that a client may set.
fn settable() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The new status."))
        .enum_values(Some(["online", "away", "busy"]))
        .build()
}

/// A request to change what one session contributes. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, ToSchema)]
pub struct Change {
    /// The new status.
    #[schema(schema_with = settable)]
    pub status: Option<Status>,
    /// The new activity, or null to end it.
    #[schema(value_type = Option<Activity>)]
    pub activity: Option<Option<Activity>>,
}

/// A person who is present, as others see them: one entry for all tabs and devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PresenceEntry)]
pub struct Entry {
    /// The person.
    pub user: User,
    /// `busy` if any session is; otherwise `online` if any is, otherwise `away`.
    pub status: Status,
    /// The activity that was set last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// The joined rooms, sorted; at most 60.
    pub rooms: Vec<RoomName>,
    /// When a client of the person sent the last request or, if the person is offline, when the last
    /// session ended.
    pub last_seen_at: Timestamp,
}

/// The parts of an entry that a receiver may see. Receivers with the same rights in the rooms of an
/// entry have the same value, and receive the same message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visible(u64);

impl Status {
    /// Parses a status that a client may set.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `status`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "online" => Ok(Status::Online),
            "away" => Ok(Status::Away),
            "busy" => Ok(Status::Busy),
            _ => Err(Error::Invalid {
                field: "status",
                reason: "must be online, away or busy",
            }),
        }
    }
}

impl Activity {
    /// Reads an activity from JSON: `{ kind, room?, label? }`. Other members are ignored.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `activity`, or with that of the room's name.
    pub fn read(json: &Value) -> Result<Self> {
        let invalid = |reason| Error::Invalid {
            field: "activity",
            reason,
        };
        let fields = json.as_object().ok_or(invalid("must be an object"))?;
        let text = |name: &str, bytes_max: usize, reason| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if is_plain(text, bytes_max) => Ok(Some(text.clone())),
            Some(_) => Err(invalid(reason)),
        };
        let kind = "kind must be a text of 1 to 64 bytes without control characters";
        let label = "label must be a text of 1 to 255 bytes without control characters";
        let room = match fields.get("room") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(RoomName::parse(name)?),
            Some(_) => return Err(invalid("room must be a room's name")),
        };
        Ok(Self {
            kind: text("kind", KIND_BYTES_MAX, kind)?.ok_or(invalid("kind is missing"))?,
            room,
            label: text("label", LABEL_BYTES_MAX, label)?,
        })
    }
}

fn is_plain(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.contains(char::is_control)
}

impl Entry {
    /// What a receiver with these claims may see of the entry.
    pub(super) fn visible_to(&self, claims: &Claims) -> Visible {
        let may_view = |room: &RoomName| claims.rights_in(room).allows(Right::View);
        let rooms = self.rooms.iter().take(ROOMS_MAX).enumerate();
        let mut bits = rooms.fold(0, |bits, (at, room)| bits | u64::from(may_view(room)) << at);
        let about = self
            .activity
            .as_ref()
            .map(|activity| activity.room.as_ref());
        if about.is_some_and(|room| room.is_none_or(may_view)) {
            bits |= ACTIVITY_BIT;
        }
        Visible(bits)
    }

    /// The entry with only its visible parts.
    pub(super) fn seen(mut self, Visible(bits): Visible) -> Self {
        let mut at = 0;
        self.rooms.retain(|_| {
            at += 1;
            at <= ROOMS_MAX && bits & (1 << (at - 1)) != 0
        });
        self.activity = self.activity.filter(|_| bits & ACTIVITY_BIT != 0);
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::tests::claims;

    #[test]
    fn an_entry_is_json_as_clients_expect_it() {
        let room = RoomName::parse("a").expect("a name");
        let entry = Entry {
            user: User::clone(&claims("acme", "ana").user),
            status: Status::Online,
            activity: None,
            rooms: vec![room],
            last_seen_at: Timestamp(1_700_000_000_000),
        };
        let expected = json!({
            "user": { "id": "ana", "name": "ana" },
            "status": "online",
            "rooms": ["a"],
            "last_seen_at": "2023-11-14T22:13:20.000Z",
        });
        assert_eq!(serde_json::to_value(entry).expect("JSON"), expected);
    }

    #[test]
    fn an_activity_has_bounded_texts_and_every_error_names_its_field() {
        let read = |json: Value| Activity::read(&json).map_err(|error| error.field());
        let full = json!({ "kind": "editing", "room": "a", "label": "the title", "more": [1] });
        let full = read(full).expect("an activity");
        assert_eq!(full.kind, "editing");
        assert_eq!(full.label.as_deref(), Some("the title"));
        assert!(read(json!({ "kind": "x".repeat(64), "label": null, "room": null })).is_ok());
        for bad in [
            json!(7),
            json!([]),
            json!({}),
            json!({ "kind": "" }),
            json!({ "kind": 7 }),
            json!({ "kind": "x".repeat(65) }),
            json!({ "kind": "a\nb" }),
            json!({ "kind": "a", "label": "" }),
            json!({ "kind": "a", "label": "x".repeat(256) }),
            json!({ "kind": "a", "label": {} }),
            json!({ "kind": "a", "room": 7 }),
        ] {
            assert_eq!(read(bad.clone()), Err(Some("activity")), "{bad}");
        }
        assert_eq!(
            read(json!({ "kind": "a", "room": "a,b" })),
            Err(Some("room"))
        );
    }

    #[test]
    fn a_client_can_set_three_statuses() {
        assert_eq!(Status::parse("busy"), Ok(Status::Busy));
        for bad in ["offline", "", "Online", "dnd"] {
            let error = Status::parse(bad).expect_err(bad);
            assert_eq!(error.field(), Some("status"));
        }
    }
}
