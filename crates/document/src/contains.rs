//! Whether a document has all that another one has, element by element.
//!
//! This is how a copy is verified: state vectors alone tell neither what an element is nor
//! whether it is deleted.

use std::collections::HashMap;

use super::compare::agree;
use super::ranges::Ranges;
use super::update::{Block, Part, SKIP, read};
use super::{ClientId, Document, Panicked};

/// The first thing that a document lacks of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// Elements of the client are missing from this clock on.
    #[error("elements of the client {client} are missing from clock {clock} on")]
    Elements {
        /// The client.
        client: ClientId,
        /// The first clock.
        clock: u32,
    },
    /// Elements have another place or another content.
    #[error("elements of the client {client} are different from clock {clock} on")]
    Different {
        /// The client.
        client: ClientId,
        /// The first clock of the item.
        clock: u32,
    },
    /// Elements are not deleted here that are deleted there.
    #[error("a deletion of elements of the client {client} is missing from clock {clock} on")]
    Deletion {
        /// The client.
        client: ClientId,
        /// The first clock.
        clock: u32,
    },
}

/// The blocks of an update by their client, rising, and its deletions.
#[derive(Default)]
struct Elements<'a> {
    blocks: HashMap<ClientId, Vec<Block<'a>>>,
    deleted: Ranges,
}

impl Document {
    /// The first thing of `other` that this document lacks; `None` if it has all of it, pending
    /// elements included, with the same places and the same content. It may have more.
    ///
    /// An element whose content one of them no longer has is compared by its id alone. It takes
    /// about as long as [`encode`](Self::encode) of both.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn lack_of(&self, other: &Document) -> Result<Option<Lack>, Panicked> {
        let (ours, theirs) = (self.encode()?, other.encode()?);
        let (ours, theirs) = (Elements::of(&ours)?, Elements::of(&theirs)?);
        Ok(ours.lack_of(&theirs))
    }
}

impl<'a> Elements<'a> {
    fn of(state: &'a [u8]) -> Result<Self, Panicked> {
        let mut elements = Self::default();
        let mut deleting = 0;
        let whole = read(state, |part| {
            match part {
                Part::Block(block) if block.info != SKIP => {
                    let of_client = elements.blocks.entry(block.id.client).or_default();
                    of_client.push(block);
                }
                Part::Deletes(client) => deleting = client,
                Part::Delete { start, end } => elements.deleted.add(deleting, start..end),
                Part::Block(_) | Part::Client(_) => {}
            }
            Ok(())
        });
        // The state was written by this crate.
        whole.map_err(|_| Panicked)?;
        for blocks in elements.blocks.values_mut() {
            blocks.sort_by_key(|block| block.id.clock);
        }
        Ok(elements)
    }

    fn lack_of(&self, other: &Elements<'_>) -> Option<Lack> {
        let lacking = other.blocks.iter().find_map(|(client, theirs)| {
            let ours = self.blocks.get(client).map_or(&[][..], Vec::as_slice);
            lacking_block(ours, theirs)
        });
        lacking.or_else(|| {
            let mut deleted = other.deleted.iter();
            let missing = deleted.find(|(client, range)| !self.deleted.covers(*client, range));
            missing.map(|(client, range)| Lack::Deletion {
                client,
                clock: range.start,
            })
        })
    }
}

/// The first of `theirs` that `ours`, the blocks of the same client, do not cover or do not agree
/// with.
fn lacking_block(ours: &[Block<'_>], theirs: &[Block<'_>]) -> Option<Lack> {
    let mut ours = ours.iter().peekable();
    for block in theirs {
        let client = block.id.client;
        let mut clock = block.id.clock;
        while clock < block.end() {
            while ours.next_if(|our| our.end() <= clock).is_some() {}
            let Some(our) = ours.peek().filter(|our| our.id.clock <= clock) else {
                return Some(Lack::Elements { client, clock });
            };
            if !agree(block, our) {
                return Some(Lack::Different { client, clock });
            }
            clock = our.end();
        }
    }
    None
}
