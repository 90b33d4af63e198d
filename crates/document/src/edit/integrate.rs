//! From the encoded state of a document to its items in order, as Yjs puts them.

use std::borrow::Cow;

use super::super::cut::{Context, Cut};
use super::super::lib0::Malformed;
use super::super::merge::collect;
use super::super::ranges::Ranges;
use super::super::staged::Source;
use super::super::update::{Block, Id, Place};
use super::super::{clocks::Clocks, pending::Pending};
use super::content::ItemContent;
use super::tree::{Item, ItemRef, TooCostly, Tree, TypeRef};

/// An encoded state as blocks.
pub(super) struct State<'a> {
    /// In an order in which the dependencies of each come before it, without pending ones.
    blocks: Vec<Block<'a>>,
    deletes: Ranges,
    /// The elements with which an item has to begin, by client and clock.
    cuts: Vec<Id>,
}

impl<'a> State<'a> {
    /// Reads a whole state.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
        collect(bytes, &mut blocks, &mut deletes)?;
        let context = Context {
            clocks: &Clocks::default(),
            pending: &Pending::default(),
            is_type: |_| false,
            allowed: |_| u32::MAX,
        };
        let cut = Cut::of(&blocks, &deletes, Source::Log, &context);
        let blocks: Vec<_> = cut.ready.into_iter().map(|(block, _)| block).collect();
        let deletes = cut.ready_deletes;
        let mut cuts = Vec::new();
        for block in &blocks {
            let (left, right) = (block.place.left(), block.place.right());
            cuts.extend(left.map(|left| Id {
                clock: left.clock + 1,
                ..left
            }));
            cuts.extend(right);
        }
        for (client, range) in deletes.iter() {
            cuts.extend([range.start, range.end].map(|clock| Id { client, clock }));
        }
        cuts.sort_unstable();
        cuts.dedup();
        Ok(Self {
            blocks,
            deletes,
            cuts,
        })
    }

    /// Where items of it begin or end.
    pub(super) fn borders(&self) -> Vec<Id> {
        let ends = |block: &Block<'_>| {
            let clock = block.end();
            [block.id, Id { clock, ..block.id }]
        };
        let blocks = self.blocks.iter().flat_map(ends);
        let mut borders: Vec<_> = self.cuts.iter().copied().chain(blocks).collect();
        borders.sort_unstable();
        borders.dedup();
        borders
    }

    /// Whether all its elements come before the `clock` of their client.
    pub(super) fn is_within(&self, clock: impl Fn(u64) -> u32) -> bool {
        self.blocks
            .iter()
            .all(|block| block.end() <= clock(block.id.client))
    }

    /// Its items in order. They begin and end at `borders`, too, wherever that tears no
    /// character.
    pub(super) fn tree(&self, borders: &[Id]) -> Result<Tree<'a>, TooCostly> {
        let mut integration = Integration::default();
        for block in &self.blocks {
            integration.block(block, &self.cuts, borders)?;
        }
        for (client, range) in self.deletes.iter() {
            let mut clock = range.start;
            while let Some((item, _)) = integration.tree.find(Id { client, clock }) {
                integration.tree[item].is_deleted = true;
                clock = integration.tree[item].end();
                if clock >= range.end {
                    break;
                }
            }
        }
        Ok(integration.tree)
    }
}

#[derive(Default)]
struct Integration<'a> {
    tree: Tree<'a>,
    /// For each item, the number of the search for a place that passed it last, and how many
    /// that search had passed before.
    passed: Vec<(u32, u32)>,
    searches: u32,
}

/// The cuts among `all`, which are sorted, that lie inside of `block`.
fn inside<'c>(all: &'c [Id], block: &Block<'_>) -> &'c [Id] {
    let end = Id {
        clock: block.end(),
        ..block.id
    };
    let from = all.partition_point(|id| *id <= block.id);
    let to = all.partition_point(|id| *id < end);
    &all[from..to.max(from)]
}

impl<'a> Integration<'a> {
    /// Puts a block in its place, item by item.
    fn block(&mut self, block: &Block<'a>, cuts: &[Id], borders: &[Id]) -> Result<(), TooCostly> {
        let mut cuts = inside(cuts, block).iter().copied().peekable();
        let mut borders = inside(borders, block).iter().copied().peekable();
        let (parent, key) = self.parent(block);
        let mut item = Item {
            id: block.id,
            len: block.len,
            left_origin: block.place.left(),
            right_origin: block.place.right(),
            left: None,
            right: None,
            parent,
            key,
            content: ItemContent::of(block),
            is_deleted: false,
            inner: None,
            number: 0,
        };
        item.is_deleted = matches!(item.content, ItemContent::Deleted);
        loop {
            let next = [cuts.peek(), borders.peek()].into_iter().flatten().min();
            let Some(id) = next.copied() else {
                return self.item(item);
            };
            let own = cuts.next_if_eq(&id).is_some();
            borders.next_if_eq(&id);
            let at = id.clock - item.id.clock;
            if !own && item.content.tears(at) {
                continue;
            }
            let (head, tail) = item.content.split(at);
            let rest = Item {
                id,
                len: item.len - at,
                left_origin: Some(Id {
                    clock: id.clock - 1,
                    ..id
                }),
                key: item.key.clone(),
                content: tail,
                ..item
            };
            self.item(Item {
                len: at,
                content: head,
                ..item
            })?;
            item = rest;
        }
    }

    /// The type and the key that `block` stands in; no type if it is collected.
    fn parent(&mut self, block: &Block<'a>) -> (Option<TypeRef>, Option<Cow<'a, str>>) {
        let (root, key) = block.names();
        match block.place {
            Place::Nowhere => (None, None),
            Place::Root => {
                let root = self.tree.root(root.unwrap_or_default().into());
                (Some(root), key.map(Cow::Borrowed))
            }
            Place::Inside(id) => {
                let found = self.tree.find(id).map(|(item, _)| item);
                let parent = found.and_then(|item| self.tree[item].inner);
                (parent, key.map(Cow::Borrowed))
            }
            Place::Beside(left, right) => {
                let beside = left.or(right).and_then(|id| self.tree.find(id));
                let Some((beside, _)) = beside else {
                    return (None, None);
                };
                (self.tree[beside].parent, self.tree[beside].key.clone())
            }
        }
    }

    fn item(&mut self, mut item: Item<'a>) -> Result<(), TooCostly> {
        let left = match item.parent {
            Some(parent) => self.place(&item, parent)?,
            None => None,
        };
        item.is_deleted |= item.parent.is_none();
        self.tree.link(item, left);
        self.passed.push((0, 0));
        Ok(())
    }

    /// The item right of which `new` stands: as `Item.integrate` of Yjs finds it.
    fn place(&mut self, new: &Item<'a>, parent: TypeRef) -> Result<Option<ItemRef>, TooCostly> {
        let at = |id: Option<Id>| id.and_then(|id| self.tree.find(id)).map(|(item, _)| item);
        let (mut left, right) = (at(new.left_origin), at(new.right_origin));
        let mut next = match left {
            Some(left) => self.tree[left].right,
            None => self.tree.list(parent, new.key.as_deref()).first,
        };
        self.searches += 1;
        // Those that were passed since `left` was set last conflict with it.
        let (mut passed, mut conflicting_from) = (0, 0);
        while let Some(other) = next.filter(|_| next != right) {
            self.tree.step()?;
            self.passed[other.index()] = (self.searches, passed);
            passed += 1;
            let item = &self.tree[other];
            if item.left_origin == new.left_origin {
                if item.id.client < new.id.client {
                    (left, conflicting_from) = (Some(other), passed);
                } else if item.right_origin == new.right_origin {
                    break;
                }
            } else {
                let origin = item.left_origin.and_then(|id| self.tree.find(id));
                let Some((origin, _)) = origin else { break };
                let (search, number) = self.passed[origin.index()];
                if search != self.searches {
                    break;
                }
                if number < conflicting_from {
                    (left, conflicting_from) = (Some(other), passed);
                }
            }
            next = self.tree[other].right;
        }
        Ok(left)
    }
}
