//! Edits that the server makes itself: to restore a version, for writers that are programs,
//! for HTTP.
//!
//! An edit is made as an update, which changes nothing by itself. It is applied like anyone
//! else's update, by [`validate()`], [`Document::prepare`] and [`Document::apply`], so that it is
//! checked, limited, written and relayed in the same way.
//!
//! Edits are not made by yrs. It can edit only a document that it then has changed, so that
//! each edit would take a copy; it shows no ids of elements, without which a restored version
//! would replace all that it has in common with the present one; and its editing panics on
//! documents that it integrated. Here the items are read from the encoded state (`integrate`,
//! `tree`), and an edit is what Yjs itself would write (`text`, `list`, `replace`).
//!
//! # Cost
//! Making an edit takes time and memory in proportion to the whole document, however small
//! the edit is: about what it takes to open the document (10 ms for one of 60,000 typed
//! characters, 60 ms for one of 20,000 characters at random places; measured). Besides that, each
//! operation passes the items that its type has before the position. So collect operations
//! into one edit. One that would pass more than some millions of items is refused.

use std::hash::{BuildHasher, RandomState};

use self::integrate::State;
use self::made::Made;
use super::lib0::{Malformed, SAFE_INTEGER_MAX};
use super::{ClientId, Document, Panicked, StateVector, validate};

mod content;
mod integrate;
mod list;
mod made;
mod operation;
mod replace;
mod text;
mod tree;

pub use self::operation::{Attributes, Content, Operation, Position, Step, Target, TextPart};

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// One of the operations cannot be done.
    #[error("operation {index}: {fault}")]
    Operation {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong.
        fault: OperationFault,
    },
    /// The client id is larger than 2^53 - 1, or there are pending updates of it.
    #[error("the client id cannot be used")]
    ClientId,
    /// The state to return to is no update.
    #[error("the state is malformed: {0}")]
    MalformedState(Malformed),
    /// The state to return to has elements that the document has not.
    #[error("the state is not an earlier one of this document")]
    NotEarlier,
    /// The edit has a part that no update may have, such as a value that nests too deep.
    #[error("the edit cannot be an update: {0}")]
    Unwritable(Malformed),
    /// Making it takes too long.
    #[error("the edit takes too long to make")]
    TooCostly,
    /// yrs panicked: the document is unusable and has to be built anew.
    #[error("the document is broken")]
    Panicked,
}

/// Why an operation cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationFault {
    /// A position is beyond the end.
    #[error("a position is out of range")]
    OutOfRange,
    /// A position is between the two units of UTF-16 of one character. Yjs would replace both by
    /// U+FFFD.
    #[error("a position is inside a character")]
    InsideCharacter,
    /// The path leads to nothing, or to something that is no type.
    #[error("there is no type at the path")]
    NoSuchType,
    /// The type is of another kind than the operation is for.
    #[error("the type is of another kind")]
    OtherKind,
    /// The content cannot be put into a type of this kind, or nests too deep.
    #[error("the content does not belong there")]
    Misplaced,
}

impl From<Panicked> for EditError {
    fn from(_: Panicked) -> Self {
        EditError::Panicked
    }
}

impl From<tree::TooCostly> for EditError {
    fn from(_: tree::TooCostly) -> Self {
        EditError::TooCostly
    }
}

impl Document {
    /// A client id for edits, at random from the 32 bits that Yjs uses, which nothing in this
    /// document has: no element, none that is pending, and no pending deletion.
    ///
    /// An id must never have two writers. An element is named by its client id and its clock;
    /// two writers that count up the same clock give one name to two elements, and each
    /// replica keeps the one that it hears of first, for ever. [`Document::prepare`] refuses the
    /// second one as a contradiction, and with it whatever else that writer does.
    pub fn draw_client_id(&self) -> ClientId {
        let state = RandomState::new();
        (0u32..)
            .map(|attempt| state.hash_one(attempt) >> 32)
            .find(|id| *id > 0 && self.clock(*id) == 0 && !self.has_pending_of(*id))
            // So many clients have no place in memory.
            .expect("a client id that is not in use")
    }

    /// Makes an edit of `operations`, in their order, under the id `client`, and returns it as
    /// an update in encoding v1. The document is not changed.
    ///
    /// `client` is [drawn](Self::draw_client_id), or an id that only this writer uses, and whose
    /// former edits have all been applied here: the edit goes on at its clock. (Each new id
    /// costs every replica some memory, for ever: a writer of many edits keeps its own.) Of two
    /// edits that were made before either was applied, only one can be.
    ///
    /// If nothing changes, it is the empty update. For the cost, see the [module](self). Whether
    /// the edit fits the limits of a document is for `prepare` and its caller to see.
    ///
    /// # Errors
    /// [`EditError`], but neither `MalformedState` nor `NotEarlier`.
    pub fn edit(&self, client: ClientId, operations: &[Operation]) -> Result<Vec<u8>, EditError> {
        self.check_client(client)?;
        let bytes = self.diff(&StateVector::default())?;
        let state = State::read(&bytes).map_err(|_| EditError::Panicked)?;
        let mut made = Made::new(state.tree(&[])?, client, self.clock(client));
        for (index, operation) in operations.iter().enumerate() {
            made.operate(index, operation)?;
        }
        finish(&made)
    }

    /// Makes an edit under the id `client` that gives the document the content that it had at
    /// `state`: an update, in encoding v1, of an earlier state of this document, as
    /// [`encode`](Self::encode) gave it. Elements that were pending then are not part of its
    /// content. The document is not changed.
    ///
    /// Elements that the two have in common stay; elements that came since are deleted; elements
    /// that were deleted since are inserted anew, with new ids, as Yjs's undo does. So others may
    /// edit meanwhile, but cursors and comments do not follow into inserted copies. Roots that
    /// the state has not are emptied, and keys that it has not are removed. Returning to the same
    /// state once more replaces such copies by new ones. For `client` and the result, see
    /// [`edit`](Self::edit).
    ///
    /// The cost is that of the document and of the state, in time and memory, and the edit may
    /// be as large as the state. Applying it may be refused as `TooCostly`, if the elements that
    /// came since lie in more than some ten thousand places.
    ///
    /// # Errors
    /// [`EditError`], but not `Operation`.
    pub fn replace_with(&self, client: ClientId, state: &[u8]) -> Result<Vec<u8>, EditError> {
        self.check_client(client)?;
        validate(state).map_err(EditError::MalformedState)?;
        let earlier = State::read(state).map_err(EditError::MalformedState)?;
        if !earlier.is_within(|client| self.clock(client)) {
            return Err(EditError::NotEarlier);
        }
        let bytes = self.diff(&StateVector::default())?;
        let present = State::read(&bytes).map_err(|_| EditError::Panicked)?;
        let mut made = Made::new(
            present.tree(&earlier.borders())?,
            client,
            self.clock(client),
        );
        made.replace_with(&earlier.tree(&present.borders())?)?;
        finish(&made)
    }

    fn check_client(&self, client: ClientId) -> Result<(), EditError> {
        match client <= SAFE_INTEGER_MAX && !self.has_pending_of(client) {
            true => Ok(()),
            false => Err(EditError::ClientId),
        }
    }

    fn has_pending_of(&self, client: ClientId) -> bool {
        let all = 0..u32::MAX;
        self.pending
            .overlapping(client, all.start, all.end)
            .next()
            .is_some()
            || self.pending.deletes().meets(client, all)
    }
}

fn finish(made: &Made<'_>) -> Result<Vec<u8>, EditError> {
    let update = made.encode();
    validate(&update).map_err(EditError::Unwritable)?;
    Ok(update)
}
