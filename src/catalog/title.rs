//! Titles of documents.

use utoipa::ToSchema;

use crate::{
    error::{Error, Result},
    id::RoomName,
};

/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 255;

/// The title of a document: 1 to 255 characters without control characters, and without white
/// space at its ends.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", examples("Launch plan"))]
pub struct Title(String);

impl Title {
    /// Parses a title; white space at its ends is dropped.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `title`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let reason = if text.is_empty() {
            "must not be empty"
        } else if text.chars().count() > TITLE_CHARS_MAX {
            "must be at most 255 characters"
        } else if text.contains(char::is_control) {
            "must not contain control characters"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(Error::Invalid {
            field: "title",
            reason,
        })
    }

    /// The title as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text by which a document is sorted among others: its title, or the name of its room where
/// it has none, in lower case.
pub(super) fn sort_key(title: Option<&Title>, room: &RoomName) -> String {
    title.map_or(room.as_str(), Title::as_str).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_1_to_255_characters_and_no_control_characters() {
        let parsed = |text: &str| Title::parse(text).map(|title| title.0);
        assert_eq!(parsed("  Launch plan ").as_deref(), Ok("Launch plan"));
        assert!(parsed(&"é".repeat(255)).is_ok());
        for bad in ["", " \t ", "a\nb", "a\0b", &"é".repeat(256)] {
            let error = parsed(bad).expect_err(bad);
            assert_eq!(error.field(), Some("title"), "{bad:?}");
        }
    }
}
