//! The deletions of a document, and how a replica says that it has all of them.
//!
//! A state vector tells nothing about deletions, so a difference has to contain every deletion that
//! the document ever had. A replica that has the same ones says so by their hash.

use sha2::{Digest, Sha256};

use super::merge::write_update;
use super::ranges::{Ranges, write_deletes};
use super::update::{Part, read};
use super::{Document, Panicked, StateVector};

/// The hash of all deletions of a replica: the SHA-256 of the update that contains them and no
/// block. In Yjs that update is `Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc))`.
///
/// Replicas with the same hash have the same deletions. The reverse holds for replicas without
/// anything pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletionsHash([u8; DeletionsHash::BYTES]);

impl DeletionsHash {
    /// Its length, in bytes.
    pub const BYTES: usize = 32;

    /// The hash that a client sent; `None` if it has another length.
    pub fn find(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl Document {
    /// The hash of all deletions, but for pending ones. It takes about as long as a difference.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn deletions_hash(&self) -> Result<DeletionsHash, Panicked> {
        let nothing_new = self.diff(&self.clocks().collect())?;
        let (mut client, mut deletes) = (0, Vec::new());
        read(&nothing_new, |part| {
            match part {
                Part::Deletes(of) => client = of,
                Part::Delete { start, end } => deletes.push((client, start..end)),
                Part::Client(_) | Part::Block(_) => {}
            }
            Ok(())
        })
        .map_err(|_| Panicked)?;
        // yrs joins and sorts the ranges as Yjs does, but writes lower clients first.
        let mut bytes = vec![0];
        write_deletes(&deletes, &mut bytes);
        Ok(DeletionsHash(Sha256::digest(&bytes).into()))
    }

    /// As [`diff`](Self::diff), but without deletions: for a replica that has all of them.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn diff_without_deletions(&self, from: &StateVector) -> Result<Vec<u8>, Panicked> {
        let mut blocks = Vec::new();
        let is_new = |(client, clock)| clock > from.clock(client);
        let diff = match self.clocks().any(is_new) {
            true => self.diff(from)?,
            false => vec![0, 0],
        };
        read(&diff, |part| {
            if let Part::Block(block) = part {
                blocks.push(block);
            }
            Ok(())
        })
        .map_err(|_| Panicked)?;
        write_update(blocks, &Ranges::default()).map_err(|_| Panicked)
    }
}
