//! An edit that is being made: a tree that is changed, and the changes.

use std::borrow::Cow;
use std::ops::Range;

use super::super::lib0::{write_var, write_var_string};
use super::super::merge::write_id;
use super::super::ranges::Ranges;
use super::super::update::{HAS_ORIGIN, HAS_PARENT_SUB, HAS_RIGHT_ORIGIN, Id};
use super::super::{ClientId, DEPTH_MAX};
use super::content::ItemContent;
use super::tree::{Item, ItemRef, Tree, TypeName, TypeRef};
use super::{Content, EditError, Operation, OperationFault, Step, Target};

/// An edit that is being made.
pub(super) struct Made<'a> {
    pub(super) tree: Tree<'a>,
    client: ClientId,
    /// The clock of the first element that it makes, and of the next one.
    clocks: Range<u32>,
    /// The item that was made last.
    last: Option<ItemRef>,
    deletes: Ranges,
    /// The operation that is being done.
    index: usize,
}

/// A place in a type for something new.
pub(super) struct Slot<'a> {
    pub(super) parent: TypeRef,
    pub(super) key: Option<Cow<'a, str>>,
    /// The item left of it.
    pub(super) left: Option<ItemRef>,
}

impl<'a> Made<'a> {
    /// The slot of a key, whose present value is deleted.
    pub(super) fn key_slot(&mut self, parent: TypeRef, key: Cow<'a, str>) -> Slot<'a> {
        let left = self.tree.list(parent, Some(&key)).last;
        if let Some(left) = left {
            self.delete(left);
        }
        Slot {
            parent,
            key: Some(key),
            left,
        }
    }
}

/// What kind of type an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Array,
    Map,
    /// A text or an XML text.
    Text,
    /// An XML fragment or an XML element.
    Nodes,
    /// A type with attributes: an XML element or an XML text.
    Attributes,
}

/// The kinds of shared types, as they are encoded.
pub(super) mod kind {
    pub(in super::super) const ARRAY: u8 = 0;
    pub(in super::super) const MAP: u8 = 1;
    pub(in super::super) const TEXT: u8 = 2;
    pub(in super::super) const XML_ELEMENT: u8 = 3;
    pub(in super::super) const XML_FRAGMENT: u8 = 4;
    pub(in super::super) const XML_TEXT: u8 = 6;
}

impl Kind {
    fn takes(self, kind: u8) -> bool {
        match self {
            Kind::Array => kind == kind::ARRAY,
            Kind::Map => kind == kind::MAP,
            Kind::Text => matches!(kind, kind::TEXT | kind::XML_TEXT),
            Kind::Nodes => matches!(kind, kind::XML_ELEMENT | kind::XML_FRAGMENT),
            Kind::Attributes => matches!(kind, kind::XML_ELEMENT | kind::XML_TEXT),
        }
    }

    /// Whether a root with this content can be of this kind; `None` if the content does not tell,
    /// because every list may hold types.
    fn can_hold(self, content: &ItemContent<'_>) -> Option<bool> {
        let is_text = match content {
            ItemContent::Deleted => return None,
            ItemContent::Type(_) => {
                let is_node = matches!(
                    content.type_kind(),
                    Some(kind::XML_ELEMENT | kind::XML_TEXT)
                );
                return (self == Kind::Nodes && !is_node).then_some(false);
            }
            ItemContent::Text(_) | ItemContent::Format(..) => true,
            ItemContent::Single(kind, _) => *kind == super::super::update::EMBED,
            ItemContent::Values(_) => false,
        };
        Some(match self {
            Kind::Text | Kind::Attributes => is_text,
            Kind::Array => !is_text,
            Kind::Map | Kind::Nodes => false,
        })
    }
}

impl<'a> Made<'a> {
    /// An edit of `tree` by `client`, whose next element has this clock.
    pub(super) fn new(tree: Tree<'a>, client: ClientId, clock: u32) -> Self {
        Self {
            tree,
            client,
            clocks: clock..clock,
            last: None,
            deletes: Ranges::default(),
            index: 0,
        }
    }

    /// Does `operation`, the one of this index.
    pub(super) fn operate(&mut self, index: usize, operation: &Operation) -> Result<(), EditError> {
        self.index = index;
        match operation {
            Operation::InsertText {
                target,
                at,
                text,
                attributes,
            } => {
                let parent = self.resolve(target, Kind::Text)?;
                self.insert_text(parent, *at, text, attributes.as_ref())
            }
            Operation::InsertEmbed {
                target,
                at,
                content,
                attributes,
            } => {
                let parent = self.resolve(target, Kind::Text)?;
                self.insert_embed(parent, *at, content, attributes)
            }
            Operation::FormatText {
                target,
                at,
                len,
                attributes,
            } => {
                let parent = self.resolve(target, Kind::Text)?;
                self.format_text(parent, *at, *len, attributes)
            }
            Operation::DeleteText { target, at, len } => {
                let parent = self.resolve(target, Kind::Text)?;
                self.delete_range(parent, *at, *len)
            }
            Operation::DeleteValues { target, at, len } => {
                let parent = self.resolve(target, Kind::Array)?;
                self.delete_range(parent, *at, *len)
            }
            Operation::DeleteNodes { target, at, len } => {
                let parent = self.resolve(target, Kind::Nodes)?;
                self.delete_range(parent, *at, *len)
            }
            Operation::InsertValues {
                target,
                at,
                contents,
            } => {
                let parent = self.resolve(target, Kind::Array)?;
                let left = self.left_of(parent, *at)?;
                self.put_all(parent, left, contents, 0)
            }
            Operation::InsertNodes { target, at, nodes } => {
                let parent = self.resolve(target, Kind::Nodes)?;
                let left = self.left_of(parent, *at)?;
                self.put_nodes(parent, left, nodes, 0)
            }
            Operation::SetKey {
                target,
                key,
                content,
            } => {
                let parent = self.resolve(target, Kind::Map)?;
                self.set_key(parent, key, content, 0)
            }
            Operation::RemoveKey { target, key } => {
                let parent = self.resolve(target, Kind::Map)?;
                self.remove_key(parent, key);
                Ok(())
            }
            Operation::SetAttribute {
                target,
                name,
                value,
            } => {
                let parent = self.resolve(target, Kind::Attributes)?;
                self.set_key(parent, name, &Content::Value(value.clone()), 0)
            }
            Operation::RemoveAttribute { target, name } => {
                let parent = self.resolve(target, Kind::Attributes)?;
                self.remove_key(parent, name);
                Ok(())
            }
        }
    }

    pub(super) fn fault<T>(&self, fault: OperationFault) -> Result<T, EditError> {
        let index = self.index;
        Err(EditError::Operation { index, fault })
    }

    /// The type that `target` names, which has to be of this kind.
    fn resolve(&mut self, target: &Target, kind: Kind) -> Result<TypeRef, EditError> {
        let mut at = self.tree.root(target.root.clone().into());
        for step in &target.path {
            let item = match step {
                Step::Key(key) => self.tree.value(at, key),
                Step::Index(index) => self.element(at, *index)?,
            };
            match item.and_then(|item| self.tree[item].inner) {
                Some(inner) => at = inner,
                None => return self.fault(OperationFault::NoSuchType),
            }
        }
        let fits = match self.tree[at].kind {
            Some(of) => kind.takes(of),
            None => self.root_may_be(at, kind)?,
        };
        match fits {
            true => Ok(at),
            false => self.fault(OperationFault::OtherKind),
        }
    }

    /// Whether a root may be of a kind, judged by its items: nothing else tells its kind. The
    /// kind of deleted items is lost, but a map never had a list.
    fn root_may_be(&mut self, root: TypeRef, kind: Kind) -> Result<bool, EditError> {
        let mut next = self.tree[root].list.first;
        if next.is_none() {
            let is_empty = self.tree[root].keys.is_empty();
            return Ok(is_empty || matches!(kind, Kind::Map | Kind::Attributes));
        }
        if kind == Kind::Map {
            return Ok(false);
        }
        while let Some(item) = next {
            self.tree.step()?;
            let item = &self.tree[item];
            if !item.is_deleted
                && let Some(can) = kind.can_hold(&item.content)
            {
                return Ok(can);
            }
            next = item.right;
        }
        Ok(true)
    }

    /// Puts new content into a slot, and gives the item that holds it.
    pub(super) fn insert(&mut self, slot: Slot<'a>, content: ItemContent<'a>, len: u32) -> ItemRef {
        let Slot { parent, key, left } = slot;
        let mut content = content;
        // Content behind the item that was made last becomes part of that item.
        if let (Some(last), None) = (left, &key)
            && self.last == Some(last)
            && self.tree[last].end() == self.clocks.end
            && !self.tree[last].is_deleted
        {
            match self.tree[last].content.append(content) {
                Some(other) => content = other,
                None => {
                    self.tree[last].len += len;
                    self.clocks.end += len;
                    return last;
                }
            }
        }
        let list = self.tree.list(parent, key.as_deref());
        let right = match left {
            Some(left) => self.tree[left].right,
            None => list.first,
        };
        let item = Item {
            id: Id {
                client: self.client,
                clock: self.clocks.end,
            },
            len,
            left_origin: left.map(|left| self.tree[left].last_id()),
            right_origin: right.map(|right| self.tree[right].id),
            left: None,
            right: None,
            parent: Some(parent),
            key,
            content,
            is_deleted: false,
            inner: None,
            number: 0,
        };
        self.clocks.end += len;
        let item = self.tree.link(item, left);
        self.last = Some(item);
        item
    }

    /// Deletes an item, unless it is deleted already.
    pub(super) fn delete(&mut self, item: ItemRef) {
        let item = &mut self.tree[item];
        if !item.is_deleted {
            item.is_deleted = true;
            self.deletes.add(item.id.client, item.id.clock..item.end());
        }
    }

    /// Refuses content that nests so deep that recursion over it might not fit the stack.
    pub(super) fn check_depth(&self, depth: u8) -> Result<(), EditError> {
        match depth <= DEPTH_MAX {
            true => Ok(()),
            false => self.fault(OperationFault::Misplaced),
        }
    }

    /// The edit as an update.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let items: Vec<_> = self.tree.items_of(self.client, self.clocks.start).collect();
        write_var(&mut out, u64::from(!items.is_empty()));
        if !items.is_empty() {
            write_var(&mut out, items.len() as u64);
            write_var(&mut out, self.client);
            write_var(&mut out, self.clocks.start.into());
        }
        for item in items {
            self.write(&mut out, item);
        }
        self.deletes.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>, item: &Item<'_>) {
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        let (left, right) = (item.left_origin, item.right_origin);
        out.push(
            item.content.kind()
                | flag(left.is_some(), HAS_ORIGIN)
                | flag(right.is_some(), HAS_RIGHT_ORIGIN)
                | flag(item.key.is_some(), HAS_PARENT_SUB),
        );
        left.into_iter()
            .chain(right)
            .for_each(|id| write_id(out, id));
        if let (None, None, Some(parent)) = (left, right, item.parent) {
            match &self.tree[parent].name {
                TypeName::Root(name) => {
                    write_var(out, 1);
                    write_var_string(out, name);
                }
                TypeName::Nested(id) => {
                    write_var(out, 0);
                    write_id(out, *id);
                }
            }
            if let Some(key) = &item.key {
                write_var_string(out, key);
            }
        }
        item.content.write(out, item.len);
    }
}
