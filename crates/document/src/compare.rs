//! Whether two blocks with the same elements are the same.
//!
//! An element never changes: every replica has it with the same content and
//! the same origins, or without content where it has been deleted. So if two blocks
//! differ where both have content, they were not made by one replica: one of them was
//! made under another's client id.

use std::collections::BTreeMap;

use super::lib0::{Malformed, Reader};
use super::merge::Utf16;
use super::update::{
    ANY, Block, DELETED, GC, HAS_ORIGIN, HAS_RIGHT_ORIGIN, Id, STRING, TYPE, read_id,
};

/// Whether `one` and `other` agree on the elements that they have in common. Blocks of
/// different clients, or without a common element, agree.
pub(super) fn agree(one: &Block<'_>, other: &Block<'_>) -> bool {
    let start = one.id.clock.max(other.id.clock);
    let end = one.end().min(other.end());
    if one.id.client != other.id.client || start >= end {
        return true;
    }
    let one = one.tail(start - one.id.clock).head(end - start);
    let other = other.tail(start - other.id.clock).head(end - start);
    let gone = |block: &Block<'_>| matches!((block.info, block.kind()), (GC, _) | (_, DELETED));
    if gone(&one) || gone(&other) {
        return true;
    }
    same_place(&one, &other) && same_content(&one, &other).unwrap_or(false)
}

fn same_place(one: &Block<'_>, other: &Block<'_>) -> bool {
    let (Ok(a), Ok(b)) = (origins(one), origins(other)) else {
        return false;
    };
    if a != b {
        return false;
    }
    // Without an origin the two name their parents.
    a != (None, None) || one.run().names == other.run().names && one.place == other.place
}

/// The left and the right origin of the first element of `block`.
fn origins(block: &Block<'_>) -> Result<(Option<Id>, Option<Id>), Malformed> {
    let mut reader = Reader::new(&block.bytes[1..]);
    let mut origin = |flag| match block.info & flag {
        0 => Ok(None),
        _ => read_id(&mut reader).map(Some),
    };
    let (left, right) = (origin(HAS_ORIGIN)?, origin(HAS_RIGHT_ORIGIN)?);
    let before = || Id {
        clock: block.id.clock - 1,
        ..block.id
    };
    Ok(match block.trimmed {
        0 => (left, right),
        _ => (Some(before()), right),
    })
}

fn same_content(one: &Block<'_>, other: &Block<'_>) -> Result<bool, Malformed> {
    if one.kind() != other.kind() {
        return Ok(false);
    }
    let (mut a, mut b) = (Reader::new(one.content), Reader::new(other.content));
    match one.kind() {
        STRING => {
            let units = |text, block: &Block<'_>| Utf16::new(text, block.trimmed, block.len);
            let (a, b) = (units(a.var_string()?, one), units(b.var_string()?, other));
            Ok(a.agrees(b))
        }
        ANY => {
            for (reader, block) in [(&mut a, one), (&mut b, other)] {
                reader.count()?;
                for _ in 0..block.trimmed {
                    reader.any()?;
                }
            }
            for _ in 0..one.len {
                if value(&mut a)? != value(&mut b)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        5 => Ok(same_json(a.json()?, b.json()?)),
        6 => Ok(a.var_string()? == b.var_string()? && same_json(a.json()?, b.json()?)),
        TYPE => {
            let (kind, other) = (a.byte()?, b.byte()?);
            Ok(kind == other && (kind != 3 || a.var_string()? == b.var_string()?))
        }
        // yrs drops the options of a subdocument; its name is enough.
        9 => Ok(a.var_string()? == b.var_string()?),
        _ => Ok(one.content == other.content),
    }
}

fn same_json(one: &str, other: &str) -> bool {
    let parse = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other
        || match (parse(one), parse(other)) {
            (Some(one), Some(other)) => same_value(&one, &other),
            _ => false,
        }
}

/// Whether two JSON values are the same to JavaScript, which has one kind of number.
pub(super) fn same_value(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (one, other) {
        (Number(one), Number(other)) => one.as_f64() == other.as_f64(),
        (Array(one), Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_value(a, b))
        }
        (Object(one), Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, a)| other.get(key).is_some_and(|b| same_value(a, b)))
        }
        (one, other) => one == other,
    }
}

/// A value without its encoding: yrs encodes integers, floats and the order of keys in another
/// way than Yjs.
#[derive(Debug, PartialEq)]
enum Value<'a> {
    Plain(u8),
    Number(u64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Array(Vec<Value<'a>>),
    Object(BTreeMap<&'a str, Value<'a>>),
}

/// Reads a value that [`Reader::any`] accepted: it nests no deeper than that allows.
fn value<'a>(reader: &mut Reader<'a>) -> Result<Value<'a>, Malformed> {
    let number = |number: f64| Value::Number((number + 0.0).to_bits());
    Ok(match reader.byte()? {
        125 => number(signed(reader)?),
        124 => number(f64::from(f32::from_be_bytes(array(reader)?))),
        123 => number(f64::from_be_bytes(array(reader)?)),
        122 => number(i64::from_be_bytes(array(reader)?) as f64),
        119 => Value::Text(reader.var_string()?),
        116 => Value::Bytes(reader.var_bytes()?),
        117 => {
            let count = reader.count()?;
            Value::Array(
                (0..count)
                    .map(|_| value(reader))
                    .collect::<Result<_, _>>()?,
            )
        }
        118 => {
            let count = reader.count()?;
            let entry = |_| Ok((reader.var_string()?, value(reader)?));
            Value::Object((0..count).map(entry).collect::<Result<_, _>>()?)
        }
        plain => Value::Plain(plain),
    })
}

fn array<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], Malformed> {
    let bytes = reader.take(N)?;
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    Ok(array)
}

/// A variable-length integer with a sign, as lib0 writes it: six bits in its first
/// byte, seven in each further one.
fn signed(reader: &mut Reader<'_>) -> Result<f64, Malformed> {
    let first = reader.byte()?;
    let mut number = f64::from(first & 0x3f);
    let (mut more, mut unit) = (first & 0x80 != 0, 64.0);
    while more {
        let byte = reader.byte()?;
        number += f64::from(byte & 0x7f) * unit;
        unit *= 128.0;
        more = byte & 0x80 != 0;
    }
    Ok(match first & 0x40 {
        0 => number,
        _ => -number,
    })
}
