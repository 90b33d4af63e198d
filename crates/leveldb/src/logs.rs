//! The logs: the changes that no table has yet.

use std::{collections::BTreeMap, fs, io, path::Path};

use super::{
    Damage,
    key::{Change, InternalKey},
    manifest::Version,
    reader::Reader,
    records::records,
};

/// The newest change of each key in the logs.
#[derive(Debug, Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<Vec<u8>, Newest>);

#[derive(Debug)]
pub(crate) struct Newest {
    number: u64,
    /// `None` where the key was deleted.
    value: Option<Vec<u8>>,
}

impl Newest {
    /// The change of `key`, and the value.
    pub(crate) fn of(&self, key: &[u8]) -> (InternalKey, Vec<u8>) {
        let key = InternalKey {
            user: key.to_vec(),
            number: self.number,
            change: match self.value {
                Some(_) => Change::Put,
                None => Change::Deletion,
            },
        };
        (key, self.value.clone().unwrap_or_default())
    }
}

impl Memory {
    /// Reads the logs in `folder` that `version` needs. What is damaged is left out and added to `damages`.
    pub(crate) fn read(
        folder: &Path,
        version: &Version,
        damages: &mut Vec<Damage>,
    ) -> io::Result<Self> {
        let mut logs = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let number = stem.and_then(|stem| stem.parse::<u64>().ok());
            if let Some(number) = number
                && path.extension().is_some_and(|ending| ending == "log")
                && version.needs_log(number)
            {
                logs.push((number, path));
            }
        }
        logs.sort();
        let mut memory = Self::default();
        for (_, path) in logs {
            let (records, mut reasons) = records(&fs::read(&path)?);
            for record in records {
                if memory.apply(&record).is_none() {
                    reasons.push("a record is malformed".into());
                }
            }
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            damages.extend(reasons.into_iter().map(|reason| Damage {
                file: file.clone().into_owned(),
                reason,
            }));
        }
        Ok(memory)
    }

    /// Applies a batch of changes; `None` if it is malformed.
    fn apply(&mut self, batch: &[u8]) -> Option<()> {
        let mut rest = Reader(batch);
        let first = rest.u64()?;
        let count = u64::from(rest.u32()?);
        for number in first..first.checked_add(count)? {
            let change = Change::find(rest.byte()?)?;
            let key = rest.string()?.to_vec();
            let value = match change {
                Change::Put => Some(rest.string()?.to_vec()),
                Change::Deletion => None,
            };
            self.0.insert(key, Newest { number, value });
        }
        Some(())
    }
}
