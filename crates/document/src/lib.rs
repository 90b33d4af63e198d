//! The collaborative document: a Yjs replica without any I/O, and what guards it.
//!
//! This crate alone uses yrs, and within it `replica` alone. Bytes from
//! outside go through [`validate()`], [`Document::prepare`] and [`Document::apply`];
//! together they promise that
//! - nothing aborts the process, and a panic of yrs ends one document at most;
//! - a refused update leaves the document as it was;
//! - an update is cut to its news: what is applied, what others are to be told
//!   and what is to be written are the same bytes, and no element is ever brought twice;
//! - what an update may cost is known before it is paid, and bounded;
//! - types never nest deeper than [`DEPTH_MAX`], so that what recurses over a
//!   document fits any stack;
//! - yrs never holds anything pending: what depends on something missing is
//!   held here, as bytes, and counted.
//!
//! The document also makes edits of its own ([`edit`]): they are updates like any other's.

use std::time::Duration;

use self::held::Held;
use self::known::Known;
use self::replica::Replica;
use self::staged::{Source, Unplaceable};

pub mod awareness;
mod compare;
mod cost;
mod crossing;
pub mod edit;
mod held;
mod integrate;
mod known;
pub mod lib0;
mod merge;
mod plan;
mod prepare;
mod ranges;
mod replica;
mod split;
mod staged;
mod state_vector;
mod steps;
mod update;
mod validate;

pub use self::lib0::Malformed;
pub use self::merge::{Unmergeable, merge};
pub use self::prepare::Prepared;
pub use self::replica::Panicked;
pub use self::split::split;
pub use self::staged::DEPTH_MAX;
pub use self::state_vector::StateVector;
pub use self::validate::{Advance, Checked, validate};

/// A Yjs client id: up to 53 bits.
pub type ClientId = u64;

/// How much a document holds of updates whose dependencies are missing.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// How many updates.
    pub pending_updates_max: usize,
    /// How many bytes in all.
    pub pending_bytes_max: usize,
}

/// What an update did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// What came into the document with it: to be told to others, and to be written.
    pub integrated: Integrated,
    /// What of it waits for something missing, as an update: to be written, and told to
    /// nobody. Two replicas that hold different things for one another would differ.
    pub held: Option<Vec<u8>>,
    /// Whether everybody sees all of it.
    pub visibility: Visibility,
}

/// What came into the document with an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Integrated {
    /// Nothing.
    #[default]
    Nothing,
    /// Just the update, byte for byte.
    Whole,
    /// This part of it, as an update.
    Part(Vec<u8>),
    /// This update: a part or all of it, and what had waited for that.
    More(Vec<u8>),
}

/// Whether everybody sees all of an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// All of it is in the document.
    #[default]
    Visible,
    /// Some of it waits for something missing, or was left out because only its
    /// owner may bring it.
    Pending,
}

/// Why an update was not applied. But for `Panicked` the document is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It passed the check, but yrs cannot decode it.
    #[error("the update cannot be decoded")]
    Undecodable,
    /// Types would nest deeper than [`DEPTH_MAX`].
    #[error("types nest deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// An element claims neighbours that are in different types.
    #[error("the neighbours of an element are in different types")]
    Torn,
    /// An element claims neighbours between which it has no place that is the same in every replica.
    #[error("an element has no place between its neighbours")]
    Crossed,
    /// It brings other content for elements that are known.
    #[error("known clocks came with other content")]
    Contradiction,
    /// Integrating it would take too long.
    #[error("the update takes too long to integrate")]
    TooCostly,
    /// Its dependencies are missing, and as much as [`Caps`] allow is held.
    #[error("too many updates wait for missing ones")]
    PendingFull,
    /// yrs panicked: this document is unusable and has to be built anew.
    #[error("the document is broken")]
    Panicked,
}

impl From<Panicked> for ApplyError {
    fn from(_: Panicked) -> Self {
        ApplyError::Panicked
    }
}

impl From<Unplaceable> for ApplyError {
    fn from(fault: Unplaceable) -> Self {
        match fault {
            Unplaceable::TooDeep => ApplyError::TooDeep,
            Unplaceable::Crossed => ApplyError::Crossed,
            Unplaceable::TooFar => ApplyError::TooCostly,
            Unplaceable::Torn | Unplaceable::Collected => ApplyError::Torn,
        }
    }
}

/// A Yjs document.
#[derive(Debug)]
pub struct Document {
    replica: Replica,
    known: Known,
    held: Held,
    caps: Caps,
    /// Counts the updates of which something was held.
    holdings: u64,
    /// What costly updates took to integrate, over and over at each opening.
    strain: Duration,
    /// The bytes of all that was integrated.
    content_bytes: usize,
}

/// What one element takes in memory besides its content, in bytes: measured.
const PIECE_BYTES: usize = 220;
/// What one type takes, or one key of a map.
const PARENT_BYTES: usize = 600;
/// What one client takes.
const CLIENT_BYTES: usize = 600;
/// What a held byte takes.
const HELD_FACTOR: usize = 24;

impl Document {
    /// An empty document.
    pub fn new(caps: Caps) -> Self {
        Self {
            replica: Replica::new(),
            known: Known::default(),
            held: Held::default(),
            caps,
            holdings: 0,
            strain: Duration::ZERO,
            content_bytes: 0,
        }
    }

    /// Sees what can be taken in of an update from a client. `checked` is what [`validate()`]
    /// said of `bytes`; `may` tells up to which clock the client may bring elements of a
    /// client id: what is beyond is cut out.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub fn prepare(
        &self,
        bytes: &[u8],
        checked: &Checked,
        may: impl Fn(ClientId) -> u32,
    ) -> Result<Prepared, ApplyError> {
        if self.replica.is_broken() {
            return Err(ApplyError::Panicked);
        }
        match self.whole(bytes, checked, &may) {
            Some(prepared) => Ok(prepared),
            None => self.cut(bytes, Source::Client, may),
        }
    }

    /// Takes in what was prepared of `bytes` and of this document as it is.
    ///
    /// # Errors
    /// `Undecodable`, `TooCostly` and `Panicked`. After the last every method answers that.
    pub fn apply(&mut self, bytes: &[u8], prepared: Prepared) -> Result<Applied, ApplyError> {
        self.commit(bytes, prepared, Source::Client)
    }

    /// Applies an update that was accepted before: of the log, of a snapshot,
    /// of another instance. [`Caps`] and costs do not bind it, and what would lie too
    /// deep is held for ever instead of refused, so that nothing accepted is lost.
    ///
    /// # Errors
    /// `Undecodable` and `Panicked`.
    pub fn restore(&mut self, bytes: &[u8], checked: &Checked) -> Result<Applied, ApplyError> {
        if self.replica.is_broken() {
            return Err(ApplyError::Panicked);
        }
        let prepared = match self.whole(bytes, checked, &|_| u32::MAX) {
            Some(prepared) => prepared,
            None => self.cut(bytes, Source::Log, |_| u32::MAX)?,
        };
        self.commit(bytes, prepared, Source::Log)
    }

    /// The state vector, in encoding v1. What is held does not count.
    pub fn state_vector(&self) -> Vec<u8> {
        StateVector::from_iter(self.known.clocks()).encode()
    }

    /// All clients with their clocks, in no particular order. What is held does not count.
    pub fn clocks(&self) -> impl Iterator<Item = (ClientId, u32)> {
        self.known.clocks()
    }

    /// The clock after the last element of `client`; 0 for an unknown one.
    pub fn clock(&self, client: ClientId) -> u32 {
        self.known.clock(client)
    }

    /// Whether anything is held because its dependencies are missing.
    pub fn has_pending(&self) -> bool {
        !self.held.is_empty()
    }

    /// About what the document takes in memory, in bytes. An upper bound for what people
    /// write; it does not shrink when content is deleted.
    pub fn memory_bytes(&self) -> usize {
        self.content_bytes
            + self.known.pieces() * PIECE_BYTES
            + self.known.parents() * PARENT_BYTES
            + self.known.clients() * CLIENT_BYTES
            + self.held.bytes() * HELD_FACTOR
    }

    /// An update, in encoding v1, of all in the document that a replica at
    /// `from` lacks. It has every deletion, as Yjs's has, and nothing that is held.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn diff(&self, from: &StateVector) -> Result<Vec<u8>, Panicked> {
        self.replica.diff(from)
    }

    /// The whole document as one update, in encoding v1, with what is held:
    /// what a store has to keep.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn encode(&self) -> Result<Vec<u8>, Panicked> {
        let state = self.diff(&StateVector::default())?;
        if self.held.is_empty() {
            return Ok(state);
        }
        let mut deletes = vec![0];
        self.held.deletes().write(&mut deletes);
        let updates: Vec<_> = std::iter::once(state.as_slice())
            .chain(self.held.updates())
            .chain(std::iter::once(deletes.as_slice()))
            .collect();
        // yrs wrote the one and `validate` let the others in, and what is held is not
        // known: if they cannot be merged, something is as wrong as after a panic.
        merge(&updates).map_err(|_| Panicked)
    }
}

#[cfg(test)]
mod tests;
