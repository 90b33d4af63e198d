//! The collaborative document: a Yjs replica without any I/O, and its protection.
//!
//! This crate alone uses yrs, and within it `replica` alone. Bytes from
//! outside go through [`validate()`], [`Document::prepare`] and [`Document::apply`];
//! together they promise that
//! - nothing aborts the process, and a panic of yrs ends one document at most;
//! - a refused update leaves the document as it was;
//! - an update is cut to its new part: the bytes that are applied are those that are relayed
//!   and written, and no element is ever brought twice;
//! - the cost of an update is known before it is paid, and bounded;
//! - types never nest deeper than [`DEPTH_MAX`], so that recursion over a document fits any
//!   stack;
//! - yrs never holds anything pending: blocks whose dependencies are missing are kept here, as
//!   bytes, and counted.
//!
//! The document also makes edits of its own ([`edit`]): they are updates like any client's.
//!
//! # Words
//! They are those of Yjs, and each stands for one thing.
//!
//! | word | meaning |
//! |---|---|
//! | element | the smallest part of a document that has an id: a UTF-16 unit of a text, a value, a type, a mark of formatting |
//! | client id, clock | the two numbers that make an element's id; a client's elements have the clocks 0, 1, 2… |
//! | clock of a client | how many of its elements a document has |
//! | state vector | the clocks of all clients |
//! | block | elements of one client in an update that were made together; Yjs calls it a struct |
//! | item | elements of one client that stand side by side in a document; it is split where something is inserted or deleted |
//! | left origin, right origin | the neighbours of an element when it was made |
//! | type, root | a text, array, map or XML node; a root is found by its name, any other is an element |
//! | parent | the list of a type, or one key of it, in which items stand |
//! | deletion | a range of a client's clocks whose elements are deleted |
//! | collected | of an element: nothing is left but its id; Yjs calls it GC |
//! | update | blocks and deletions, as bytes in encoding v1 |
//! | dependency | an element that a block refers to: its neighbours, its parent, the one before it |
//! | pending | of a block or a deletion: accepted, but a dependency of it is missing |
//! | to integrate | to take blocks and deletions into the document |
//! | to cut | to take those parts out of an update that are not to be integrated now |

use std::time::Duration;

use self::clocks::Clocks;
use self::pending::Pending;
use self::replica::Replica;
use self::staged::{Source, Unplaceable};

mod ambiguity;
mod anchor;
pub mod awareness;
mod by_element;
mod clocks;
mod compare;
mod contains;
mod cost;
mod cut;
mod deletions;
pub mod edit;
mod integrate;
pub mod lib0;
mod merge;
mod parts;
mod pending;
mod prepare;
mod ranges;
mod replica;
mod split;
mod staged;
mod state_vector;
mod update;
mod validate;

pub use self::anchor::{Anchor, RelativePosition};
pub use self::contains::Lack;
pub use self::deletions::DeletionsHash;
pub use self::lib0::Malformed;
pub use self::merge::{Unmergeable, deletes, merge};
pub use self::prepare::Prepared;
pub use self::replica::Panicked;
pub use self::split::split;
pub use self::staged::DEPTH_MAX;
pub use self::state_vector::StateVector;
pub use self::validate::{Advance, Checked, validate};

/// A Yjs client id: up to 53 bits.
pub type ClientId = u64;

/// How much of updates may be pending in a document.
#[derive(Clone, Copy, Debug)]
pub struct PendingLimits {
    /// How many updates, each in part or as a whole.
    pub updates_max: usize,
    /// How many bytes in all.
    pub bytes_max: usize,
}

/// The result of applying an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// What the document took in: to be relayed, and to be written.
    pub integrated: Integrated,
    /// The part of the update that is pending, as an update: to be written, and relayed to
    /// nobody. Two replicas that keep different blocks pending would differ.
    pub pending: Option<Vec<u8>>,
    /// Whether everybody sees all of the update.
    pub visibility: Visibility,
}

/// What the document took in with an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Integrated {
    /// Nothing.
    #[default]
    Nothing,
    /// The update itself, byte for byte.
    Whole,
    /// This part of it, as an update.
    Part(Vec<u8>),
    /// This update: a part or all of it, with blocks and deletions that had been pending for
    /// that.
    WithPending(Vec<u8>),
}

/// Whether everybody sees all of an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// All of it is in the document.
    #[default]
    Visible,
    /// A part of it is pending, or was left out because only the owner of its client id may
    /// bring it.
    Pending,
}

/// Why an update was not applied. After any but `Panicked` the document is as it was.
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
    DifferentParents,
    /// An element claims neighbours between which it has no place that is the same in every replica.
    #[error("an element has no place between its neighbours")]
    AmbiguousPlace,
    /// It brings other content for elements that the document has.
    #[error("known clocks came with other content")]
    Contradiction,
    /// Integrating it would take too long.
    #[error("the update takes too long to integrate")]
    TooCostly,
    /// A part of it would be pending, beyond the [`PendingLimits`].
    #[error("too many updates are pending")]
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
            Unplaceable::Ambiguous => ApplyError::AmbiguousPlace,
            Unplaceable::TooManySteps => ApplyError::TooCostly,
            Unplaceable::DifferentParents | Unplaceable::Collected => ApplyError::DifferentParents,
        }
    }
}

/// A Yjs document.
#[derive(Debug)]
pub struct Document {
    replica: Replica,
    clocks: Clocks,
    pending: Pending,
    limits: PendingLimits,
    /// How many updates have been pending so far, in part or as a whole.
    pending_count: u64,
    /// How long those updates took to integrate that take as long again at each opening.
    recurring_spent: Duration,
    /// The bytes of all updates that were integrated.
    content_bytes: usize,
}

/// The memory that one item takes besides its content, in bytes: measured.
const ITEM_BYTES: usize = 220;
/// The memory that one type takes, or one key of a map.
const PARENT_BYTES: usize = 600;
/// The memory that one client takes.
const CLIENT_BYTES: usize = 600;
/// The memory that one pending byte takes.
const PENDING_FACTOR: usize = 24;

impl Document {
    /// An empty document.
    pub fn new(limits: PendingLimits) -> Self {
        Self {
            replica: Replica::new(),
            clocks: Clocks::default(),
            pending: Pending::default(),
            limits,
            pending_count: 0,
            recurring_spent: Duration::ZERO,
            content_bytes: 0,
        }
    }

    /// Finds out what of an update from a client can be integrated. `checked` is the result of
    /// [`validate()`] for `bytes`; `allowed` gives the clock up to which the client may bring
    /// elements of a client id: later ones are cut out.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub fn prepare(
        &self,
        bytes: &[u8],
        checked: &Checked,
        allowed: impl Fn(ClientId) -> u32,
    ) -> Result<Prepared, ApplyError> {
        if self.replica.is_broken() {
            return Err(ApplyError::Panicked);
        }
        match self.prepare_whole(bytes, checked, &allowed) {
            Some(prepared) => Ok(prepared),
            None => self.prepare_cut(bytes, Source::Client, allowed),
        }
    }

    /// Integrates an update that was prepared: `prepared` is what [`prepare`](Self::prepare)
    /// gave for `bytes`, and the document has not changed since.
    ///
    /// # Errors
    /// `Undecodable`, `TooCostly` and `Panicked`. After the last every method answers that.
    pub fn apply(&mut self, bytes: &[u8], prepared: Prepared) -> Result<Applied, ApplyError> {
        self.commit(bytes, prepared, Source::Client)
    }

    /// Applies an update that was accepted before: of the log, of a snapshot,
    /// of another instance. [`PendingLimits`] and costs do not bind it, and elements that would
    /// lie too deep stay pending for ever instead of being refused, so that nothing accepted is
    /// lost.
    ///
    /// # Errors
    /// `Undecodable` and `Panicked`.
    pub fn restore(&mut self, bytes: &[u8], checked: &Checked) -> Result<Applied, ApplyError> {
        if self.replica.is_broken() {
            return Err(ApplyError::Panicked);
        }
        let prepared = match self.prepare_whole(bytes, checked, &|_| u32::MAX) {
            Some(prepared) => prepared,
            None => self.prepare_cut(bytes, Source::Log, |_| u32::MAX)?,
        };
        self.commit(bytes, prepared, Source::Log)
    }

    /// The state vector, in encoding v1. Pending elements do not count.
    pub fn state_vector(&self) -> Vec<u8> {
        StateVector::from_iter(self.clocks.iter()).encode()
    }

    /// All clients with their clocks, in no particular order. Pending elements do not count.
    pub fn clocks(&self) -> impl Iterator<Item = (ClientId, u32)> {
        self.clocks.iter()
    }

    /// The clock after the last element of `client`; 0 for an unknown one.
    pub fn clock(&self, client: ClientId) -> u32 {
        self.clocks.clock(client)
    }

    /// Whether any block or deletion is pending.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// About how much memory the document takes, in bytes. An upper bound for what people
    /// write; it does not shrink when content is deleted.
    pub fn memory_bytes(&self) -> usize {
        self.content_bytes
            + self.clocks.items() * ITEM_BYTES
            + self.clocks.parents() * PARENT_BYTES
            + self.clocks.clients() * CLIENT_BYTES
            + self.pending.bytes() * PENDING_FACTOR
    }

    /// An update, in encoding v1, of all that the document has and a replica at
    /// `from` lacks. It has every deletion, as Yjs's has, and nothing that is pending.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn diff(&self, from: &StateVector) -> Result<Vec<u8>, Panicked> {
        self.replica.diff(from)
    }

    /// The whole document as one update, in encoding v1, with all that is pending:
    /// the form that a store has to keep.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn encode(&self) -> Result<Vec<u8>, Panicked> {
        let state = self.diff(&StateVector::default())?;
        if self.pending.is_empty() {
            return Ok(state);
        }
        let mut deletes = vec![0];
        self.pending.deletes().write(&mut deletes);
        let updates: Vec<_> = std::iter::once(state.as_slice())
            .chain(self.pending.updates())
            .chain(std::iter::once(deletes.as_slice()))
            .collect();
        // yrs wrote the first one, `validate` accepted the others, and no pending element is in
        // the document: if they cannot be merged, something is as wrong as after a panic.
        merge(&updates).map_err(|_| Panicked)
    }
}

#[cfg(test)]
mod tests;
