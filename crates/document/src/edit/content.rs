//! The content of items, as it is read, split, compared and written.

use std::borrow::Cow;

use serde_json::Value;

use super::super::compare::same_value;
use super::super::lib0::{Reader, write_var, write_var_string};
use super::super::merge::utf16_split;
use super::super::update::{ANY, Block, DELETED, EMBED, FORMAT, GC, STRING, TYPE, utf16_len};

/// The content of an item.
#[derive(Clone, Debug)]
pub(super) enum ItemContent<'a> {
    /// None any more: the item was deleted, or collected.
    Deleted,
    /// Characters; one element for each unit of UTF-16.
    Text(Cow<'a, str>),
    /// Values of lib0's kind `Any`, one after the other; one element each.
    Values(Cow<'a, [u8]>),
    /// A mark of a text: the attribute, and its value as JSON. It does not count in positions.
    Format(Cow<'a, str>, Cow<'a, str>),
    /// A shared type: its kind and, for an XML element, its name, as they are encoded.
    Type(Cow<'a, [u8]>),
    /// One element of another kind (an embed, bytes, a subdocument), as it is encoded.
    Single(u8, Cow<'a, [u8]>),
}

impl<'a> ItemContent<'a> {
    /// The content of a block of which no elements have been left out.
    pub(super) fn of(block: &Block<'a>) -> Self {
        // All of it was read when the block was: nothing fails here.
        let mut reader = Reader::new(block.content);
        match block.kind() {
            _ if block.info == GC => Self::Deleted,
            DELETED => Self::Deleted,
            STRING => Self::Text(reader.var_string().unwrap_or_default().into()),
            ANY => {
                let _ = reader.count();
                Self::Values(reader.rest().into())
            }
            FORMAT => {
                let key = reader.var_string().unwrap_or_default();
                let value = reader.var_string().unwrap_or_default();
                Self::Format(key.into(), value.into())
            }
            TYPE => Self::Type(block.content.into()),
            kind => Self::Single(kind, block.content.into()),
        }
    }

    /// An embed of a text.
    pub(super) fn embed(value: &Value) -> Self {
        let mut out = Vec::new();
        write_var_string(&mut out, &value.to_string());
        Self::Single(EMBED, out.into())
    }

    /// One JSON value.
    pub(super) fn value(value: &Value) -> Self {
        let mut out = Vec::new();
        write_any(&mut out, value);
        Self::Values(out.into())
    }

    /// A mark of a text.
    pub(super) fn format(key: &str, value: &Value) -> Self {
        Self::Format(key.to_owned().into(), value.to_string().into())
    }

    /// A shared type of this kind, with its name if it is an XML element.
    pub(super) fn shared_type(kind: u8, name: Option<&str>) -> Self {
        let mut out = vec![kind];
        if let Some(name) = name {
            write_var_string(&mut out, name);
        }
        Self::Type(out.into())
    }

    /// Whether its elements count in positions.
    pub(super) fn is_countable(&self) -> bool {
        !matches!(self, Self::Deleted | Self::Format(..))
    }

    /// The kind of a shared type.
    pub(super) fn type_kind(&self) -> Option<u8> {
        match self {
            Self::Type(bytes) => bytes.first().copied(),
            _ => None,
        }
    }

    /// How many elements new content has.
    pub(super) fn len(&self) -> u32 {
        match self {
            // A message has fewer than 2^31 bytes.
            Self::Text(text) => utf16_len(text) as u32,
            _ => 1,
        }
    }

    /// Whether a split at `at` would tear a character beyond the basic plane.
    pub(super) fn tears(&self, at: u32) -> bool {
        match self {
            Self::Text(text) => is_inside_character(text, at),
            _ => false,
        }
    }

    /// The first `at` elements, and the others.
    pub(super) fn split(self, at: u32) -> (Self, Self) {
        match self {
            Self::Text(Cow::Borrowed(text)) => {
                let (head, tail) = utf16_split(text, at);
                (Self::Text(head), Self::Text(tail))
            }
            Self::Text(Cow::Owned(text)) => {
                let (head, tail) = utf16_split(&text, at);
                let owned = |part: Cow<'_, str>| Self::Text(part.into_owned().into());
                (owned(head), owned(tail))
            }
            Self::Values(bytes) => {
                let mut reader = Reader::new(&bytes);
                (0..at).for_each(|_| reader.any().unwrap_or_default());
                let middle = bytes.len() - reader.rest().len();
                match bytes {
                    Cow::Borrowed(bytes) => {
                        let (head, tail) = bytes.split_at(middle);
                        (Self::Values(head.into()), Self::Values(tail.into()))
                    }
                    Cow::Owned(mut bytes) => {
                        let tail = bytes.split_off(middle);
                        (Self::Values(bytes.into()), Self::Values(tail.into()))
                    }
                }
            }
            other => (other.clone(), other),
        }
    }

    /// Adds `other` behind it, if the two can be one item; else gives it back.
    pub(super) fn append(&mut self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Text(text), Self::Text(other)) => text.to_mut().push_str(&other),
            (Self::Values(bytes), Self::Values(other)) => bytes.to_mut().extend_from_slice(&other),
            (_, other) => return Some(other),
        }
        None
    }

    /// Whether two contents of the same elements are the same. Values and single
    /// elements never change, and may be encoded in several ways: their kinds are compared.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Format(key, _), Self::Format(other, _)) => key == other,
            (Self::Type(one), Self::Type(other)) => one == other,
            (Self::Single(one, _), Self::Single(other, _)) => one == other,
            (Self::Values(_), Self::Values(_)) => true,
            _ => false,
        }
    }

    /// The number under which it is encoded.
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Deleted => DELETED,
            Self::Text(_) => STRING,
            Self::Values(_) => ANY,
            Self::Format(..) => FORMAT,
            Self::Type(_) => TYPE,
            Self::Single(kind, _) => *kind,
        }
    }

    /// Writes it, of `len` elements, without its kind.
    pub(super) fn write(&self, out: &mut Vec<u8>, len: u32) {
        match self {
            Self::Deleted => write_var(out, len.into()),
            Self::Text(text) => write_var_string(out, text),
            Self::Values(bytes) => {
                write_var(out, len.into());
                out.extend_from_slice(bytes);
            }
            Self::Format(key, value) => {
                write_var_string(out, key);
                write_var_string(out, value);
            }
            Self::Type(bytes) | Self::Single(_, bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// Whether the boundary before the `at`-th unit of UTF-16 lies inside a character.
fn is_inside_character(text: &str, at: u32) -> bool {
    let mut passed = 0;
    for char in text.chars() {
        if passed >= at {
            break;
        }
        passed += char.len_utf16() as u32;
    }
    passed > at
}

/// Whether two values of an attribute are the same; an absent one is null.
pub(super) fn same_attribute(one: Option<&Value>, other: Option<&Value>) -> bool {
    same_value(one.unwrap_or(&Value::Null), other.unwrap_or(&Value::Null))
}

/// Writes a JSON value as lib0 writes it: integers of up to 31 bits as such, other numbers
/// as the shorter float that holds them.
fn write_any(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(126),
        Value::Bool(true) => out.push(120),
        Value::Bool(false) => out.push(121),
        Value::Number(number) => write_number(out, number.as_f64().unwrap_or_default()),
        Value::String(text) => {
            out.push(119);
            write_var_string(out, text);
        }
        Value::Array(values) => {
            out.push(117);
            write_var(out, values.len() as u64);
            values.iter().for_each(|value| write_any(out, value));
        }
        Value::Object(entries) => {
            out.push(118);
            write_var(out, entries.len() as u64);
            for (key, value) in entries {
                write_var_string(out, key);
                write_any(out, value);
            }
        }
    }
}

fn write_number(out: &mut Vec<u8>, number: f64) {
    if number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX) {
        out.push(125);
        let size = number.abs() as u64;
        // Six bits and the sign in the first byte, seven bits in each further one.
        let sign = if number < 0.0 { 0x40 } else { 0 };
        let more = if size > 0x3f { 0x80 } else { 0 };
        out.push(more | sign | (size & 0x3f) as u8);
        if size > 0x3f {
            write_var(out, size >> 6);
        }
    } else if f64::from(number as f32) == number {
        out.push(124);
        out.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        out.push(123);
        out.extend_from_slice(&number.to_be_bytes());
    }
}
