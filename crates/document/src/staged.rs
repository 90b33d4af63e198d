//! Where the blocks of an update stand, before they become known.

use std::collections::{BTreeMap, HashMap, HashSet};

use smallvec::SmallVec;

use super::known::{COLLECTED, Known, Origins, Parent, ParentFacts, ParentKey, Shape};
use super::update::{Id, KEYED, Place, Run};

/// How deep types may nest. Whatever walks a document recurses this deep at most.
pub const DEPTH_MAX: u8 = 128;

/// Who vouches for what is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Nobody: limits are enforced.
    Client,
    /// It was accepted before, and is in the log.
    Log,
    /// It was accepted before, and waited here.
    Held,
}

/// To find out what is crossed would take too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooFar;

/// Why an element cannot stand where it claims to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unplaceable {
    /// It would lie deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Its neighbours are in different types or under different keys of one, or it is more
    /// than one element under a key.
    Torn,
    /// Its neighbours leave no place for it that is the same in every replica.
    Crossed,
    /// To find out would take too long.
    TooFar,
    /// One of its neighbours has been collected and the other has not: Yjs collects it too.
    Collected,
}

/// What is known of a place before a block is put there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    parent: Parent,
    /// The type that it is in, if that is no root.
    pub(super) within: Option<Id>,
    pub(super) shape: Shape,
}

impl Site {
    /// Where collected elements are.
    pub(super) const NOWHERE: Self = Self {
        parent: COLLECTED,
        within: None,
        shape: Shape::Row,
    };
}

/// Elements that are about to become known.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) places: BTreeMap<Id, Parent>,
    pub(super) starts: SmallVec<[Piece; 1]>,
    /// Those beyond the ones that are known.
    pub(super) parents: Vec<(ParentKey, ParentFacts)>,
    /// By what the pieces and parents behind the first few are found.
    many: Option<Box<Many>>,
    /// How many steps it took so far to find out what is crossed.
    pub(super) steps: u32,
}

/// What is too much to be looked through.
#[derive(Debug, Default)]
struct Many {
    /// The origins of pieces, by where they begin.
    begun: BTreeMap<Id, Origins>,
    left_origins: HashSet<Id>,
    /// The parents that get a piece at their very beginning.
    firsts: HashSet<Parent>,
    parent_of: HashMap<ParentKey, Parent>,
}

/// So many pieces and parents are looked through: what people type has one or two, and no map
/// is made for it.
const FEW: usize = 8;

/// A piece that begins at `id`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) id: Id,
    pub(super) parent: Parent,
    pub(super) origins: Origins,
}

impl Staged {
    /// Makes all of it known.
    pub(super) fn keep_in(self, known: &mut Known) {
        for (key, facts) in self.parents {
            known.add_parent(key, facts);
        }
        for (id, parent) in self.places {
            known.add_place(id, parent);
        }
        for piece in self.starts {
            known.add_piece(piece.id, piece.parent, piece.origins);
        }
    }

    /// How many pieces there are.
    pub(super) fn pieces(&self) -> usize {
        self.starts.len()
    }

    /// Notes that the elements that begin with `run.id` stand at `site`. Returns how many
    /// pieces yrs may have to pass to find their place among what others wrote there.
    pub(super) fn note(&mut self, known: &Known, run: Run, site: Site) -> u32 {
        let parent = site.parent;
        let Id { client, clock } = run.id;
        let id = Id {
            client,
            clock: clock.max(known.clock(client)),
        };
        if self.parent(known, id) != parent {
            self.places.insert(id, parent);
        }
        let scan = self.scan(known, run, parent);
        let (left, right) = (run.place.left(), run.place.right());
        let origins = Origins { left, right };
        let same = |left| {
            let before = self.begins(known, left);
            before.is_some_and(|(_, before)| before.right == right)
        };
        if scan == 0 && run.continues() && left.is_none_or(same) {
            return 0;
        }
        if self.starts.len() >= FEW {
            let many = self.many.get_or_insert_default();
            many.begun.insert(id, origins);
            match left {
                Some(left) => drop(many.left_origins.insert(left)),
                None => drop(many.firsts.insert(parent)),
            }
        }
        self.starts.push(Piece {
            id,
            parent,
            origins,
        });
        scan
    }

    fn in_many(&self, holds: impl FnOnce(&Many) -> bool) -> bool {
        self.many.as_deref().is_some_and(holds)
    }

    fn few(&self) -> impl Iterator<Item = &Piece> {
        self.starts.iter().take(FEW)
    }

    /// Where the last staged piece of the client begins that begins at `id` or before it, and
    /// its origins.
    pub(super) fn begun(&self, id: Id) -> Option<(u32, Origins)> {
        let before = |piece: &&Piece| piece.id.client == id.client && piece.id.clock <= id.clock;
        let few = self.few().filter(before);
        let few = few.map(|piece| (piece.id.clock, piece.origins));
        let first = Id { clock: 0, ..id };
        let more = self.many.as_ref().and_then(|many| {
            let (id, origins) = many.begun.range(first..=id).next_back()?;
            Some((id.clock, *origins))
        });
        few.chain(more).max_by_key(|(clock, _)| *clock)
    }

    /// How many parents there are.
    pub(super) fn parents(&self) -> usize {
        self.parents.len()
    }

    /// Where the elements that begin with `run.id` will stand. What the place refers to
    /// must be known or staged already.
    ///
    /// # Errors
    /// [`Unplaceable`].
    pub(super) fn site(
        &mut self,
        known: &Known,
        run: Run,
        source: Source,
    ) -> Result<Site, Unplaceable> {
        let parent = self.place(known, run)?;
        // What the log has was accepted, and nothing accepted is lost.
        if parent != COLLECTED && source != Source::Log {
            let (left, right) = (run.place.left(), run.place.right());
            match self.is_crossed(known, left, right) {
                Ok(false) => {}
                Ok(true) => return Err(Unplaceable::Crossed),
                Err(TooFar) if source == Source::Held => {}
                Err(TooFar) => return Err(Unplaceable::TooFar),
            }
        }
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
                return match other.map(|other| self.parent(known, other)) {
                    Some(other) if other == parent => Ok(parent),
                    Some(COLLECTED) => Err(Unplaceable::Collected),
                    Some(_) if parent == COLLECTED => Err(Unplaceable::Collected),
                    Some(_) => Err(Unplaceable::Torn),
                    None => Ok(parent),
                };
            }
        };
        if let Some(parent) = known
            .parent_of
            .get(&key)
            .copied()
            .or(self.parent_of(known, &key))
        {
            return Ok(parent);
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
        if self.parents.len() >= FEW {
            let many = self.many.get_or_insert_default();
            many.parent_of.insert(key, parent);
        }
        self.parents.push((key, facts));
        Ok(parent)
    }

    fn parent_of(&self, known: &Known, key: &ParentKey) -> Option<Parent> {
        let few = &self.parents[..self.parents.len().min(FEW)];
        match few.iter().position(|(other, _)| other == key) {
            Some(at) => Some(Parent((known.parents.len() + at) as u32)),
            None => self.many.as_ref()?.parent_of.get(key).copied(),
        }
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
            None => {
                let staged = |piece: &Piece| piece.origins.left.is_none() && piece.parent == parent;
                facts.firsts == 0
                    && !self.few().any(staged)
                    && !self.in_many(|many| many.firsts.contains(&parent))
            }
            Some(left) => {
                let next = Id {
                    clock: left.clock + 1,
                    ..left
                };
                let written = next.clock < known.clock(left.client) && !known.starts(next);
                let first = !known.is_left_origin(left)
                    && !self.few().any(|piece| piece.origins.left == Some(left))
                    && !self.in_many(|many| many.left_origins.contains(&left));
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

    fn facts(&self, known: &Known, parent: Parent) -> ParentFacts {
        let at = parent.0 as usize;
        match known.parents.get(at) {
            Some(facts) => *facts,
            None => self.parents[at - known.parents.len()].1,
        }
    }

    fn parent(&self, known: &Known, id: Id) -> Parent {
        // What people type stands with what they typed before.
        if self.places.is_empty() {
            return known.parent(id);
        }
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
