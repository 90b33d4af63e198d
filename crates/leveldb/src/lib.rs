//! Reads a folder that LevelDB has written, without changing a byte of it.
//!
//! It is for moving data out of a store: an entry is read, or its damage is reported. The libraries
//! that open a LevelDB folder for reading and writing first compact it, which changes it, and then skip blocks
//! that fail their checksum, which loses their entries without a word.
//!
//! ```text
//! Database   an opened folder: the list of its tables, and the entries of its logs
//! Entries    the entries of a range of keys, in their order, or the damage in their place
//! ```
//! In memory are the entries of the logs (by default at most 4 MiB each), the ranges of the tables, and for
//! each range that is read one block and one index of each table that it meets.
//!
//! The format is described in `doc/table_format.md`, `doc/log_format.md` and `doc/impl.md` of
//! <https://github.com/google/leveldb>.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, fcntl_lock};

mod entries;
mod key;
mod logs;
mod manifest;
mod reader;
mod records;
mod table;

pub use self::entries::Entries;

use self::{logs::Memory, manifest::TableFile};

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is no folder of LevelDB.
    #[error("{0} is not a LevelDB folder: it has no file CURRENT")]
    NotFound(PathBuf),
    /// A program has it open, and may change it at any moment.
    #[error("{0} is in use: stop the server that writes to it")]
    InUse(PathBuf),
    /// The list of its tables cannot be read, or it was written with another order of keys.
    #[error("{file}: {reason}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A part of the folder that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct Damage {
    /// The name of the file.
    pub file: String,
    /// What is wrong.
    pub reason: String,
}

/// A folder of LevelDB, opened for reading.
///
/// While it is open, LevelDB itself cannot open the folder.
#[derive(Debug)]
pub struct Database {
    folder: PathBuf,
    tables: Vec<TableFile>,
    memory: Memory,
    damages: Vec<Damage>,
    _lock: Option<File>,
}

impl Database {
    /// Opens `folder`. Nothing in it is created or changed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let current = folder.join("CURRENT");
        let Ok(current) = fs::read_to_string(&current) else {
            return Err(OpenError::NotFound(folder.to_owned()));
        };
        let lock = lock(folder)?;
        let manifest = folder.join(current.trim_end());
        let unreadable = |reason: String| OpenError::Unreadable {
            file: manifest.clone(),
            reason,
        };
        let bytes = fs::read(&manifest).map_err(|error| unreadable(error.to_string()))?;
        let version = manifest::read(&bytes).map_err(unreadable)?;
        let mut damages = Vec::new();
        let memory = Memory::read(folder, &version, &mut damages).map_err(|error| {
            OpenError::Unreadable {
                file: folder.to_owned(),
                reason: error.to_string(),
            }
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            tables: version.into_tables(),
            memory,
            damages,
            _lock: lock,
        })
    }

    /// The damage in the logs, which hold the newest entries: which of them are lost is not known.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// The entries whose keys are `start` or behind it and before `end`.
    pub fn entries<'a>(&'a self, start: &[u8], end: &[u8]) -> Entries<'a> {
        Entries::new(&self.folder, &self.tables, &self.memory, start, end)
    }
}

/// Takes the lock that LevelDB takes, but shared; none if the folder is a copy without its lock file.
fn lock(folder: &Path) -> Result<Option<File>, OpenError> {
    let file = match File::open(folder.join("LOCK")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(OpenError::Unreadable {
                file: folder.join("LOCK"),
                reason: error.to_string(),
            });
        }
    };
    match fcntl_lock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
            Err(OpenError::InUse(folder.to_owned()))
        }
        // A file system without locks.
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
