//! The clocks of a document's clients: with the parents of their elements, their items, and
//! their deletions.
//!
//! yrs offers no way from an element to its parent that is not a walk over its
//! siblings, finds nothing at all for a collected element, and does not tell what an update
//! will cost. So what has to be known of elements before an
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

/// The list of a type, or one key of it; an index into the parents of [`Clocks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parent(pub(super) u32);

/// The parent of elements that were collected before anybody saw where they stood.
pub(super) const COLLECTED: Parent = Parent(0);

/// What identifies a parent: the element that the type is, or the name of the root; and the key
/// in it, if it is one. Names are given by their hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ParentKey {
    pub(super) within: Option<Id>,
    pub(super) names: u64,
}

/// How a parent holds its elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// As a list.
    #[default]
    List,
    /// One after the other, of which the last counts: it is a key.
    Key,
}

/// A parent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ParentFacts {
    /// The type, if it is no root.
    pub(super) within: Option<Id>,
    /// How many types lie above its elements, minus one.
    pub(super) depth: u8,
    pub(super) shape: Shape,
    /// How many items were put into it.
    pub(super) items: u32,
    /// How many of them were put at its very beginning.
    pub(super) first_items: u32,
}

/// The clocks, parents, items and deletions of all clients.
#[derive(Debug)]
pub(super) struct Clocks {
    clients: HashMap<ClientId, Client, RandomState>,
    pub(super) parents: Vec<ParentFacts>,
    pub(super) parent_of: HashMap<ParentKey, Parent, RandomState>,
    /// Hashes of the elements that are the left origin of an item.
    left_origins: HashSet<u64, Hashed>,
    /// The deletions that updates brought; elements that were deleted with their parent, or
    /// replaced under a key, are not here.
    deleted: Ranges,
    items: usize,
}

/// The beginning of an item, which ends where the next one begins. All its elements have the
/// same right origin, and each but the first has the one before it as its left origin.
#[derive(Clone, Copy, Debug)]
struct ItemStart {
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
    parents: SmallVec<[(u32, Parent); 1]>,
    /// Where an item begins that does not continue the one before it; rising.
    starts: SmallVec<[ItemStart; 1]>,
    /// Into how many items its elements have been split, at most.
    items: u32,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            clients: HashMap::default(),
            parents: vec![ParentFacts::default()],
            parent_of: HashMap::default(),
            left_origins: HashSet::default(),
            deleted: Ranges::default(),
            items: 0,
        }
    }
}

impl Client {
    /// How many items begin at `clock` or before it.
    fn starts_up_to(&self, clock: u32) -> usize {
        self.starts.partition_point(|start| start.clock <= clock)
    }

    fn start(&self, clock: u32) -> Option<ItemStart> {
        // Most often it is the last one.
        match self.starts.last() {
            Some(last) if last.clock <= clock => Some(*last),
            _ => Some(self.starts[self.starts_up_to(clock).checked_sub(1)?]),
        }
    }
}

impl Clocks {
    /// The clock after the last element of `client`; 0 for an unknown one.
    pub(super) fn clock(&self, client: ClientId) -> u32 {
        self.clients.get(&client).map_or(0, |client| client.clock)
    }

    /// All clients with their clocks, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClientId, u32)> {
        self.clients.iter().map(|(id, client)| (*id, client.clock))
    }

    /// How many clients there are.
    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many parents there are.
    pub(super) fn parents(&self) -> usize {
        self.parents.len()
    }

    /// Into how many items the elements have been split, at most.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    /// Into how many items the elements of `client` have been split, at most.
    pub(super) fn items_of(&self, client: ClientId) -> u32 {
        self.clients.get(&client).map_or(0, |client| client.items)
    }

    /// The deletions that updates brought.
    pub(super) fn deleted(&self) -> &Ranges {
        &self.deleted
    }

    /// Adds `deletes`, which are new.
    pub(super) fn delete(&mut self, deletes: impl IntoIterator<Item = (ClientId, Range<u32>)>) {
        for (client, range) in deletes {
            self.items += 2;
            self.clients.entry(client).or_default().items += 2;
            self.deleted.add(client, range);
        }
    }

    /// Raises the clock of `client`.
    pub(super) fn advance(&mut self, client: ClientId, clock: u32) {
        let client = self.clients.entry(client).or_default();
        client.clock = client.clock.max(clock);
    }

    /// Adds a parent, which gets the next number.
    pub(super) fn add_parent(&mut self, key: ParentKey, facts: ParentFacts) {
        let parent = Parent(self.parents.len() as u32);
        self.parent_of.insert(key, parent);
        self.parents.push(facts);
    }

    /// Adds that the elements from `id` on stand in `parent`.
    pub(super) fn set_parent(&mut self, id: Id, parent: Parent) {
        let client = self.clients.entry(id.client).or_default();
        client.parents.push((id.clock, parent));
    }

    /// Adds an item that begins at `id`.
    pub(super) fn add_item(&mut self, id: Id, parent: Parent, origins: Origins) {
        let client = self.clients.entry(id.client).or_default();
        client.starts.push(ItemStart {
            clock: id.clock,
            left: origins.left.into(),
            right: origins.right.into(),
        });
        client.items += 1;
        self.items += 1;
        let facts = &mut self.parents[parent.0 as usize];
        facts.items += 1;
        match origins.left {
            Some(left) => drop(self.left_origins.insert(hash(left))),
            None => facts.first_items += 1,
        }
    }

    /// The item that holds the element `id`, as the clocks of its beginning and its end.
    pub(super) fn item_range(&self, id: Id) -> (u32, u32) {
        let Some(client) = self.clients.get(&id.client) else {
            return (id.clock, id.clock + 1);
        };
        let after = client.starts_up_to(id.clock);
        let start = after.checked_sub(1).map_or(0, |at| client.starts[at].clock);
        let end = client
            .starts
            .get(after)
            .map_or(client.clock, |next| next.clock);
        let (from, to) = self.deleted.around(id.client, id.clock);
        if from > id.clock {
            // It is deleted, and deleted items are never split.
            return (id.clock, from);
        }
        (start.max(from), end.min(to).max(id.clock + 1))
    }

    /// The parent that the element `id` stands in.
    pub(super) fn parent(&self, id: Id) -> Parent {
        let Some(client) = self.clients.get(&id.client) else {
            return COLLECTED;
        };
        match client.parents.last() {
            None => COLLECTED,
            Some((from, parent)) if *from <= id.clock => *parent,
            Some(_) => {
                let after = client
                    .parents
                    .partition_point(|(from, _)| *from <= id.clock);
                after
                    .checked_sub(1)
                    .map_or(COLLECTED, |at| client.parents[at].1)
            }
        }
    }

    /// Whether the element `id` is the left origin of an item.
    pub(super) fn is_left_origin(&self, id: Id) -> bool {
        self.left_origins.contains(&hash(id))
    }

    /// Whether an item begins at the element `id`.
    pub(super) fn is_item_start(&self, id: Id) -> bool {
        self.clients.get(&id.client).is_some_and(|client| {
            client
                .start(id.clock)
                .is_some_and(|at| at.clock == id.clock)
        })
    }

    /// The clock at which the item begins that holds the element `id`, and its origins; `None`
    /// if they are not known any more.
    pub(super) fn item(&self, id: Id) -> Option<(u32, Origins)> {
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

/// A hasher of hashes, which leaves them as they are.
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
