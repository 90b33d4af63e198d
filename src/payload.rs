//! The fields of a request, from a Socket.IO event or from HTTP: a path, a query and a body.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    id::{RoomName, Timestamp, UserId},
};

/// The fields of a request by their names. A field that is null counts as absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload(Map<String, Value>);

impl Payload {
    /// The fields of a JSON object.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Sets a field, which replaces one of the same name.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.0.insert(field.to_owned(), value.into());
    }

    /// All fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A field of any type, if it is there.
    pub fn find(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// A text.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is absent or no text.
    pub fn text(&self, field: &'static str) -> Result<&str> {
        self.find_text(field)?.ok_or(Error::Invalid {
            field,
            reason: "is required",
        })
    }

    /// A text, if it is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is no text, or has a NUL, which no database
    /// stores.
    pub fn find_text(&self, field: &'static str) -> Result<Option<&str>> {
        match self.find(field) {
            None => Ok(None),
            Some(Value::String(text)) if !text.contains('\0') => Ok(Some(text)),
            Some(_) => Err(Error::Invalid {
                field,
                reason: "must be a text",
            }),
        }
    }

    /// A text of at most `bytes_max` bytes, if it is there.
    ///
    /// # Errors
    /// As [`find_text`](Self::find_text), and where it is longer.
    pub fn find_text_within(&self, field: &'static str, bytes_max: usize) -> Result<Option<&str>> {
        let text = self.find_text(field)?;
        if text.is_some_and(|text| text.len() > bytes_max) {
            return Err(Error::Invalid {
                field,
                reason: "is too long",
            });
        }
        Ok(text)
    }

    /// A number of things, if it is there; in a query it is a text.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is no whole number from 0 on.
    pub fn find_count(&self, field: &'static str) -> Result<Option<usize>> {
        let count = match self.find(field) {
            None => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64().and_then(|count| usize::try_from(count).ok()),
        };
        count.map(Some).ok_or(Error::Invalid {
            field,
            reason: "must be a whole number",
        })
    }

    /// A truth value; false where it is absent. In a query it is a text.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is neither true nor false.
    pub fn flag(&self, field: &'static str) -> Result<bool> {
        match self.find(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(Error::Invalid {
                field,
                reason: "must be true or false",
            }),
        }
    }

    /// A list of texts, if it is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is no list, or one of its values no text.
    pub fn find_texts(&self, field: &'static str) -> Result<Option<Vec<&str>>> {
        let invalid = Error::Invalid {
            field,
            reason: "must be a list of texts",
        };
        let Some(value) = self.find(field) else {
            return Ok(None);
        };
        let texts = value.as_array().and_then(|values| {
            let texts = values.iter().map(|value| {
                let text = value.as_str();
                text.filter(|text| !text.contains('\0'))
            });
            texts.collect()
        });
        texts.map(Some).ok_or(invalid)
    }

    /// A list of people, if it is there, each once.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is no list of user ids.
    pub fn find_users(&self, field: &'static str) -> Result<Option<BTreeSet<UserId>>> {
        let Some(texts) = self.find_texts(field)? else {
            return Ok(None);
        };
        let users = texts.into_iter().map(UserId::parse).collect();
        let users: Option<BTreeSet<UserId>> = users;
        users.map(Some).ok_or(Error::Invalid {
            field,
            reason: "must be a list of user ids",
        })
    }

    /// A person, if one is named.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is no user id.
    pub fn find_user(&self, field: &'static str) -> Result<Option<UserId>> {
        let Some(text) = self.find_text(field)? else {
            return Ok(None);
        };
        UserId::parse(text).map(Some).ok_or(Error::Invalid {
            field,
            reason: "must be a user id",
        })
    }

    /// A time of RFC 3339, if one is given.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is another value.
    pub fn find_time(&self, field: &'static str) -> Result<Option<Timestamp>> {
        let Some(text) = self.find_text(field)? else {
            return Ok(None);
        };
        Timestamp::parse(text).map(Some).ok_or(Error::Invalid {
            field,
            reason: "must be a time such as 2027-01-15T08:00:00.000Z",
        })
    }

    /// The field `room`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is absent or no name of a room.
    pub fn room(&self) -> Result<RoomName> {
        RoomName::parse(self.text("room")?)
    }

    /// The field `room`, if it is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field where it is no name of a room.
    pub fn find_room(&self) -> Result<Option<RoomName>> {
        self.find_text("room")?.map(RoomName::parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload(fields: Value) -> Payload {
        match fields {
            Value::Object(fields) => Payload::new(fields),
            _ => panic!("an object"),
        }
    }

    #[test]
    fn every_error_names_its_field() {
        let payload = payload(json!({
            "a": 7, "nul": "a\0", "texts": ["a", 1], "users": [""], "room": "a,b",
        }));
        let field = |error: Error| error.field();
        assert_eq!(payload.text("a").map_err(field), Err(Some("a")));
        assert_eq!(payload.text("absent").map_err(field), Err(Some("absent")));
        assert_eq!(payload.text("nul").map_err(field), Err(Some("nul")));
        assert_eq!(payload.find_count("nul").map_err(field), Err(Some("nul")));
        assert_eq!(payload.flag("a").map_err(field), Err(Some("a")));
        assert_eq!(
            payload.find_texts("texts").map_err(field),
            Err(Some("texts"))
        );
        assert_eq!(
            payload.find_users("users").map_err(field),
            Err(Some("users"))
        );
        assert_eq!(payload.find_room().map_err(field), Err(Some("room")));
    }

    #[test]
    fn numbers_and_flags_are_read_from_json_and_from_queries() {
        let payload = payload(json!({ "n": 7, "m": "7", "yes": true, "true": "true", "no": null }));
        assert_eq!(payload.find_count("n"), payload.find_count("m"));
        assert_eq!(payload.flag("yes"), Ok(true));
        assert_eq!(payload.flag("true"), Ok(true));
        assert_eq!(payload.flag("no"), Ok(false));
        assert_eq!(payload.find_text("no"), Ok(None));
    }
}
