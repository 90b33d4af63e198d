//! The edit that gives a document the content of an earlier state of it.
//!
//! Elements never move, so the common elements of two lists stand in the same order in both. One
//! pass over both lists leaves the common elements, deletes the other elements of the document
//! between them, and inserts copies of the other elements of the state. The marks of formatting
//! are elements as well, and need no rule of their own.

use std::collections::BTreeSet;

use super::EditError;
use super::made::{Made, Slot};
use super::tree::{ItemRef, Tree, TypeRef};

/// A type of the document, and the same type in the state; `None` if the state has not got it.
type Pair = (TypeRef, Option<TypeRef>);

impl<'a> Made<'a> {
    /// Gives the document the content of `earlier`.
    pub(super) fn replace_with(&mut self, earlier: &Tree<'a>) -> Result<(), EditError> {
        let names = self.tree.roots.keys().chain(earlier.roots.keys());
        let names: BTreeSet<_> = names.cloned().collect();
        let mut pairs: Vec<Pair> = Vec::new();
        for name in names {
            let was = earlier.roots.get(&name).copied();
            pairs.push((self.tree.root(name), was));
        }
        while let Some((of, was)) = pairs.pop() {
            self.replace_list(of, earlier, was, &mut pairs)?;
            self.replace_keys(of, earlier, was, &mut pairs)?;
        }
        Ok(())
    }

    fn replace_list(
        &mut self,
        of: TypeRef,
        earlier: &Tree<'a>,
        was: Option<TypeRef>,
        pairs: &mut Vec<Pair>,
    ) -> Result<(), EditError> {
        self.number(of)?;
        let mut left = None;
        let mut next = self.tree[of].list.first;
        let mut then = was.and_then(|was| earlier[was].list.first);
        while let Some(item) = then {
            self.tree.step()?;
            then = earlier[item].right;
            if earlier[item].is_deleted {
                continue;
            }
            match self.survivor(of, next, earlier, item) {
                Some(survivor) => {
                    next = self.delete_up_to(next, Some(survivor))?;
                    left = Some(survivor);
                    if let Some(inner) = self.tree[survivor].inner {
                        pairs.push((inner, earlier[item].inner));
                    }
                }
                None => {
                    let slot = Slot {
                        parent: of,
                        key: None,
                        left,
                    };
                    left = Some(self.copy(slot, earlier, item)?);
                }
            }
        }
        self.delete_up_to(next, None)?;
        Ok(())
    }

    /// Numbers the items of a list from left to right.
    fn number(&mut self, of: TypeRef) -> Result<(), EditError> {
        let (mut next, mut number) = (self.tree[of].list.first, 0);
        while let Some(item) = next {
            self.tree.step()?;
            self.tree[item].number = number;
            number += 1;
            next = self.tree[item].right;
        }
        Ok(())
    }

    /// The item of the document that `item` still is, at `next` in the list of `of` or right of it.
    fn survivor(
        &self,
        of: TypeRef,
        next: Option<ItemRef>,
        earlier: &Tree<'a>,
        item: ItemRef,
    ) -> Option<ItemRef> {
        let (next, was) = (&self.tree[next?], &earlier[item]);
        let found = self.tree.find_first(was.id)?;
        let is = &self.tree[found];
        let stays = !is.is_deleted
            && is.len == was.len
            && is.parent == Some(of)
            && is.key.is_none()
            && is.number >= next.number
            && is.content.is_same(&was.content);
        stays.then_some(found)
    }

    /// Deletes the items from `next` up to `end`, and gives the one right of that.
    fn delete_up_to(
        &mut self,
        next: Option<ItemRef>,
        end: Option<ItemRef>,
    ) -> Result<Option<ItemRef>, EditError> {
        let mut next = next;
        while let Some(item) = next {
            self.tree.step()?;
            next = self.tree[item].right;
            if Some(item) == end {
                break;
            }
            self.delete(item);
        }
        Ok(next)
    }

    fn replace_keys(
        &mut self,
        of: TypeRef,
        earlier: &Tree<'a>,
        was: Option<TypeRef>,
        pairs: &mut Vec<Pair>,
    ) -> Result<(), EditError> {
        let then = was.map(|was| earlier[was].keys.keys());
        let names = self.tree[of].keys.keys().chain(then.into_iter().flatten());
        let names: BTreeSet<_> = names.cloned().collect();
        for key in names {
            self.tree.step()?;
            let is = self.tree.value(of, &key);
            let Some(was) = was.and_then(|was| earlier.value(was, &key)) else {
                self.remove_key(of, &key);
                continue;
            };
            let same = is.filter(|is| {
                let (is, was) = (&self.tree[*is], &earlier[was]);
                is.last_id() == was.last_id() && is.content.is_same(&was.content)
            });
            match same {
                None => {
                    let slot = self.key_slot(of, key);
                    self.copy(slot, earlier, was)?;
                }
                Some(same) => {
                    if let Some(inner) = self.tree[same].inner {
                        pairs.push((inner, earlier[was].inner));
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a copy of `item`, with all its contents, into a slot.
    fn copy(
        &mut self,
        slot: Slot<'a>,
        earlier: &Tree<'a>,
        item: ItemRef,
    ) -> Result<ItemRef, EditError> {
        self.tree.step()?;
        let was = &earlier[item];
        let (mut content, mut len) = (was.content.clone(), was.len);
        if slot.key.is_some() && len > 1 {
            // Of several elements under a key the last one counts.
            (_, content) = content.split(len - 1);
            len = 1;
        }
        let copy = self.insert(slot, content, len);
        let (Some(inner), Some(was)) = (self.tree[copy].inner, was.inner) else {
            return Ok(copy);
        };
        let (mut left, mut next) = (None, earlier[was].list.first);
        while let Some(item) = next {
            if !earlier[item].is_deleted {
                let slot = Slot {
                    parent: inner,
                    key: None,
                    left,
                };
                left = Some(self.copy(slot, earlier, item)?);
            }
            next = earlier[item].right;
        }
        for key in earlier[was].keys.keys() {
            if let Some(item) = earlier.value(was, key) {
                let slot = self.key_slot(inner, key.clone());
                self.copy(slot, earlier, item)?;
            }
        }
        Ok(copy)
    }
}
