//! The store of y-sweet: a folder with a folder for each document, which holds a file `data.ysweet`.
//!
//! The file is a map of keys to values in bincode: the number of entries, then each key and each value behind its
//! length; all numbers have 8 bytes, lower ones first. The keys are those of the crate yrs-kvstore, in which `doc` is the
//! name of the one document of the file:
//!
//! | key | value |
//! |---|---|
//! | `0 0 doc 0` | the document's number, 4 bytes, higher ones first |
//! | `0 1 number 0` | its state, an update of encoding v1 |
//! | `0 1 number 1` | the state vector of the state |
//! | `0 1 number 2 count 0` | an update that is newer than the state |
//! | `0 1 number 3 key 0` | what a program has noted |

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    ImportError,
    contents::{Contents, Listed, Name},
    refusal::Refusal,
};
use document::StateVector;

const FILE: &str = "data.ysweet";
const NUMBER_OF_DOC: &[u8] = b"\0\0doc\0";

/// The folder.
pub(super) struct YSweet {
    folder: PathBuf,
}

impl YSweet {
    pub(super) fn open(folder: &Path) -> Result<Self, ImportError> {
        match folder.is_dir() {
            true => Ok(Self {
                folder: folder.to_owned(),
            }),
            false => Err(ImportError::Source(format!(
                "{} is not a folder",
                folder.display()
            ))),
        }
    }

    /// The folders within: y-sweet's names are valid names of folders.
    pub(super) fn list(&self) -> Result<Listed, ImportError> {
        let failed =
            |error: io::Error| ImportError::Source(format!("{}: {error}", self.folder.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !entry.path().is_dir() {
                continue;
            }
            names.push(match entry.file_name().into_string() {
                Ok(name) => Name::Is(name),
                Err(name) => {
                    let shown = name.to_string_lossy().into_owned();
                    Name::Unreadable(shown, "its name is not UTF-8")
                }
            });
        }
        names.sort();
        Ok(Listed {
            names,
            damages: Vec::new(),
        })
    }

    pub(super) fn read(&self, name: &str) -> Result<Contents, Refusal> {
        let path = self.folder.join(name).join(FILE);
        match fs::read(&path) {
            Ok(bytes) => contents(&bytes).map_err(|reason| Refusal::Damaged(reason.into())),
            Err(error) => Err(Refusal::Damaged(format!("{}: {error}", path.display()))),
        }
    }
}

/// The content of a file; the error says what is wrong.
fn contents(file: &[u8]) -> Result<Contents, &'static str> {
    let entries = entries(file).ok_or("its file ends too early, or has more than its entries")?;
    let number = entries.iter().find(|(key, _)| *key == NUMBER_OF_DOC);
    let Some((_, number)) = number else {
        return match entries.is_empty() {
            // Nothing was written to it yet.
            true => Ok(Contents::default()),
            false => Err("its file has no document"),
        };
    };
    let prefix = [&[0, 1], *number].concat();
    let mut contents = Contents::default();
    for (key, value) in &entries {
        let Some(rest) = key.strip_prefix(&prefix[..]) else {
            if *key != NUMBER_OF_DOC {
                contents.besides.push("another document in its file".into());
            }
            continue;
        };
        match rest {
            // The state comes before the updates, since the entries are sorted.
            [0] | [2, _, _, _, _, 0] => contents.updates.push(Bytes::copy_from_slice(value)),
            [1] => {
                let decoded = StateVector::decode(value);
                contents.state_vector = Some(decoded.map_err(|_| "its state vector is malformed")?);
            }
            [3, meta @ .., 0] => {
                let meta = String::from_utf8_lossy(meta);
                contents.besides.push(format!("the metadata {meta:?}"));
            }
            _ => return Err("its file has an entry of an unknown kind"),
        }
    }
    Ok(contents)
}

/// The entries of a map in bincode; `None` if `file` is none, or has more.
fn entries(mut file: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let count = length(&mut file)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push((string(&mut file)?, string(&mut file)?));
    }
    file.is_empty().then_some(entries)
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = length(rest)?;
    let (string, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(string)
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    usize::try_from(u64::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut file = (entries.len() as u64).to_le_bytes().to_vec();
        for string in entries.iter().flat_map(|(key, value)| [key, value]) {
            file.extend((string.len() as u64).to_le_bytes());
            file.extend(*string);
        }
        file
    }

    #[test]
    fn the_state_and_the_updates_behind_it_are_read() {
        let whole = file(&[
            (b"\0\0doc\0", &[0, 0, 0, 1]),
            (b"\0\x01\0\0\0\x01\0", b"state"),
            (b"\0\x01\0\0\0\x01\x01", &[1, 7, 9]),
            (b"\0\x01\0\0\0\x01\x02\0\0\0\x01\0", b"update"),
            (b"\0\x01\0\0\0\x01\x03note\0", b"1"),
        ]);
        let read = contents(&whole).expect("readable");
        assert_eq!(read.updates, [&b"state"[..], b"update"]);
        assert_eq!(read.state_vector.map(|of| of.clock(7)), Some(9));
        assert_eq!(read.besides, ["the metadata \"note\""]);
    }

    #[test]
    fn a_file_that_is_cut_off_or_longer_is_damaged() {
        let whole = file(&[(b"\0\0doc\0", &[0, 0, 0, 1])]);
        assert!(contents(&whole).is_ok());
        assert!(contents(&file(&[])).is_ok_and(|empty| empty.updates.is_empty()));
        for length in 0..whole.len() {
            assert!(contents(&whole[..length]).is_err(), "{length}");
        }
        assert!(contents(&[&whole[..], &[0]].concat()).is_err());
        assert!(contents(&u64::MAX.to_le_bytes()).is_err());
        assert!(contents(&file(&[(b"else", b"1")])).is_err());
    }
}
