//! The store of y-websocket's server: a LevelDB folder, written by the npm package y-leveldb.
//!
//! | key | value |
//! |---|---|
//! | `v1`, name, `update`, number | an update; the numbers of a document have no gaps |
//! | `v1_sv`, name | a number and the state vector of the updates up to it |
//! | `v1`, name, `meta`, key | what a program has noted by `setMeta` |
//!
//! A key is a sequence of strings (the byte 0, then the length and the UTF-8) and numbers (the byte 1, then 4 bytes,
//! higher ones first), so that the updates of a document stand together and in order.

use std::{collections::BTreeSet, path::Path};

use bytes::Bytes;
use leveldb::Database;

use super::{
    ImportError,
    contents::{Contents, Listed, Name},
    refusal::Refusal,
};
use document::{
    StateVector,
    lib0::{Malformed, Reader, write_var},
};

/// The store, opened. y-websocket cannot open it meanwhile.
pub(super) struct YWebsocket {
    database: Database,
}

/// A part of a key.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a [u8]),
    Number(u32),
}

impl YWebsocket {
    pub(super) fn open(folder: &Path) -> Result<Self, ImportError> {
        match Database::open(folder) {
            Ok(database) => Ok(Self { database }),
            Err(error) => Err(ImportError::Source(error.to_string())),
        }
    }

    /// The documents that have an update, a state vector or metadata. All of the store is read for this, so
    /// that all of its damage is known.
    pub(super) fn list(&self) -> Listed {
        let mut damages: Vec<String> = Vec::new();
        damages.extend(self.database.damages().iter().map(ToString::to_string));
        let mut names = BTreeSet::new();
        // Nothing but the keys of y-leveldb begins with another byte.
        for entry in self.database.entries(&[], &[0xff]) {
            match entry {
                Ok((key, _)) => names.insert(name_in(&key)),
                Err(damage) => {
                    damages.push(damage.to_string());
                    continue;
                }
            };
        }
        Listed {
            names: names.into_iter().collect(),
            damages,
        }
    }

    pub(super) fn read(&self, name: &str) -> Result<Contents, Refusal> {
        let mut contents = Contents::default();
        let mut next: Option<u32> = None;
        let start = key(&["v1", name]);
        // Whatever follows the name in a key of the document begins with a 0.
        let end = [&start[..], &[2]].concat();
        for entry in self.database.entries(&start, &end) {
            let (key, value) = entry.map_err(|damage| Refusal::Damaged(damage.to_string()))?;
            match &parts(&key)[2..] {
                [Part::Text(b"update"), Part::Number(number)] => {
                    if next.is_some_and(|next| next != *number) {
                        let reason = format!("updates before its update {number} are missing");
                        return Err(Refusal::Damaged(reason));
                    }
                    next = number.checked_add(1);
                    contents.updates.push(Bytes::from(value));
                }
                [Part::Text(b"meta"), Part::Text(meta)] => {
                    let meta = String::from_utf8_lossy(meta);
                    contents.besides.push(format!("the metadata {meta:?}"));
                }
                _ => contents.besides.push("an entry of an unknown kind".into()),
            }
        }
        let start = key(&["v1_sv", name]);
        let end = [&start[..], &[0]].concat();
        for entry in self.database.entries(&start, &end) {
            let (_, value) = entry.map_err(|damage| Refusal::Damaged(damage.to_string()))?;
            let decoded = state_vector(&value);
            let malformed = |_| Refusal::Damaged("its state vector is malformed".into());
            contents.state_vector = Some(decoded.map_err(malformed)?);
        }
        Ok(contents)
    }
}

/// The beginning of all keys that begin with these strings.
fn key(texts: &[&str]) -> Vec<u8> {
    let mut key = Vec::new();
    for text in texts {
        key.push(0);
        write_var(&mut key, text.len() as u64);
        key.extend_from_slice(text.as_bytes());
    }
    key
}

/// The parts of a key, up to one that is malformed.
fn parts(key: &[u8]) -> Vec<Part<'_>> {
    let mut reader = Reader::new(key);
    let mut parts = Vec::new();
    while !reader.rest().is_empty() {
        let part = match reader.byte() {
            Ok(0) => reader.var_bytes().map(Part::Text).ok(),
            Ok(1) => number(&mut reader).map(Part::Number),
            _ => None,
        };
        match part {
            Some(part) => parts.push(part),
            None => break,
        }
    }
    parts
}

fn number(reader: &mut Reader<'_>) -> Option<u32> {
    let bytes = reader.take(4).ok()?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}

/// The document that an entry is of.
fn name_in(key: &[u8]) -> Name {
    let unreadable = |reason| {
        let shown = String::from_utf8_lossy(key).into_owned();
        Name::Unreadable(shown, reason)
    };
    match parts(key).as_slice() {
        [Part::Text(b"v1" | b"v1_sv"), Part::Text(name), ..] => match str::from_utf8(name) {
            Ok(name) => Name::Is(name.to_owned()),
            Err(_) => unreadable("its name is not UTF-8"),
        },
        _ => unreadable("it is no entry of y-leveldb"),
    }
}

/// The state vector in the value of a `v1_sv`.
fn state_vector(value: &[u8]) -> Result<StateVector, Malformed> {
    let mut reader = Reader::new(value);
    reader.var(u64::from(u32::MAX))?;
    let state_vector = StateVector::decode(reader.var_bytes()?)?;
    reader.finish()?;
    Ok(state_vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_y_leveldb_writes_them() {
        // Recorded from y-leveldb 0.1: ["v1", "doc", "update", 258].
        let update = [
            &[0, 2][..],
            b"v1",
            &[0, 3],
            b"doc",
            &[0, 6],
            b"update",
            &[1, 0, 0, 1, 2],
        ]
        .concat();
        assert!(update.starts_with(&key(&["v1", "doc"])));
        assert!(update < [&key(&["v1", "doc"])[..], &[2]].concat());
        let expected = [
            Part::Text(b"v1"),
            Part::Text(b"doc"),
            Part::Text(b"update"),
            Part::Number(258),
        ];
        assert_eq!(parts(&update), expected);
        assert_eq!(name_in(&update), Name::Is("doc".into()));
        assert_eq!(name_in(&key(&["v1_sv", "é"])), Name::Is("é".into()));
        assert!(matches!(name_in(b"else"), Name::Unreadable(..)));
        assert!(matches!(
            name_in(&[0, 2, b'v', b'1', 0, 1, 0xff]),
            Name::Unreadable(..)
        ));
    }

    #[test]
    fn a_state_vector_stands_behind_a_number() {
        let read = state_vector(&[5, 3, 1, 7, 9]).expect("a state vector");
        assert_eq!(read.clock(7), 9);
        assert!(state_vector(&[5, 3, 1, 7]).is_err());
    }
}
