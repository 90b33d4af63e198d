//! Edits of arrays, maps and XML nodes, as Yjs makes them.

use super::content::ItemContent;
use super::made::{Made, Slot, kind};
use super::tree::{ItemRef, TypeRef};
use super::{Content, EditError, OperationFault, Position};

impl<'a> Made<'a> {
    /// The type or value at `index` of a list.
    pub(super) fn element(
        &mut self,
        parent: TypeRef,
        index: u32,
    ) -> Result<Option<ItemRef>, EditError> {
        let (mut next, mut left) = (self.tree[parent].list.first, index);
        while let Some(at) = next {
            self.tree.step()?;
            let item = &self.tree[at];
            if item.counts() {
                if left < item.len {
                    return Ok(Some(at));
                }
                left -= item.len;
            }
            next = item.right;
        }
        Ok(None)
    }

    /// The item of a list that is left of a position.
    pub(super) fn left_of(
        &mut self,
        parent: TypeRef,
        at: Position,
    ) -> Result<Option<ItemRef>, EditError> {
        let mut count = match at {
            Position::At(0) => return Ok(None),
            Position::At(at) => at,
            Position::End => return Ok(self.tree[parent].list.last),
        };
        let mut next = self.tree[parent].list.first;
        while let Some(at) = next {
            self.tree.step()?;
            let item = &self.tree[at];
            if item.counts() {
                if count <= item.len {
                    if count < item.len {
                        self.split(at, count)?;
                    }
                    return Ok(Some(at));
                }
                count -= item.len;
            }
            next = item.right;
        }
        self.fault(OperationFault::OutOfRange)
    }

    /// Splits an item before its `at`-th element; the first part keeps its name.
    pub(super) fn split(&mut self, item: ItemRef, at: u32) -> Result<(), EditError> {
        if self.tree[item].content.tears(at) {
            return self.fault(OperationFault::InsideCharacter);
        }
        self.tree.split(item, at);
        Ok(())
    }

    /// Deletes a range of a list.
    pub(super) fn delete_range(
        &mut self,
        parent: TypeRef,
        at: u32,
        len: u32,
    ) -> Result<(), EditError> {
        let left = self.left_of(parent, Position::At(at))?;
        let mut next = match left {
            Some(left) => self.tree[left].right,
            None => self.tree[parent].list.first,
        };
        let mut len = len;
        while len > 0 {
            let Some(at) = next else {
                return self.fault(OperationFault::OutOfRange);
            };
            self.tree.step()?;
            if self.tree[at].counts() {
                if len < self.tree[at].len {
                    self.split(at, len)?;
                }
                len -= self.tree[at].len;
                self.delete(at);
            }
            next = self.tree[at].right;
        }
        Ok(())
    }

    /// Puts contents into a list, one behind the other.
    pub(super) fn put_all(
        &mut self,
        parent: TypeRef,
        left: Option<ItemRef>,
        contents: &[Content],
        depth: u8,
    ) -> Result<(), EditError> {
        let mut left = left;
        for content in contents {
            let slot = Slot {
                parent,
                key: None,
                left,
            };
            left = Some(self.put(slot, content, depth)?);
        }
        Ok(())
    }

    /// Puts nodes among the children of an XML fragment or element.
    pub(super) fn put_nodes(
        &mut self,
        parent: TypeRef,
        left: Option<ItemRef>,
        nodes: &[Content],
        depth: u8,
    ) -> Result<(), EditError> {
        let is_node =
            |node: &Content| matches!(node, Content::XmlElement { .. } | Content::XmlText { .. });
        match nodes.iter().all(is_node) {
            true => self.put_all(parent, left, nodes, depth),
            false => self.fault(OperationFault::Misplaced),
        }
    }

    /// Puts content under a key, in the place of its present value.
    pub(super) fn set_key(
        &mut self,
        parent: TypeRef,
        key: &str,
        content: &Content,
        depth: u8,
    ) -> Result<(), EditError> {
        let slot = self.key_slot(parent, key.to_owned().into());
        self.put(slot, content, depth)?;
        Ok(())
    }

    /// Removes the value of a key.
    pub(super) fn remove_key(&mut self, parent: TypeRef, key: &str) {
        if let Some(item) = self.tree.value(parent, key) {
            self.delete(item);
        }
    }

    /// Puts content with all its contents into a slot, and gives its item.
    pub(super) fn put(
        &mut self,
        slot: Slot<'a>,
        content: &Content,
        depth: u8,
    ) -> Result<ItemRef, EditError> {
        self.check_depth(depth)?;
        self.tree.step()?;
        let (kind, name) = match content {
            Content::Value(value) => {
                return Ok(self.insert(slot, ItemContent::value(value), 1));
            }
            Content::Array(_) => (kind::ARRAY, None),
            Content::Map(_) => (kind::MAP, None),
            Content::Text(_) => (kind::TEXT, None),
            Content::XmlFragment(_) => (kind::XML_FRAGMENT, None),
            Content::XmlElement { name, .. } => (kind::XML_ELEMENT, Some(name.as_str())),
            Content::XmlText { .. } => (kind::XML_TEXT, None),
        };
        let item = self.insert(slot, ItemContent::shared_type(kind, name), 1);
        if let Some(inner) = self.tree[item].inner {
            self.fill(inner, content, depth + 1)?;
        }
        Ok(item)
    }

    fn fill(&mut self, inner: TypeRef, content: &Content, depth: u8) -> Result<(), EditError> {
        match content {
            Content::Value(_) => Ok(()),
            Content::Array(contents) => self.put_all(inner, None, contents, depth),
            Content::XmlFragment(nodes) => self.put_nodes(inner, None, nodes, depth),
            Content::Text(parts) => self.append_parts(inner, parts, depth),
            Content::Map(entries) => {
                for (key, content) in entries {
                    self.set_key(inner, key, content, depth)?;
                }
                Ok(())
            }
            Content::XmlElement {
                attributes,
                children,
                ..
            } => {
                for (name, value) in attributes {
                    self.set_key(inner, name, &Content::Value(value.clone()), depth)?;
                }
                self.put_nodes(inner, None, children, depth)
            }
            Content::XmlText { attributes, parts } => {
                for (name, value) in attributes {
                    self.set_key(inner, name, &Content::Value(value.clone()), depth)?;
                }
                self.append_parts(inner, parts, depth)
            }
        }
    }
}
