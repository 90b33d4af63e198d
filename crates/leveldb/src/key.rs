//! Keys as tables have them: the key of an entry, then a number that rises with each change of the database.

use super::reader::Reader;

/// What a change did to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put,
    Deletion,
}

impl Change {
    pub(crate) fn find(tag: u8) -> Option<Self> {
        match tag {
            0 => Some(Self::Deletion),
            1 => Some(Self::Put),
            _ => None,
        }
    }
}

/// The key of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternalKey {
    pub(crate) user: Vec<u8>,
    /// The number of the change: of the changes of a key, the one with the highest number counts.
    pub(crate) number: u64,
    pub(crate) change: Change,
}

impl InternalKey {
    /// `None` if `bytes` are none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (user, tag) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
        let tag = Reader(tag).u64()?;
        Some(Self {
            user: user.to_vec(),
            number: tag >> 8,
            change: Change::find((tag & 0xff) as u8)?,
        })
    }
}
