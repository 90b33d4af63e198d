//! The items of a document in the order in which they stand, in their types.
//!
//! yrs shows no item: neither its id nor its neighbours. An edit is made of both, so the
//! items are read from the document's encoded state, and put in order here (`integrate`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use super::super::{ClientId, update::Id};
use super::content::ItemContent;

/// How many steps one edit may take: each passes an item. That is some 0.3 s, measured …
const STEPS_MAX: usize = 4_000_000;
/// … and for each item of the document so many more, which is about what it takes to read it.
const STEPS_PER_ITEM: usize = 8;

/// To make the edit would take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooCostly;

/// An item of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ItemRef(u32);

impl ItemRef {
    /// Its number among the items, which counts up from 0 in the order in which they were added.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A type of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TypeRef(u32);

/// Elements of one client that stand side by side.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) id: Id,
    pub(super) len: u32,
    pub(super) left_origin: Option<Id>,
    pub(super) right_origin: Option<Id>,
    pub(super) left: Option<ItemRef>,
    pub(super) right: Option<ItemRef>,
    /// `None` if it was collected: then it stands nowhere.
    pub(super) parent: Option<TypeRef>,
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) content: ItemContent<'a>,
    pub(super) is_deleted: bool,
    /// The type that it is.
    pub(super) inner: Option<TypeRef>,
    /// Of two items of one list, the left one has the smaller number, once a list is numbered.
    pub(super) number: u32,
}

impl Item<'_> {
    /// The clock after its last element.
    pub(super) fn end(&self) -> u32 {
        self.id.clock + self.len
    }

    /// Its last element.
    pub(super) fn last_id(&self) -> Id {
        let clock = self.end() - 1;
        Id { clock, ..self.id }
    }

    /// Whether its elements count in positions.
    pub(super) fn counts(&self) -> bool {
        !self.is_deleted && self.content.is_countable()
    }
}

/// Items that stand side by side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct List {
    pub(super) first: Option<ItemRef>,
    pub(super) last: Option<ItemRef>,
}

/// How a type is found.
#[derive(Clone, Debug)]
pub(super) enum TypeName<'a> {
    /// It is a root.
    Root(Cow<'a, str>),
    /// It is this element.
    Nested(Id),
}

/// A shared type.
#[derive(Debug)]
pub(super) struct Type<'a> {
    pub(super) name: TypeName<'a>,
    /// Its kind; `None` for a root, of which nobody says what it is.
    pub(super) kind: Option<u8>,
    pub(super) list: List,
    /// For each key all items that were put there; the last one counts.
    pub(super) keys: BTreeMap<Cow<'a, str>, List>,
}

/// All items of a document.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    items: Vec<Item<'a>>,
    /// By the first element of each item.
    by_id: BTreeMap<Id, ItemRef>,
    types: Vec<Type<'a>>,
    pub(super) roots: BTreeMap<Cow<'a, str>, TypeRef>,
    steps: usize,
}

impl<'a> Index<ItemRef> for Tree<'a> {
    type Output = Item<'a>;
    fn index(&self, ItemRef(at): ItemRef) -> &Item<'a> {
        &self.items[at as usize]
    }
}

impl IndexMut<ItemRef> for Tree<'_> {
    fn index_mut(&mut self, ItemRef(at): ItemRef) -> &mut Self::Output {
        &mut self.items[at as usize]
    }
}

impl<'a> Index<TypeRef> for Tree<'a> {
    type Output = Type<'a>;
    fn index(&self, TypeRef(at): TypeRef) -> &Type<'a> {
        &self.types[at as usize]
    }
}

impl IndexMut<TypeRef> for Tree<'_> {
    fn index_mut(&mut self, TypeRef(at): TypeRef) -> &mut Self::Output {
        &mut self.types[at as usize]
    }
}

impl<'a> Tree<'a> {
    /// Counts a step.
    pub(super) fn step(&mut self) -> Result<(), TooCostly> {
        self.steps += 1;
        let allowed = STEPS_MAX + STEPS_PER_ITEM * self.items.len();
        (self.steps <= allowed).then_some(()).ok_or(TooCostly)
    }

    /// The item that holds the element `id`, and which of its elements that is.
    pub(super) fn find(&self, id: Id) -> Option<(ItemRef, u32)> {
        let (_, item) = self.by_id.range(..=id).next_back()?;
        let found = &self[*item];
        let holds = found.id.client == id.client && id.clock < found.end();
        holds.then(|| (*item, id.clock - found.id.clock))
    }

    /// The item that begins with the element `id`.
    pub(super) fn find_first(&self, id: Id) -> Option<ItemRef> {
        self.by_id.get(&id).copied()
    }

    /// The items of `client` that begin at `clock` or behind it, by clock.
    pub(super) fn items_of(&self, client: ClientId, clock: u32) -> impl Iterator<Item = &Item<'a>> {
        let end = Id {
            client,
            clock: u32::MAX,
        };
        let items = self.by_id.range(Id { client, clock }..end);
        items.map(|(_, item)| &self[*item])
    }

    /// The root of this name, which is added if there is none.
    pub(super) fn root(&mut self, name: Cow<'a, str>) -> TypeRef {
        if let Some(root) = self.roots.get(&name) {
            return *root;
        }
        let root = self.add_type(TypeName::Root(name.clone()), None);
        self.roots.insert(name, root);
        root
    }

    fn add_type(&mut self, name: TypeName<'a>, kind: Option<u8>) -> TypeRef {
        // Each is named or is an element, so there are fewer than 2^32.
        let at = TypeRef(self.types.len() as u32);
        self.types.push(Type {
            name,
            kind,
            list: List::default(),
            keys: BTreeMap::new(),
        });
        at
    }

    /// The list of a type, or of one of its keys.
    pub(super) fn list(&self, parent: TypeRef, key: Option<&str>) -> List {
        let parent = &self[parent];
        match key {
            None => parent.list,
            Some(key) => parent.keys.get(key).copied().unwrap_or_default(),
        }
    }

    fn set_list(&mut self, parent: TypeRef, key: Option<Cow<'a, str>>, list: List) {
        let parent = &mut self[parent];
        match key {
            None => parent.list = list,
            Some(key) => drop(parent.keys.insert(key, list)),
        }
    }

    /// The value of a key: its last item, unless that is deleted.
    pub(super) fn value(&self, parent: TypeRef, key: &str) -> Option<ItemRef> {
        let last = self.list(parent, Some(key)).last?;
        (!self[last].is_deleted).then_some(last)
    }

    /// Adds `item`, whose parent is set; it stands right of `left`, or first.
    pub(super) fn link(&mut self, mut item: Item<'a>, left: Option<ItemRef>) -> ItemRef {
        let at = ItemRef(self.items.len() as u32);
        if let Some(kind) = item.content.type_kind() {
            item.inner = Some(self.add_type(TypeName::Nested(item.id), Some(kind)));
        }
        if let Some(parent) = item.parent {
            let mut list = self.list(parent, item.key.as_deref());
            item.left = left;
            item.right = match left {
                Some(left) => self[left].right,
                None => list.first,
            };
            match item.left {
                Some(left) => self[left].right = Some(at),
                None => list.first = Some(at),
            }
            match item.right {
                Some(right) => self[right].left = Some(at),
                None => list.last = Some(at),
            }
            self.set_list(parent, item.key.clone(), list);
        }
        self.by_id.insert(item.id, at);
        self.items.push(item);
        at
    }

    /// Splits `item` before its `at`-th element, and gives the second part.
    pub(super) fn split(&mut self, item: ItemRef, at: u32) -> ItemRef {
        let whole = &mut self[item];
        let content = std::mem::replace(&mut whole.content, ItemContent::Deleted);
        let (head, tail) = content.split(at);
        whole.content = head;
        let id = Id {
            clock: whole.id.clock + at,
            ..whole.id
        };
        let second = Item {
            id,
            len: whole.len - at,
            left_origin: Some(Id {
                clock: id.clock - 1,
                ..id
            }),
            right_origin: whole.right_origin,
            left: None,
            right: None,
            parent: whole.parent,
            key: whole.key.clone(),
            content: tail,
            is_deleted: whole.is_deleted,
            inner: None,
            number: whole.number,
        };
        whole.len = at;
        self.link(second, Some(item))
    }
}
