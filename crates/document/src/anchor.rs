//! Anchors: the text that something outside of the document refers to, such as a thread of comments.
//!
//! An anchor is a pair of *relative positions* of Yjs. A relative position names an element, so
//! that it stays beside it however the document is edited. Clients send them encoded
//! (`Y.encodeRelativePosition`): the bytes are read here, within bounds, and never by yrs.

use std::time::Duration;

use cpu_time::ThreadTime;

use super::lib0::{Malformed, Reader, SAFE_INTEGER_MAX, malformed};
use super::update::Id;
use super::{ClientId, Document};

/// The kinds of the encoding.
const ELEMENT: u64 = 0;
const ROOT: u64 = 1;
const TYPE: u64 = 2;

/// The two ends of a text, as relative positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Where the text begins.
    pub start: RelativePosition,
    /// Where it ends.
    pub end: RelativePosition,
}

/// A position beside an element, or at an end of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativePosition {
    pub(super) base: Base,
    pub(super) side: Side,
}

/// What a relative position refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// An element of a list or a text.
    Element(Id),
    /// The end of a root; on the left side, its beginning.
    Root(String),
    /// The same of a type that is an element.
    Type(Id),
}

/// On which side of its base a position is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Before an element, or at the end of a type. Yjs: `assoc` is 0 or more.
    Before,
    /// Behind an element, or at the beginning of a type. Yjs: `assoc` is below 0.
    Behind,
}

/// Where a relative position is at present: an index in a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) parent: Parent,
    /// The number of visible elements before it.
    pub(super) index: u32,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    Root(String),
    Nested(Id),
}

impl RelativePosition {
    /// Decodes what `Y.encodeRelativePosition` wrote.
    ///
    /// # Errors
    /// [`Malformed`] for all other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let base = match reader.var(u64::MAX)? {
            ELEMENT => Base::Element(read_id(&mut reader)?),
            ROOT => Base::Root(reader.var_string()?.to_owned()),
            TYPE => Base::Type(read_id(&mut reader)?),
            _ => return malformed("not a relative position"),
        };
        // Older versions of Yjs write no side.
        let is_behind = !reader.rest().is_empty() && reader.is_negative()?;
        let side = match is_behind {
            true => Side::Behind,
            false => Side::Before,
        };
        reader.finish()?;
        Ok(Self { base, side })
    }

    /// The element that it refers to.
    fn element(&self) -> Option<Id> {
        match &self.base {
            Base::Element(id) | Base::Type(id) => Some(*id),
            Base::Root(_) => None,
        }
    }
}

fn read_id(reader: &mut Reader<'_>) -> Result<Id, Malformed> {
    let client: ClientId = reader.var(SAFE_INTEGER_MAX)?;
    let clock = reader.var(u32::MAX.into())?;
    let clock = u32::try_from(clock).map_err(|_| Malformed {
        reason: "a clock is too large",
    })?;
    Ok(Id { client, clock })
}

impl Document {
    /// For each of `anchors`, in their order, whether its text is gone. It is gone when both
    /// positions are at one place, so that nothing visible is between them, or when the types of
    /// both are deleted. An anchor whose elements the document does not have (yet) is not gone. An
    /// anchor of two equal positions marks a place and not a text: it is gone with its type.
    ///
    /// A position costs a pass over the items before it in its type. Once that has taken `time` of
    /// the processor, the rest is left out, so that the result is shorter than `anchors`; it has at
    /// least one value.
    pub fn are_gone(&self, anchors: &[Anchor], time: Duration) -> Vec<bool> {
        let began = ThreadTime::now();
        let mut gone = Vec::with_capacity(anchors.len());
        for anchor in anchors {
            if !gone.is_empty() && began.elapsed() > time {
                break;
            }
            gone.push(self.is_gone(anchor));
        }
        gone
    }

    fn is_gone(&self, Anchor { start, end }: &Anchor) -> bool {
        let is_known = |position: &RelativePosition| {
            let element = position.element();
            element.is_none_or(|id| id.clock < self.clock(id.client))
        };
        if !is_known(start) || !is_known(end) {
            return false;
        }
        // A position that cannot be found because of a panic counts as being there.
        let (Ok(from), Ok(to)) = (self.replica.place(start), self.replica.place(end)) else {
            return false;
        };
        match (from, to) {
            (None, None) => true,
            (Some(from), Some(to)) => from == to && start != end,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}
