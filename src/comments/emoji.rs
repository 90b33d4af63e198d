//! Emoji, with which people react to comments.

use std::ops::RangeInclusive;
use utoipa::ToSchema;

use crate::{
    error::{Error, Result},
    payload::Payload,
};

/// The longest emoji, in bytes: a flag of a region has 28, a family of four 25.
const BYTES_MAX: usize = 32;
const FIELD: &str = "emoji";

/// The blocks of Unicode with emoji. They have other symbols as well, and no letters but some in
/// circles and squares.
const SYMBOLS: &[RangeInclusive<u32>] = &[
    0xa9..=0xa9,
    0xae..=0xae,
    0x203c..=0x2bff,
    0x3030..=0x3030,
    0x303d..=0x303d,
    0x3297..=0x3299,
    0x1f000..=0x1faff,
];
/// What joins and varies emoji: the joiner, the variation selectors, the enclosing keycap, tags.
const MODIFIERS: &[RangeInclusive<u32>] = &[
    0x200d..=0x200d,
    0xfe0e..=0xfe0f,
    0x20e3..=0x20e3,
    0xe0020..=0xe007f,
];
/// The last character of a keycap, such as `1️⃣`.
const KEYCAP: char = '\u{20e3}';

/// An emoji, or the name of a custom one: `:party-parrot:`.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,32}$", examples("👍"))]
pub struct Emoji(String);

impl Emoji {
    /// Reads the field `emoji`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field; [`Error::TooLarge`] beyond 32 bytes.
    pub fn read(payload: &Payload) -> Result<Self> {
        let text = payload.text(FIELD)?;
        if text.len() > BYTES_MAX {
            return Err(Error::TooLarge { limit: BYTES_MAX });
        }
        if is_name(text) || is_keycap(text) || is_emoji(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::Invalid {
            field: FIELD,
            reason: "must be an emoji, or a name between colons",
        })
    }

    /// The emoji as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str) -> bool {
    let name = text
        .strip_prefix(':')
        .and_then(|text| text.strip_suffix(':'));
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+');
    name.is_some_and(|name| !name.is_empty() && name.chars().all(is_part))
}

fn is_keycap(text: &str) -> bool {
    let key = text.strip_suffix(KEYCAP);
    let key = key.map(|key| key.strip_suffix('\u{fe0f}').unwrap_or(key));
    key.is_some_and(|key| {
        key.len() == 1 && key.contains(|c: char| c.is_ascii_digit() || "#*".contains(c))
    })
}

fn is_emoji(text: &str) -> bool {
    let is_in = |blocks: &[RangeInclusive<u32>], c: char| {
        blocks.iter().any(|block| block.contains(&u32::from(c)))
    };
    let begins = text.chars().next().is_some_and(|c| is_in(SYMBOLS, c));
    begins
        && text
            .chars()
            .all(|c| is_in(SYMBOLS, c) || is_in(MODIFIERS, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Emoji> {
        let mut payload = Payload::default();
        payload.set(FIELD, text);
        Emoji::read(&payload)
    }

    #[test]
    fn emoji_of_all_kinds_and_names_between_colons_are_accepted() {
        for emoji in [
            "👍",
            "❤️",
            "👍🏽",
            "👩‍👩‍👧‍👦",
            "🇩🇪",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "1️⃣",
            "#⃣",
            "©️",
            "ℹ️",
            "🅰️",
            "☺",
            "⭐",
            "㊗️",
            ":+1:",
            ":party-parrot:",
            ":größe_1:",
        ] {
            assert_eq!(read(emoji).as_ref().map(Emoji::as_str), Ok(emoji));
        }
    }

    #[test]
    fn words_markup_and_control_characters_are_refused() {
        for bad in [
            "",
            " ",
            "a",
            "ok",
            "+1",
            "<b>",
            "::",
            ":a b:",
            ":<i>:",
            "👍a",
            "👍 ",
            "\u{7}",
            "👍\n",
            "\u{200d}",
            "かな",
            "1",
            "\u{fe0f}\u{20e3}",
        ] {
            assert_eq!(read(bad).expect_err(bad).field(), Some(FIELD), "{bad:?}");
        }
        assert!(matches!(
            read(&"👍".repeat(9)),
            Err(Error::TooLarge { limit: 32 })
        ));
    }
}
