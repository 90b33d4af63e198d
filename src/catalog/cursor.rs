//! The order of a list, and positions in it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};

use crate::{
    error::{Error, Result},
    id::{DocumentId, Timestamp},
    store::{Bind, ToBind, parse_time},
};

/// The longest text by which a list is sorted, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The last written first.
    #[default]
    Updated,
    /// The last created first.
    Created,
    /// By title, without regard to case.
    Title,
    /// The last deleted first: the order of the trash.
    Deleted,
}

/// The value by which a document is sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Time(Timestamp),
    Text(String),
}

/// A position in the list: after this document. Clients send it back unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) sort: Sort,
    pub(super) key: Key,
    pub(super) document: DocumentId,
}

impl Sort {
    const WORDS: [(&str, Sort); 4] = [
        ("updated", Sort::Updated),
        ("created", Sort::Created),
        ("title", Sort::Title),
        ("deleted", Sort::Deleted),
    ];

    /// Parses the word of an order; `deleted` is no order that a client may ask for.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `sort`.
    pub fn parse(word: &str) -> Result<Self> {
        let found = Self::WORDS.into_iter().find(|(known, _)| *known == word);
        match found {
            Some((_, sort)) if sort != Sort::Deleted => Ok(sort),
            _ => Err(Error::Invalid {
                field: "sort",
                reason: "must be updated, created or title",
            }),
        }
    }

    fn word(self) -> &'static str {
        let mut words = Self::WORDS.into_iter();
        words
            .find(|(_, sort)| *sort == self)
            .map_or("", |(word, _)| word)
    }

    /// The parameters of a statement that reads what follows `after`: the key and the id.
    pub(super) fn binds(self, after: Option<&Cursor>) -> (Bind, Bind) {
        let key = match (after.map(|cursor| &cursor.key), self) {
            (Some(Key::Time(time)), _) => time.to_bind(),
            (Some(Key::Text(text)), _) => text.to_bind(),
            (None, Sort::Title) => String::null(),
            (None, _) => Timestamp::null(),
        };
        (key, after.map(|cursor| cursor.document).to_bind())
    }
}

impl Cursor {
    /// Parses the text of a cursor; `None` if it is none of a list of this order.
    pub fn parse(text: &str, sort: Sort) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut parts = std::str::from_utf8(&bytes).ok()?.splitn(3, ' ');
        (parts.next()? == sort.word()).then_some(())?;
        let document = DocumentId::parse(parts.next()?)?;
        let key = parts.next()?;
        let key = match sort {
            Sort::Title => text_key(key)?,
            Sort::Updated | Sort::Created | Sort::Deleted => Key::Time(parse_time(key)?),
        };
        Some(Self {
            sort,
            key,
            document,
        })
    }
}

fn text_key(text: &str) -> Option<Key> {
    let is_key = text.len() <= TEXT_BYTES_MAX && !text.contains(char::is_control);
    is_key.then(|| Key::Text(text.to_owned()))
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match &self.key {
            Key::Time(time) => time.0.to_string(),
            Key::Text(text) => text.clone(),
        };
        let plain = format!("{} {} {key}", self.sort.word(), self.document);
        f.write_str(&URL_SAFE_NO_PAD.encode(plain))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_cursor_parses_to_the_same_cursor() {
        let time = || Key::Time(Timestamp(1_700_000_000_007));
        for (sort, key) in [
            (Sort::Updated, time()),
            (Sort::Created, time()),
            (Sort::Deleted, time()),
            (Sort::Title, Key::Text("a plan of three words".into())),
            (Sort::Title, Key::Text(String::new())),
        ] {
            let document = DocumentId::generate();
            let cursor = Cursor {
                sort,
                key,
                document,
            };
            assert_eq!(Cursor::parse(&cursor.to_string(), sort), Some(cursor));
        }
    }

    #[test]
    fn invalid_cursors_and_those_of_another_order_are_refused() {
        let id = DocumentId::generate();
        let encoded = |plain: String| URL_SAFE_NO_PAD.encode(plain);
        for bad in [
            String::new(),
            "no cursor".into(),
            encoded(String::new()),
            encoded("updated 7".into()),
            encoded("updated no-id 7".into()),
            encoded(format!("created {id} 7")),
            encoded(format!("updated {id} seven")),
            encoded(format!("updated {id} -1")),
            encoded(format!("updated {id} {}", i64::MAX)),
            URL_SAFE_NO_PAD.encode([0xff, b' ', 0xfe]),
        ] {
            assert_eq!(Cursor::parse(&bad, Sort::Updated), None, "{bad:?}");
        }
        let nul = encoded(format!("title {id} a\0b"));
        assert_eq!(Cursor::parse(&nul, Sort::Title), None);
    }
}
