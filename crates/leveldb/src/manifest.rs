//! The manifest: which tables the database consists of, and which logs are newer than these.

use std::collections::BTreeMap;

use super::{key::InternalKey, reader::Reader, records::records};

const COMPARATOR: &[u8] = b"leveldb.BytewiseComparator";

/// A table, and the first and the last key in it.
#[derive(Clone, Debug)]
pub(crate) struct TableFile {
    pub(crate) number: u64,
    pub(crate) smallest: Vec<u8>,
    pub(crate) largest: Vec<u8>,
}

/// What the manifest says in the end.
#[derive(Debug, Default)]
pub(crate) struct Version {
    tables: BTreeMap<(u64, u64), TableFile>,
    log: u64,
    log_before: u64,
}

impl Version {
    /// Whether the log of this number has entries that no table has.
    pub(crate) fn needs_log(&self, number: u64) -> bool {
        number >= self.log || number == self.log_before
    }

    pub(crate) fn into_tables(self) -> Vec<TableFile> {
        self.tables.into_values().collect()
    }

    /// Applies one record; `None` if it is malformed.
    fn apply(&mut self, record: &[u8]) -> Option<Result<(), String>> {
        let mut rest = Reader(record);
        while !rest.0.is_empty() {
            match rest.varint()? {
                1 => {
                    let name = rest.string()?;
                    if name != COMPARATOR {
                        let name = String::from_utf8_lossy(name);
                        return Some(Err(format!("its keys are in the order {name}")));
                    }
                }
                2 => self.log = rest.varint()?,
                9 => self.log_before = rest.varint()?,
                3 | 4 => {
                    rest.varint()?;
                }
                5 => {
                    rest.varint()?;
                    rest.string()?;
                }
                6 => {
                    let place = (rest.varint()?, rest.varint()?);
                    self.tables.remove(&place);
                }
                7 => {
                    let (level, number) = (rest.varint()?, rest.varint()?);
                    rest.varint()?;
                    let smallest = InternalKey::parse(rest.string()?)?.user;
                    let largest = InternalKey::parse(rest.string()?)?.user;
                    let table = TableFile {
                        number,
                        smallest,
                        largest,
                    };
                    self.tables.insert((level, number), table);
                }
                _ => return None,
            }
        }
        Some(Ok(()))
    }
}

/// Reads a manifest. The error says what is wrong.
pub(crate) fn read(file: &[u8]) -> Result<Version, String> {
    let (records, damages) = records(file);
    if let Some(damage) = damages.into_iter().next() {
        return Err(damage);
    }
    let mut version = Version::default();
    for record in &records {
        version
            .apply(record)
            .unwrap_or_else(|| Err("a record is malformed".into()))?;
    }
    match records.is_empty() {
        true => Err("it is empty".into()),
        false => Ok(version),
    }
}
