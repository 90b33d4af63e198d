//! Reads the fields of a request's payload, which is one object. Each error names its field.

use std::borrow::Cow;

use bytes::Bytes;
use document::{DeletionsHash, StateVector};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use smallvec::SmallVec;

use super::packet::{Attachments, Placeholder, Text};
use crate::{
    error::{Error, Result},
    id::{EventId, RoomName},
    room::Has,
};

/// The fields of one payload. A field is decoded when it is read.
pub(super) struct Fields<'a> {
    entries: Entries<'a>,
    attachments: Attachments,
}

impl<'a> Fields<'a> {
    /// Reads `argument` as an object.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `payload` if it is none.
    pub(super) fn parse(argument: Option<&'a RawValue>, attachments: Attachments) -> Result<Self> {
        let reason = "must be one object";
        let invalid = Error::Invalid {
            field: "payload",
            reason,
        };
        let json = argument.ok_or(invalid.clone())?.get();
        let entries: Entries<'a> = serde_json::from_str(json).map_err(|_| invalid.clone())?;
        // The whole payload is an attachment.
        if entries.0.iter().any(|(name, _)| name == "_placeholder") {
            return Err(invalid);
        }
        Ok(Self {
            entries,
            attachments,
        })
    }

    /// As [`parse`](Self::parse), but a plain string is read as the room's name.
    pub(super) fn parse_room(
        argument: Option<&'a RawValue>,
        attachments: Attachments,
    ) -> Result<Self> {
        match argument {
            Some(raw) if raw.get().starts_with('"') => {
                let entries = Entries([(Cow::Borrowed("room"), raw)].into_iter().collect());
                Ok(Self {
                    entries,
                    attachments,
                })
            }
            _ => Self::parse(argument, attachments),
        }
    }

    /// The field `room`, a valid name.
    pub(super) fn room(&self) -> Result<RoomName> {
        RoomName::parse(&self.text("room")?)
    }

    /// A string.
    pub(super) fn text(&self, field: &'static str) -> Result<Cow<'a, str>> {
        let raw = self.find(field).ok_or(Error::Invalid {
            field,
            reason: "is missing",
        })?;
        let Text(text) = serde_json::from_str(raw.get()).map_err(|_| Error::Invalid {
            field,
            reason: "must be a string",
        })?;
        Ok(text)
    }

    /// A string, if there is one.
    pub(super) fn find_text(&self, field: &'static str) -> Result<Option<Cow<'a, str>>> {
        self.find(field).map(|_| self.text(field)).transpose()
    }

    /// Any value, if there is one; `null` is a value.
    pub(super) fn find_json(&self, field: &'static str) -> Result<Option<Value>> {
        let entry = self.entries.0.iter().find(|(name, _)| name == field);
        let value = entry.map(|(_, raw)| serde_json::from_str(raw.get()));
        value.transpose().map_err(|_| Error::Invalid {
            field,
            reason: "is nested too deeply",
        })
    }

    /// The field `since`, the id of an event, if it is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is no whole number.
    pub(super) fn find_since(&self) -> Result<Option<EventId>> {
        match self.find_json("since")? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(EventId).map(Some).ok_or(Error::Invalid {
                field: "since",
                reason: "must be the id of an event",
            }),
        }
    }

    /// Bytes, which are a binary attachment of the packet.
    pub(super) fn bytes(&self, field: &'static str) -> Result<Bytes> {
        self.find_bytes(field)?.ok_or(Error::Invalid {
            field,
            reason: "is missing",
        })
    }

    /// What the client says that it has: the fields `state_vector` and `deletions_hash`, if the
    /// former is there.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(super) fn find_has(&self) -> Result<Option<Has>> {
        let hash = self.find_bytes(DELETIONS_HASH)?;
        let Some(state_vector) = self.find_bytes(STATE_VECTOR)? else {
            return Ok(None);
        };
        let deletions = hash.map(|bytes| decode_deletions_hash(&bytes));
        Ok(Some(Has {
            state_vector: decode_state_vector(&state_vector)?,
            deletions: deletions.transpose()?,
        }))
    }

    /// As [`find_has`](Self::find_has), where the field `state_vector` must be there.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(super) fn has(&self) -> Result<Has> {
        self.find_has()?.ok_or(Error::Invalid {
            field: STATE_VECTOR,
            reason: "is missing",
        })
    }

    fn find_bytes(&self, field: &'static str) -> Result<Option<Bytes>> {
        let Some(raw) = self.find(field) else {
            return Ok(None);
        };
        let invalid = Error::Invalid {
            field,
            reason: "must be binary",
        };
        let Placeholder(place) = serde_json::from_str(raw.get()).map_err(|_| invalid.clone())?;
        self.attachments
            .get(place)
            .cloned()
            .map(Some)
            .ok_or(invalid)
    }

    /// A field that exists and is not null.
    fn find(&self, field: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.entries.0.iter().find(|(name, _)| name == field)?;
        (raw.get() != "null").then_some(*raw)
    }
}

const STATE_VECTOR: &str = "state_vector";
const DELETIONS_HASH: &str = "deletions_hash";

fn decode_state_vector(bytes: &[u8]) -> Result<StateVector> {
    let reason = "is not a Yjs state vector";
    StateVector::decode(bytes).map_err(|_| Error::Invalid {
        field: STATE_VECTOR,
        reason,
    })
}

fn decode_deletions_hash(bytes: &[u8]) -> Result<DeletionsHash> {
    DeletionsHash::find(bytes).ok_or(Error::Invalid {
        field: DELETIONS_HASH,
        reason: "must have 32 bytes",
    })
}

/// The entries of an object, whose values are not decoded.
struct Entries<'a>(SmallVec<[(Cow<'a, str>, &'a RawValue); 4]>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = SmallVec::new();
                while let Some((Text(name), raw)) = map.next_entry()? {
                    entries.push((name, raw));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn every_error_names_its_field() {
        let attachments: Attachments = [Bytes::from_static(b"\0")].into_iter().collect();
        let json = raw(
            r#"{"room":7,"update":"AAA=","token":null,"state_vector":{"_placeholder":true,"num":3}}"#,
        );
        let fields = Fields::parse(Some(&json), attachments).expect("an object");
        let field = |error: Error| error.field();
        assert_eq!(fields.room().map_err(field), Err(Some("room")));
        assert_eq!(fields.bytes("update").map_err(field), Err(Some("update")));
        assert_eq!(fields.text("token").map_err(field), Err(Some("token")));
        assert_eq!(fields.has().err().and_then(field), Some("state_vector"));
    }

    #[test]
    fn a_payload_must_be_an_object_or_a_string_that_names_a_room() {
        for json in ["[]", "1", "null", "true", "\"x\""] {
            assert!(
                Fields::parse(Some(&raw(json)), Attachments::new()).is_err(),
                "{json}"
            );
        }
        let json = raw(r#""article-42""#);
        let fields = Fields::parse_room(Some(&json), Attachments::new()).expect("a room");
        assert_eq!(
            fields.room().map(|room| room.as_str().to_owned()),
            Ok("article-42".into())
        );
    }
}
