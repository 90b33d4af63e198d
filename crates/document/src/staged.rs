//! Where the blocks of an update stand, before the document has them.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::by_element::ByElement;
use super::clocks::{COLLECTED, Clocks, Origins, Parent, ParentFacts, ParentKey, Shape};
use super::update::{Id, KEYED, Place, Run};

/// How deep types may nest. Whatever walks a document recurses this deep at most.
pub const DEPTH_MAX: u8 = 128;

/// Where an update comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From a client: limits are enforced.
    Client,
    /// From the log: it was accepted before.
    Log,
    /// From this document, where it was pending: it was accepted before.
    Pending,
}

/// To find out whether a place is ambiguous would take too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooManySteps;

/// Why an element cannot stand where it claims to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unplaceable {
    /// It would lie deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Its neighbours are in different types or under different keys of one, or it is more
    /// than one element under a key.
    DifferentParents,
    /// Its neighbours leave no place for it that is the same in every replica.
    Ambiguous,
    /// To find out whether that is so would take too long.
    TooManySteps,
    /// One of its neighbours has been collected and the other has not: Yjs collects it too.
    Collected,
}

/// Where a block is going to stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    parent: Parent,
    /// The type that it stands in, if that is no root.
    pub(super) within: Option<Id>,
    pub(super) shape: Shape,
}

impl Site {
    /// Where collected elements are.
    pub(super) const NOWHERE: Self = Self {
        parent: COLLECTED,
        within: None,
        shape: Shape::List,
    };
}

/// What the blocks of an update are about to add to [`Clocks`].
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// From this element on, those of its client are in this parent.
    parents_from: ByElement<Parent>,
    items: SmallVec<[StagedItem; 1]>,
    /// New parents.
    parents: Vec<(ParentKey, ParentFacts)>,
    /// Finds the items and parents behind the first few.
    index: Option<Box<Index>>,
    /// How many steps it took so far to find out whether places are ambiguous.
    pub(super) steps: u32,
}

/// Finds items and parents where there are too many to look at each.
#[derive(Debug, Default)]
struct Index {
    /// The origins of items, by their first elements.
    items: ByElement<Origins>,
    left_origins: HashSet<Id, RandomState>,
    /// The parents that get an item at their very beginning.
    first_items: HashSet<Parent, RandomState>,
    parent_of: HashMap<ParentKey, Parent, RandomState>,
}

/// So many items and parents are looked at one by one: a typed character has one or two, and no
/// map is made for it.
const FEW: usize = 8;

/// An item that begins at `id`.
#[derive(Clone, Copy, Debug)]
struct StagedItem {
    id: Id,
    parent: Parent,
    origins: Origins,
}

impl Staged {
    /// Adds all of it to `clocks`.
    pub(super) fn add_to(self, clocks: &mut Clocks) {
        for (key, facts) in self.parents {
            clocks.add_parent(key, facts);
        }
        for (id, parent) in self.parents_from.into_iter() {
            clocks.set_parent(id, parent);
        }
        for item in self.items {
            clocks.add_item(item.id, item.parent, item.origins);
        }
    }

    /// How many new items there are.
    pub(super) fn items(&self) -> usize {
        self.items.len()
    }

    /// Adds the elements that begin with `run.id`, which stand at `site`. Returns how many
    /// items yrs may have to pass to find their place among those that others put there.
    pub(super) fn add(&mut self, clocks: &Clocks, run: Run, site: Site) -> u32 {
        let parent = site.parent;
        let Id { client, clock } = run.id;
        let id = Id {
            client,
            clock: clock.max(clocks.clock(client)),
        };
        if self.parent(clocks, id) != parent {
            self.parents_from.insert(id, parent);
        }
        let passed = self.passed(clocks, run, parent);
        let (left, right) = (run.place.left(), run.place.right());
        let origins = Origins { left, right };
        let same = |left| {
            let before = self.item(clocks, left);
            before.is_some_and(|(_, before)| before.right == right)
        };
        if passed == 0 && run.continues() && left.is_none_or(same) {
            return 0;
        }
        if self.items.len() >= FEW {
            let index = self.index.get_or_insert_default();
            index.items.insert(id, origins);
            match left {
                Some(left) => drop(index.left_origins.insert(left)),
                None => drop(index.first_items.insert(parent)),
            }
        }
        self.items.push(StagedItem {
            id,
            parent,
            origins,
        });
        passed
    }

    fn in_index(&self, holds: impl FnOnce(&Index) -> bool) -> bool {
        self.index.as_deref().is_some_and(holds)
    }

    fn few(&self) -> impl Iterator<Item = &StagedItem> {
        self.items.iter().take(FEW)
    }

    /// The clock at which the last staged item of the client begins that begins at `id` or
    /// before it, and its origins.
    pub(super) fn staged_item(&self, id: Id) -> Option<(u32, Origins)> {
        let before = |item: &&StagedItem| item.id.client == id.client && item.id.clock <= id.clock;
        let few = self.few().filter(before);
        let few = few.map(|item| (item.id.clock, item.origins));
        let more = self.index.as_ref().and_then(|index| index.items.find(id));
        few.chain(more).max_by_key(|(clock, _)| *clock)
    }

    /// How many new parents there are.
    pub(super) fn parents(&self) -> usize {
        self.parents.len()
    }

    /// Where the elements that begin with `run.id` are going to stand. Their dependencies are
    /// in the document or staged.
    ///
    /// # Errors
    /// [`Unplaceable`].
    pub(super) fn site(
        &mut self,
        clocks: &Clocks,
        run: Run,
        source: Source,
    ) -> Result<Site, Unplaceable> {
        let parent = self.find_parent(clocks, run)?;
        // The updates of the log were accepted, and nothing accepted is lost.
        if parent != COLLECTED && source != Source::Log {
            let (left, right) = (run.place.left(), run.place.right());
            match self.is_ambiguous(clocks, left, right) {
                Ok(false) => {}
                Ok(true) => return Err(Unplaceable::Ambiguous),
                Err(TooManySteps) if source == Source::Pending => {}
                Err(TooManySteps) => return Err(Unplaceable::TooManySteps),
            }
        }
        let ParentFacts { within, shape, .. } = self.facts(clocks, parent);
        Ok(Site {
            parent,
            within,
            shape,
        })
    }

    /// The parent that a run stands in; it is staged if it is new.
    fn find_parent(&mut self, clocks: &Clocks, run: Run) -> Result<Parent, Unplaceable> {
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
                let parent = self.parent(clocks, one);
                return match other.map(|other| self.parent(clocks, other)) {
                    Some(other) if other == parent => Ok(parent),
                    Some(COLLECTED) => Err(Unplaceable::Collected),
                    Some(_) if parent == COLLECTED => Err(Unplaceable::Collected),
                    Some(_) => Err(Unplaceable::DifferentParents),
                    None => Ok(parent),
                };
            }
        };
        if let Some(parent) = clocks
            .parent_of
            .get(&key)
            .copied()
            .or(self.parent_of(clocks, &key))
        {
            return Ok(parent);
        }
        let depth = match run.place {
            Place::Inside(parent) => {
                let outer = self.parent(clocks, parent);
                self.facts(clocks, outer).depth.saturating_add(1)
            }
            _ => 0,
        };
        if depth > DEPTH_MAX {
            return Err(Unplaceable::TooDeep);
        }
        let parent = Parent((clocks.parents.len() + self.parents.len()) as u32);
        let facts = ParentFacts {
            within: key.within,
            depth,
            shape: match run.names & KEYED {
                0 => Shape::List,
                _ => Shape::Key,
            },
            ..ParentFacts::default()
        };
        if self.parents.len() >= FEW {
            let index = self.index.get_or_insert_default();
            index.parent_of.insert(key, parent);
        }
        self.parents.push((key, facts));
        Ok(parent)
    }

    fn parent_of(&self, clocks: &Clocks, key: &ParentKey) -> Option<Parent> {
        let few = &self.parents[..self.parents.len().min(FEW)];
        match few.iter().position(|(other, _)| other == key) {
            Some(at) => Some(Parent((clocks.parents.len() + at) as u32)),
            None => self.index.as_ref()?.parent_of.get(key).copied(),
        }
    }

    /// How many items Yjs may pass while it looks for an element's place between its left and
    /// its right origin. Where nobody else put anything behind the same left origin, the two
    /// still are neighbours and it passes none.
    fn passed(&self, clocks: &Clocks, run: Run, parent: Parent) -> u32 {
        if parent == COLLECTED {
            return 0;
        }
        let facts = self.facts(clocks, parent);
        let free = match run.place.left() {
            None => {
                let staged =
                    |item: &StagedItem| item.origins.left.is_none() && item.parent == parent;
                facts.first_items == 0
                    && !self.few().any(staged)
                    && !self.in_index(|index| index.first_items.contains(&parent))
            }
            Some(left) => {
                let next = Id {
                    clock: left.clock + 1,
                    ..left
                };
                let written = next.clock < clocks.clock(left.client) && !clocks.is_item_start(next);
                let first = !clocks.is_left_origin(left)
                    && !self.few().any(|item| item.origins.left == Some(left))
                    && !self.in_index(|index| index.left_origins.contains(&left));
                first && (!written || run.place.right() == Some(next))
            }
        };
        match free {
            true => 0,
            false => facts
                .items
                .saturating_add(u32::try_from(self.items.len()).unwrap_or(u32::MAX)),
        }
    }

    fn facts(&self, clocks: &Clocks, parent: Parent) -> ParentFacts {
        let at = parent.0 as usize;
        match clocks.parents.get(at) {
            Some(facts) => *facts,
            None => self.parents[at - clocks.parents.len()].1,
        }
    }

    fn parent(&self, clocks: &Clocks, id: Id) -> Parent {
        // A typed character has the parent of the one before it.
        if self.parents_from.is_empty() {
            return clocks.parent(id);
        }
        match self.parents_from.find(id) {
            Some((_, parent)) => parent,
            None => clocks.parent(id),
        }
    }
}
