//! What a document holds, by client: how far, in which types, in how many pieces, and what of it is deleted.
//!
//! yrs offers no way from an element to its parent that is not a walk over its
//! siblings, finds nothing at all for what it collected, and tells nothing of
//! what an update will cost. So what has to be known of elements before an
//! update is integrated is kept here: one entry for each stretch of a client's
//! clocks that lies in one parent, and one for each place where somebody began
//! to write.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};

use smallvec::SmallVec;

use super::ranges::Ranges;
use super::update::{Id, Place, Run};
use crate::id::ClientId;

/// How deep types may nest. Whatever walks a document recurses this deep at most.
pub const DEPTH_MAX: u8 = 128;

/// Why an element cannot stand where it claims to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unplaceable {
    /// It would lie deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Its neighbours are in different types or under different keys of one, or it is more
    /// than one element under a key.
    Torn,
    /// One of its neighbours has been collected and the other has not: Yjs collects it too.
    Collected,
}

/// A type, or one key of a type, that holds elements; an index into the parents of [`Known`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parent(u32);

/// The parent of what was collected before it could be seen where it stood.
pub(super) const COLLECTED: Parent = Parent(0);

/// What identifies a parent: the type that an element is, or a root by its
/// name; and the key within it, if it is a map. Names are given by their hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ParentKey {
    within: Option<Id>,
    names: u64,
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

/// What is known of a place before a block is put there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    parent: Parent,
    /// The type that it is in, if that is no root.
    pub(super) within: Option<Id>,
    pub(super) shape: Shape,
}

/// What is known of a parent.
#[derive(Clone, Copy, Debug, Default)]
struct ParentFacts {
    /// The type, if it is no root.
    within: Option<Id>,
    /// How many types lie above what it holds, minus one.
    depth: u8,
    shape: Shape,
    /// How many pieces were put into it.
    pieces: u32,
    /// How many of them at its very beginning.
    firsts: u32,
}

/// The clocks, places and deletions of all clients.
#[derive(Debug)]
pub(super) struct Known {
    clients: HashMap<ClientId, Client>,
    parents: Vec<ParentFacts>,
    parent_of: HashMap<ParentKey, Parent>,
    /// Hashes of the elements behind which somebody began a piece.
    left_origins: HashSet<u64, Hashed>,
    /// What clients deleted; what was deleted with its parent or replaced in a map is not here.
    deleted: Ranges,
    pieces: usize,
}

#[derive(Debug, Default)]
struct Client {
    clock: u32,
    /// From this clock on, elements are in this parent; rising.
    places: SmallVec<[(u32, Parent); 1]>,
    /// The clocks at which a piece begins that does not continue the one before it; rising.
    starts: SmallVec<[u32; 2]>,
    /// How many pieces its elements have been cut into, at most.
    pieces: u32,
}

/// Elements that are about to become known.
#[derive(Debug, Default)]
pub(super) struct Staged {
    places: BTreeMap<Id, Parent>,
    starts: Vec<Piece>,
    /// Where these begin.
    begun: BTreeSet<Id>,
    /// Those beyond the ones that are known.
    parents: Vec<(ParentKey, ParentFacts)>,
    parent_of: HashMap<ParentKey, Parent>,
    left_origins: HashSet<Id>,
    /// The parents that get a piece at their very beginning.
    firsts: HashSet<Parent>,
}

/// A piece that begins at `id`.
#[derive(Clone, Copy, Debug)]
struct Piece {
    id: Id,
    parent: Parent,
    left: Option<Id>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            clients: HashMap::new(),
            parents: vec![ParentFacts::default()],
            parent_of: HashMap::new(),
            left_origins: HashSet::default(),
            deleted: Ranges::default(),
            pieces: 0,
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
    pub(super) fn delete(&mut self, deletes: &Ranges) {
        for (client, range) in deletes.iter() {
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

    /// Makes `staged` known.
    pub(super) fn keep(&mut self, staged: Staged) {
        for (key, facts) in staged.parents {
            self.parent_of
                .insert(key, Parent(self.parents.len() as u32));
            self.parents.push(facts);
        }
        for (id, parent) in staged.places {
            let client = self.clients.entry(id.client).or_default();
            client.places.push((id.clock, parent));
        }
        for piece in staged.starts {
            let client = self.clients.entry(piece.id.client).or_default();
            client.starts.push(piece.id.clock);
            client.pieces += 1;
            self.pieces += 1;
            let facts = &mut self.parents[piece.parent.0 as usize];
            facts.pieces += 1;
            match piece.left {
                Some(left) => drop(self.left_origins.insert(hash(left))),
                None => facts.firsts += 1,
            }
        }
    }

    /// The piece that holds the element `id`, as the clocks of its beginning and its end.
    pub(super) fn piece(&self, id: Id) -> (u32, u32) {
        let Some(known) = self.clients.get(&id.client) else {
            return (id.clock, id.clock + 1);
        };
        let after = known.starts.partition_point(|start| *start <= id.clock);
        let start = after.checked_sub(1).map_or(0, |at| known.starts[at]);
        let end = known.starts.get(after).copied().unwrap_or(known.clock);
        let (from, to) = self.deleted.around(id.client, id.clock);
        (start.max(from), end.min(to).max(id.clock + 1))
    }

    fn parent(&self, id: Id) -> Parent {
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

    /// Whether a piece begins at the element `id`.
    fn starts(&self, id: Id) -> bool {
        self.clients
            .get(&id.client)
            .is_some_and(|known| known.starts.binary_search(&id.clock).is_ok())
    }
}

impl Staged {
    /// How many pieces there are.
    pub(super) fn pieces(&self) -> usize {
        self.starts.len()
    }

    /// Notes where the elements stand that begin with `run.id`. What its place refers to
    /// must be known or staged already. Returns how many pieces yrs may have to pass
    /// to find their place among what others wrote there.
    ///
    /// # Errors
    /// [`Unplaceable`]; nothing has been noted then.
    pub(super) fn note(&mut self, known: &Known, run: Run) -> Result<u32, Unplaceable> {
        let parent = self.site(known, run)?.parent;
        let Id { client, clock } = run.id;
        let id = Id {
            client,
            clock: clock.max(known.clock(client)),
        };
        if self.parent(known, id) != parent {
            self.places.insert(id, parent);
        }
        let scan = self.scan(known, run, parent);
        let left = run.place.left();
        if scan == 0 && run.continues() {
            return Ok(0);
        }
        self.starts.push(Piece { id, parent, left });
        self.begun.insert(id);
        match left {
            Some(left) => drop(self.left_origins.insert(left)),
            None => drop(self.firsts.insert(parent)),
        }
        Ok(scan)
    }

    /// Where the elements that begin with `run.id` will stand. What the place refers to
    /// must be known or staged already.
    ///
    /// # Errors
    /// [`Unplaceable`].
    pub(super) fn site(&mut self, known: &Known, run: Run) -> Result<Site, Unplaceable> {
        let parent = self.place(known, run)?;
        let ParentFacts { within, shape, .. } = self.facts(known, parent);
        Ok(Site {
            parent,
            within,
            shape,
        })
    }

    fn place(&mut self, known: &Known, run: Run) -> Result<Parent, Unplaceable> {
        let key = match run.place {
            Place::Nowhere => return Ok(COLLECTED),
            Place::Root => ParentKey {
                within: None,
                names: run.names,
            },
            Place::Inside(parent) => ParentKey {
                within: Some(parent),
                names: run.names,
            },
            Place::Beside(left, right) => {
                let (Some(one), other) = (left.or(right), left.and(right)) else {
                    return Ok(COLLECTED);
                };
                let parent = self.parent(known, one);
                if other.is_some_and(|right| self.is_reversed(known, one, right)) {
                    return Err(Unplaceable::Torn);
                }
                return match other.map(|other| self.parent(known, other)) {
                    Some(other) if other == parent => Ok(parent),
                    Some(COLLECTED) => Err(Unplaceable::Collected),
                    Some(_) if parent == COLLECTED => Err(Unplaceable::Collected),
                    Some(_) => Err(Unplaceable::Torn),
                    None => Ok(parent),
                };
            }
        };
        let found = known.parent_of.get(&key).or(self.parent_of.get(&key));
        if let Some(parent) = found {
            return Ok(*parent);
        }
        let depth = match run.place {
            Place::Inside(parent) => {
                let around = self.parent(known, parent);
                self.facts(known, around).depth.saturating_add(1)
            }
            _ => 0,
        };
        if depth > DEPTH_MAX {
            return Err(Unplaceable::TooDeep);
        }
        let parent = Parent((known.parents.len() + self.parents.len()) as u32);
        let facts = ParentFacts {
            within: key.within,
            depth,
            shape: match run.names & KEYED {
                0 => Shape::Row,
                _ => Shape::Key,
            },
            ..ParentFacts::default()
        };
        self.parents.push((key, facts));
        self.parent_of.insert(key, parent);
        Ok(parent)
    }

    /// Yjs looks for an element's place from its left origin to its right one. It
    /// passes nothing where nobody else wrote behind the same left origin, for
    /// then the two are neighbours still; and otherwise what they wrote.
    fn scan(&self, known: &Known, run: Run, parent: Parent) -> u32 {
        if parent == COLLECTED {
            return 0;
        }
        let facts = self.facts(known, parent);
        let free = match run.place.left() {
            None => facts.firsts == 0 && !self.firsts.contains(&parent),
            Some(left) => {
                let next = Id {
                    clock: left.clock + 1,
                    ..left
                };
                let written = next.clock < known.clock(left.client) && !known.starts(next);
                let first =
                    !known.left_origins.contains(&hash(left)) && !self.left_origins.contains(&left);
                first && (!written || run.place.right() == Some(next))
            }
        };
        match free {
            true => 0,
            false => facts
                .pieces
                .saturating_add(u32::try_from(self.starts.len()).unwrap_or(u32::MAX)),
        }
    }

    /// Whether `right` is `left`, or stands before it in what one client wrote in one go.
    /// Yjs would cut the piece that holds both while it looks for the place of an element
    /// between them, and find another place in a replica where it is cut already.
    fn is_reversed(&self, known: &Known, left: Id, right: Id) -> bool {
        if left.client != right.client || left.clock < right.clock {
            return false;
        }
        let first = Id { clock: 0, ..left };
        let staged = self.begun.range(first..=left).next_back();
        let known = known.clients.get(&left.client).and_then(|client| {
            let after = client.starts.partition_point(|start| *start <= left.clock);
            client.starts.get(after.checked_sub(1)?)
        });
        let last = known.copied().max(staged.map(|id| id.clock));
        // Whether somebody began to write between the two.
        last.is_none_or(|clock| clock <= right.clock)
    }

    fn facts(&self, known: &Known, parent: Parent) -> ParentFacts {
        let at = parent.0 as usize;
        match known.parents.get(at) {
            Some(facts) => *facts,
            None => self.parents[at - known.parents.len()].1,
        }
    }

    fn parent(&self, known: &Known, id: Id) -> Parent {
        let first = Id {
            client: id.client,
            clock: 0,
        };
        match self.places.range(first..=id).next_back() {
            Some((_, parent)) => *parent,
            None => known.parent(id),
        }
    }
}

/// One key for the life of the process, so that nobody can choose names that clash.
static KEY: std::sync::LazyLock<std::hash::RandomState> =
    std::sync::LazyLock::new(std::hash::RandomState::new);

fn hash(id: Id) -> u64 {
    KEY.hash_one((id.client, id.clock))
}

/// The hash of a root's name and of a map's key, as far as there are such. Its lowest bit
/// tells whether there is a key.
pub(super) fn hash_names(root: Option<&str>, key: Option<&str>) -> u64 {
    let hash = KEY.hash_one((root, key)) & !KEYED;
    hash | u64::from(key.is_some())
}

const KEYED: u64 = 1;

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
