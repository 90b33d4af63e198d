//! What a document holds, by client: how far, in which types, in how many pieces, and what of it is deleted.
//!
//! yrs offers no way from an element to its parent that is not a walk over its
//! siblings, finds nothing at all for what it collected, and tells nothing of
//! what an update will cost. So what has to be known of elements before an
//! update is integrated is kept here: one entry for each stretch of a client's
//! clocks that lies in one parent, and one for each place where somebody began
//! to write.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::ranges::Ranges;
use super::update::Id;
use crate::ClientId;

/// A type, or one key of a type, that holds elements; an index into the parents of [`Known`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parent(pub(super) u32);

/// The parent of what was collected before it could be seen where it stood.
pub(super) const COLLECTED: Parent = Parent(0);

/// What identifies a parent: the type that an element is, or a root by its
/// name; and the key within it, if it is a map. Names are given by their hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ParentKey {
    pub(super) within: Option<Id>,
    pub(super) names: u64,
}

/// What elements a parent holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// A row of them.
    #[default]
    Row,
    /// One after the other, of which the last counts: it is a key of a map.
    Key,
}

/// What is known of a parent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ParentFacts {
    /// The type, if it is no root.
    pub(super) within: Option<Id>,
    /// How many types lie above what it holds, minus one.
    pub(super) depth: u8,
    pub(super) shape: Shape,
    /// How many pieces were put into it.
    pub(super) pieces: u32,
    /// How many of them at its very beginning.
    pub(super) firsts: u32,
}

/// The clocks, places and deletions of all clients.
#[derive(Debug)]
pub(super) struct Known {
    clients: HashMap<ClientId, Client, RandomState>,
    pub(super) parents: Vec<ParentFacts>,
    pub(super) parent_of: HashMap<ParentKey, Parent, RandomState>,
    /// Hashes of the elements behind which somebody began a piece.
    left_origins: HashSet<u64, Hashed>,
    /// What clients deleted; what was deleted with its parent or replaced in a map is not here.
    deleted: Ranges,
    pieces: usize,
}

/// A piece: the elements from `clock` to the next one. All have the same right origin, and each
/// has the one before it as its left origin.
#[derive(Clone, Copy, Debug)]
struct Start {
    clock: u32,
    left: Neighbour,
    right: Neighbour,
}

/// The neighbours that an element had when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origins {
    pub(super) left: Option<Id>,
    pub(super) right: Option<Id>,
}

/// An `Option<Id>` in half the memory: the halves of the client and the clock.
#[derive(Clone, Copy, Debug)]
struct Neighbour([u32; 3]);

impl Neighbour {
    /// No client has such an id: they end at 2^53.
    const NONE: Self = Self([u32::MAX; 3]);
}

impl From<Option<Id>> for Neighbour {
    fn from(id: Option<Id>) -> Self {
        let of = |Id { client, clock }| Self([(client >> 32) as u32, client as u32, clock]);
        id.map_or(Self::NONE, of)
    }
}

impl From<Neighbour> for Option<Id> {
    fn from(Neighbour([high, low, clock]): Neighbour) -> Self {
        let client = u64::from(high) << 32 | u64::from(low);
        (high != u32::MAX).then_some(Id { client, clock })
    }
}

#[derive(Debug, Default)]
struct Client {
    clock: u32,
    /// From this clock on, elements are in this parent; rising.
    places: SmallVec<[(u32, Parent); 1]>,
    /// The clocks at which a piece begins that does not continue the one before it; rising.
    starts: SmallVec<[Start; 1]>,
    /// How many pieces its elements have been cut into, at most.
    pieces: u32,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            clients: HashMap::default(),
            parents: vec![ParentFacts::default()],
            parent_of: HashMap::default(),
            left_origins: HashSet::default(),
            deleted: Ranges::default(),
            pieces: 0,
        }
    }
}

impl Client {
    /// How many pieces begin at `clock` or before it.
    fn after(&self, clock: u32) -> usize {
        self.starts.partition_point(|start| start.clock <= clock)
    }

    fn start(&self, clock: u32) -> Option<Start> {
        // Most of what is asked for was written last.
        match self.starts.last() {
            Some(last) if last.clock <= clock => Some(*last),
            _ => Some(self.starts[self.after(clock).checked_sub(1)?]),
        }
    }
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

    /// How many clients there are.
    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many parents there are.
    pub(super) fn parents(&self) -> usize {
        self.parents.len()
    }

    /// How many pieces the elements have been cut into, at most.
    pub(super) fn pieces(&self) -> usize {
        self.pieces
    }

    /// How many pieces the elements of `client` have been cut into, at most.
    pub(super) fn pieces_of(&self, client: ClientId) -> u32 {
        self.clients.get(&client).map_or(0, |known| known.pieces)
    }

    /// The elements that clients deleted.
    pub(super) fn deleted(&self) -> &Ranges {
        &self.deleted
    }

    /// Notes that `deletes`, which were not known, are deleted.
    pub(super) fn delete(&mut self, deletes: impl IntoIterator<Item = (ClientId, Range<u32>)>) {
        for (client, range) in deletes {
            self.pieces += 2;
            self.clients.entry(client).or_default().pieces += 2;
            self.deleted.add(client, range);
        }
    }

    /// Raises the clock of `client`.
    pub(super) fn advance(&mut self, client: ClientId, clock: u32) {
        let known = self.clients.entry(client).or_default();
        known.clock = known.clock.max(clock);
    }

    /// Makes a parent known: the next one.
    pub(super) fn add_parent(&mut self, key: ParentKey, facts: ParentFacts) {
        let parent = Parent(self.parents.len() as u32);
        self.parent_of.insert(key, parent);
        self.parents.push(facts);
    }

    /// Notes that the elements from `id` on stand in `parent`.
    pub(super) fn add_place(&mut self, id: Id, parent: Parent) {
        let client = self.clients.entry(id.client).or_default();
        client.places.push((id.clock, parent));
    }

    /// Notes that a piece begins at `id`.
    pub(super) fn add_piece(&mut self, id: Id, parent: Parent, origins: Origins) {
        let client = self.clients.entry(id.client).or_default();
        client.starts.push(Start {
            clock: id.clock,
            left: origins.left.into(),
            right: origins.right.into(),
        });
        client.pieces += 1;
        self.pieces += 1;
        let facts = &mut self.parents[parent.0 as usize];
        facts.pieces += 1;
        match origins.left {
            Some(left) => drop(self.left_origins.insert(hash(left))),
            None => facts.firsts += 1,
        }
    }

    /// The piece that holds the element `id`, as the clocks of its beginning and its end.
    pub(super) fn piece(&self, id: Id) -> (u32, u32) {
        let Some(known) = self.clients.get(&id.client) else {
            return (id.clock, id.clock + 1);
        };
        let after = known.after(id.clock);
        let start = after.checked_sub(1).map_or(0, |at| known.starts[at].clock);
        let end = known
            .starts
            .get(after)
            .map_or(known.clock, |next| next.clock);
        let (from, to) = self.deleted.around(id.client, id.clock);
        if from > id.clock {
            // It is deleted, and what is deleted is never cut.
            return (id.clock, from);
        }
        (start.max(from), end.min(to).max(id.clock + 1))
    }

    pub(super) fn parent(&self, id: Id) -> Parent {
        let Some(known) = self.clients.get(&id.client) else {
            return COLLECTED;
        };
        match known.places.last() {
            None => COLLECTED,
            Some((from, parent)) if *from <= id.clock => *parent,
            Some(_) => {
                let after = known.places.partition_point(|(from, _)| *from <= id.clock);
                after
                    .checked_sub(1)
                    .map_or(COLLECTED, |at| known.places[at].1)
            }
        }
    }

    /// Whether somebody began a piece behind the element `id`.
    pub(super) fn is_left_origin(&self, id: Id) -> bool {
        self.left_origins.contains(&hash(id))
    }

    /// Whether a piece begins at the element `id`.
    pub(super) fn starts(&self, id: Id) -> bool {
        self.clients
            .get(&id.client)
            .is_some_and(|known| known.start(id.clock).is_some_and(|at| at.clock == id.clock))
    }

    /// Where the piece begins that holds the element `id`, and with which origins; `None` if
    /// that is forgotten.
    pub(super) fn begun(&self, id: Id) -> Option<(u32, Origins)> {
        let start = self.clients.get(&id.client)?.start(id.clock)?;
        let origins = Origins {
            left: start.left.into(),
            right: start.right.into(),
        };
        Some((start.clock, origins))
    }
}

fn hash(id: Id) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    KEY.hash_one((id.client, id.clock))
}

/// Takes what is a hash already as it is.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed(u64);

impl BuildHasher for Hashed {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
