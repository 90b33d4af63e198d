//! Edits of texts: a port of `YText` of Yjs.
//!
//! Formatting is kept as marks between the characters: each says that from there on an
//! attribute has a value.

use serde_json::Value;

use super::content::{ItemContent, same_attribute};
use super::made::{Made, Slot};
use super::tree::{ItemRef, TypeRef};
use super::{Attributes, Content, EditError, OperationFault, Position, TextPart};

/// A place in a text, and the formatting there.
struct Cursor {
    parent: TypeRef,
    left: Option<ItemRef>,
    right: Option<ItemRef>,
    attributes: Attributes,
}

impl Made<'_> {
    /// Inserts text, by default formatted like the character left of it.
    pub(super) fn insert_text(
        &mut self,
        parent: TypeRef,
        at: Position,
        text: &str,
        attributes: Option<&Attributes>,
    ) -> Result<(), EditError> {
        let mut cursor = self.cursor(parent, at)?;
        let attributes = match attributes {
            Some(attributes) => attributes.clone(),
            None => cursor.attributes.clone(),
        };
        self.write_text(&mut cursor, text, attributes)
    }

    /// Inserts an embed or a type.
    pub(super) fn insert_embed(
        &mut self,
        parent: TypeRef,
        at: Position,
        content: &Content,
        attributes: &Attributes,
    ) -> Result<(), EditError> {
        let mut cursor = self.cursor(parent, at)?;
        self.write_embed(&mut cursor, content, attributes.clone(), 0)
    }

    /// Formats a range.
    pub(super) fn format_text(
        &mut self,
        parent: TypeRef,
        at: u32,
        len: u32,
        attributes: &Attributes,
    ) -> Result<(), EditError> {
        if len == 0 {
            return Ok(());
        }
        let mut len = len;
        let mut cursor = self.cursor(parent, Position::At(at))?;
        self.skip_redundant(&mut cursor, attributes)?;
        let mut negated = self.write_marks(&mut cursor, attributes)?;
        while let Some(right) = cursor.right {
            let item = &self.tree[right];
            let is_mark = matches!(item.content, ItemContent::Format(..));
            if len == 0 && (negated.is_empty() || !item.is_deleted && !is_mark) {
                break;
            }
            if !item.is_deleted {
                if let Some((key, value)) = self.mark(right) {
                    if let Some(wanted) = attributes.get(&key) {
                        if same_attribute(Some(wanted), Some(&value)) {
                            negated.remove(&key);
                        } else if len == 0 {
                            // The mark belongs to the text behind the range.
                            break;
                        } else {
                            negated.insert(key, value);
                        }
                        self.delete(right);
                    }
                } else {
                    if len < item.len {
                        self.split(right, len)?;
                    }
                    len -= self.tree[right].len;
                }
            }
            self.forward(&mut cursor)?;
        }
        if len > 0 {
            return self.fault(OperationFault::OutOfRange);
        }
        self.write_negated(&mut cursor, negated)
    }

    /// Fills a new text.
    pub(super) fn append_parts(
        &mut self,
        parent: TypeRef,
        parts: &[TextPart],
        depth: u8,
    ) -> Result<(), EditError> {
        let mut cursor = self.cursor(parent, Position::At(0))?;
        for part in parts {
            match part {
                TextPart::Text { text, attributes } => {
                    self.write_text(&mut cursor, text, attributes.clone())?;
                }
                TextPart::Embed {
                    content,
                    attributes,
                } => self.write_embed(&mut cursor, content, attributes.clone(), depth)?,
            }
        }
        Ok(())
    }

    /// The place at a position. Marks there are right of it.
    fn cursor(&mut self, parent: TypeRef, at: Position) -> Result<Cursor, EditError> {
        let mut count = match at {
            Position::At(at) => at,
            Position::End => self.length(parent)?,
        };
        let mut cursor = Cursor {
            parent,
            left: None,
            right: self.tree[parent].list.first,
            attributes: Attributes::new(),
        };
        while count > 0 {
            let Some(right) = cursor.right else {
                return self.fault(OperationFault::OutOfRange);
            };
            if self.tree[right].counts() {
                if count < self.tree[right].len {
                    self.split(right, count)?;
                }
                count -= self.tree[right].len;
            }
            self.forward(&mut cursor)?;
        }
        Ok(cursor)
    }

    fn length(&mut self, parent: TypeRef) -> Result<u32, EditError> {
        let (mut len, mut next) = (0, self.tree[parent].list.first);
        while let Some(at) = next {
            self.tree.step()?;
            if self.tree[at].counts() {
                len += self.tree[at].len;
            }
            next = self.tree[at].right;
        }
        Ok(len)
    }

    /// The attribute and the value of a mark, unless it is deleted.
    fn mark(&self, item: ItemRef) -> Option<(String, Value)> {
        let item = &self.tree[item];
        match &item.content {
            ItemContent::Format(key, value) if !item.is_deleted => {
                let parsed = serde_json::from_str(value);
                let value = parsed.unwrap_or_else(|_| Value::String(value.clone().into_owned()));
                Some((key.clone().into_owned(), value))
            }
            _ => None,
        }
    }

    /// Passes the item right of the cursor.
    fn forward(&mut self, cursor: &mut Cursor) -> Result<(), EditError> {
        self.tree.step()?;
        let Some(right) = cursor.right else {
            return Ok(());
        };
        match self.mark(right) {
            Some((key, Value::Null)) => drop(cursor.attributes.remove(&key)),
            Some((key, value)) => drop(cursor.attributes.insert(key, value)),
            None => {}
        }
        cursor.left = Some(right);
        cursor.right = self.tree[right].right;
        Ok(())
    }

    /// Passes deleted items, and marks that set an attribute to its wanted value.
    fn skip_redundant(
        &mut self,
        cursor: &mut Cursor,
        attributes: &Attributes,
    ) -> Result<(), EditError> {
        while let Some(right) = cursor.right {
            let passes = match self.mark(right) {
                Some((key, value)) => same_attribute(attributes.get(&key), Some(&value)),
                None => self.tree[right].is_deleted,
            };
            if !passes {
                break;
            }
            self.forward(cursor)?;
        }
        Ok(())
    }

    /// Inserts a mark, and passes it.
    fn write_mark(
        &mut self,
        cursor: &mut Cursor,
        key: &str,
        value: &Value,
    ) -> Result<(), EditError> {
        let content = ItemContent::format(key, value);
        let slot = cursor.slot();
        cursor.right = Some(self.insert(slot, content, 1));
        self.forward(cursor)
    }

    /// Inserts the marks that are lacking. Returns those that end them.
    fn write_marks(
        &mut self,
        cursor: &mut Cursor,
        attributes: &Attributes,
    ) -> Result<Attributes, EditError> {
        let mut negated = Attributes::new();
        for (key, value) in attributes {
            let present = cursor.attributes.get(key);
            if !same_attribute(present, Some(value)) {
                negated.insert(key.clone(), present.cloned().unwrap_or_default());
                self.write_mark(cursor, key, value)?;
            }
        }
        Ok(negated)
    }

    /// Inserts the marks that end others, as far as they are not there.
    fn write_negated(
        &mut self,
        cursor: &mut Cursor,
        mut negated: Attributes,
    ) -> Result<(), EditError> {
        while let Some(right) = cursor.right {
            match self.mark(right) {
                Some((key, value))
                    if negated
                        .get(&key)
                        .is_some_and(|wanted| same_attribute(Some(wanted), Some(&value))) =>
                {
                    negated.remove(&key);
                }
                Some(_) => break,
                None if self.tree[right].is_deleted => {}
                None => break,
            }
            self.forward(cursor)?;
        }
        for (key, value) in &negated {
            self.write_mark(cursor, key, value)?;
        }
        Ok(())
    }

    fn write_text(
        &mut self,
        cursor: &mut Cursor,
        text: &str,
        attributes: Attributes,
    ) -> Result<(), EditError> {
        if text.is_empty() {
            return Ok(());
        }
        let negated = self.begin(cursor, attributes)?;
        let content = ItemContent::Text(text.to_owned().into());
        let len = content.len();
        let slot = cursor.slot();
        let item = self.insert(slot, content, len);
        self.end(cursor, item, negated)
    }

    fn write_embed(
        &mut self,
        cursor: &mut Cursor,
        content: &Content,
        attributes: Attributes,
        depth: u8,
    ) -> Result<(), EditError> {
        let negated = self.begin(cursor, attributes)?;
        let slot = cursor.slot();
        let item = match content {
            Content::Value(value) => self.insert(slot, ItemContent::embed(value), 1),
            content => self.put(slot, content, depth)?,
        };
        self.end(cursor, item, negated)
    }

    /// Writes the marks before an insertion. Returns those that have to follow it.
    fn begin(
        &mut self,
        cursor: &mut Cursor,
        mut attributes: Attributes,
    ) -> Result<Attributes, EditError> {
        for key in cursor.attributes.keys() {
            attributes.entry(key.clone()).or_default();
        }
        self.skip_redundant(cursor, &attributes)?;
        self.write_marks(cursor, &attributes)
    }

    /// Passes the inserted item, and writes the marks behind it.
    fn end(
        &mut self,
        cursor: &mut Cursor,
        item: ItemRef,
        negated: Attributes,
    ) -> Result<(), EditError> {
        cursor.left = Some(item);
        cursor.right = self.tree[item].right;
        self.write_negated(cursor, negated)
    }
}

impl Cursor {
    fn slot<'a>(&self) -> Slot<'a> {
        Slot {
            parent: self.parent,
            key: None,
            left: self.left,
        }
    }
}
