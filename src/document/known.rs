//! What a document holds, by client: how far, and how deep.
//!
//! The depth of an element is the number of nested types above it. yrs offers
//! no way from an element to its parent that is not a walk over its siblings,
//! and finds nothing at all for what it collected; so depths are kept here, one
//! entry for each stretch of a client's clocks. Text in a root type needs none.

use std::collections::{BTreeMap, HashMap};

use super::update::{Id, Place, Run};
use crate::id::ClientId;

/// How deep types may nest. Whatever walks a document recurses this deep at most.
pub const DEPTH_MAX: u8 = 128;

/// An element would lie deeper than [`DEPTH_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

/// The clocks and depths of all clients.
#[derive(Debug, Default)]
pub(super) struct Known {
    clients: HashMap<ClientId, Client>,
}

#[derive(Debug, Default)]
struct Client {
    clock: u32,
    /// From this clock on, elements are this deep; rising, 0 before the first.
    depths: Vec<(u32, u8)>,
}

/// Depths of elements that are about to become known.
#[derive(Debug, Default)]
pub(super) struct Staged {
    depths: BTreeMap<Id, u8>,
}

impl Known {
    /// The clock after the last element of `client`; 0 for an unknown one.
    pub(super) fn clock(&self, client: ClientId) -> u32 {
        self.clients.get(&client).map_or(0, |known| known.clock)
    }

    /// All clients with their clocks, in no particular order.
    pub(super) fn clocks(&self) -> impl Iterator<Item = (ClientId, u32)> {
        self.clients
            .iter()
            .map(|(client, known)| (*client, known.clock))
    }

    /// Raises the clock of `client`.
    pub(super) fn advance(&mut self, client: ClientId, clock: u32) {
        let known = self.clients.entry(client).or_default();
        known.clock = known.clock.max(clock);
    }

    /// Makes `staged` known.
    pub(super) fn keep(&mut self, staged: Staged) {
        for (id, depth) in staged.depths {
            self.clients
                .entry(id.client)
                .or_default()
                .depths
                .push((id.clock, depth));
        }
    }

    fn depth(&self, id: Id) -> u8 {
        let Some(known) = self.clients.get(&id.client) else {
            return 0;
        };
        match known.depths.last() {
            None => 0,
            Some((from, depth)) if *from <= id.clock => *depth,
            Some(_) => {
                let after = known.depths.partition_point(|(from, _)| *from <= id.clock);
                after.checked_sub(1).map_or(0, |at| known.depths[at].1)
            }
        }
    }
}

impl Staged {
    /// Notes the depth of what follows `run.id`. What the place refers to must
    /// be known or staged already.
    ///
    /// # Errors
    /// [`TooDeep`]; nothing has been noted then.
    pub(super) fn note(&mut self, known: &Known, run: Run) -> Result<(), TooDeep> {
        let depth = match run.place {
            Place::Root => 0,
            Place::Inside(parent) => self.depth(known, parent).saturating_add(1),
            // Neighbours share their parent. Of a collected one the depth may
            // be forgotten, and bytes from outside may lie: the deeper counts.
            Place::Beside(id, None) => self.depth(known, id),
            Place::Beside(id, Some(other)) => self.depth(known, id).max(self.depth(known, other)),
        };
        if depth > DEPTH_MAX {
            return Err(TooDeep);
        }
        let Id { client, clock } = run.id;
        let id = Id {
            client,
            clock: clock.max(known.clock(client)),
        };
        if self.depth(known, id) != depth {
            self.depths.insert(id, depth);
        }
        Ok(())
    }

    fn depth(&self, known: &Known, id: Id) -> u8 {
        let first = Id {
            client: id.client,
            clock: 0,
        };
        match self.depths.range(first..=id).next_back() {
            Some((_, depth)) => *depth,
            None => known.depth(id),
        }
    }
}
