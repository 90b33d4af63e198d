//! Rights, the table of roles, and the grants for single documents that replace them.
//!
//! Errors deny access: an unknown role gives no right, and a malformed grant denies
//! the documents that its pattern matches. Rights depend on the token alone; there is no
//! state and no request to another service.

use std::{collections::HashMap, sync::Arc};

use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

pub use crate::right::Right;
use crate::{
    error::{Error, Result},
    id::RoomName,
};

/// A set of [`Right`]s; serialises as the list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// No right at all.
    pub const NONE: Rights = Rights(0);

    const fn of(rights: &[Right]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < rights.len() {
            bits |= 1 << rights[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// The rights of all `roles` together.
    pub fn of_roles<S: AsRef<str>>(roles: &[S]) -> Self {
        let rows = roles.iter().filter_map(|role| row_of_role(role.as_ref()));
        rows.fold(Self::NONE, |sum, row| sum.with(row.rights))
    }

    /// Whether the set contains `right`.
    pub fn allows(self, right: Right) -> bool {
        self.0 & Self::of(&[right]).0 != 0
    }

    /// Checks that the set contains `right`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] with the name of the missing right.
    pub fn require(self, right: Right) -> Result<()> {
        if self.allows(right) {
            return Ok(());
        }
        Err(Error::Forbidden {
            needed: right.name(),
        })
    }

    /// The names of the rights, in the order of [`Right::ALL`].
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Right::name).collect()
    }

    /// The highest of `manage`, `edit`, `review`, `comment`, `view` among them.
    pub fn permission(self) -> Option<Permission> {
        let mut rows = Permission::DESCENDING.into_iter();
        rows.find(|(_, right)| self.allows(*right))
            .map(|(permission, _)| permission)
    }

    fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    fn iter(self) -> impl Iterator<Item = Right> {
        let all = Right::ALL.into_iter();
        all.filter(move |right| self.allows(*right))
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Right::name))
    }
}

/// The permission for a document, as one word of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Read.
    View,
    /// Read and comment.
    Comment,
    /// Read, comment and edit.
    Edit,
    /// Read, comment and review.
    Review,
    /// All actions of a person.
    Manage,
}

impl Permission {
    /// From high to low, each with its characteristic right.
    const DESCENDING: [(Permission, Right); 5] = [
        (Permission::Manage, Right::Manage),
        (Permission::Edit, Right::Edit),
        (Permission::Review, Right::Review),
        (Permission::Comment, Right::Comment),
        (Permission::View, Right::View),
    ];

    /// The permission's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Permission::View => "view",
            Permission::Comment => "comment",
            Permission::Edit => "edit",
            Permission::Review => "review",
            Permission::Manage => "manage",
        }
    }
}

struct Row {
    role: &'static str,
    /// The grant that gives the same rights for one document.
    permission: Option<Permission>,
    rights: Rights,
}

/// The only table of roles and of the permissions in grants, with their rights.
const TABLE: [Row; 6] = {
    use Right::{Comment, Edit, Manage, Publish, Review, View};
    const fn row(role: &'static str, permission: Option<Permission>, rights: &[Right]) -> Row {
        Row {
            role,
            permission,
            rights: Rights::of(rights),
        }
    }
    [
        row("viewer", Some(Permission::View), &[View]),
        row("commenter", Some(Permission::Comment), &[View, Comment]),
        row("editor", Some(Permission::Edit), &[View, Comment, Edit]),
        row(
            "reviewer",
            Some(Permission::Review),
            &[View, Comment, Review],
        ),
        row(
            "admin",
            Some(Permission::Manage),
            &[View, Comment, Edit, Review, Manage],
        ),
        row("service", None, &[View, Edit, Publish]),
    ]
};

fn row_of_role(role: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.role == role)
}

/// Whether the table has this role.
pub(super) fn is_role(role: &str) -> bool {
    row_of_role(role).is_some()
}

/// The rights of a permission word in a grant; `None` for an unknown word.
pub(super) fn granted(word: &str) -> Option<Rights> {
    if word == "none" {
        return Some(Rights::NONE);
    }
    let means = |row: &&Row| row.permission.is_some_and(|it| it.name() == word);
    TABLE.iter().find(means).map(|row| row.rights)
}

/// The rights that a token grants for single documents, instead of those of its roles. Most tokens
/// have none, for which nothing is allocated.
#[derive(Clone, Debug, Default)]
pub struct Grants(Option<Arc<Patterns>>);

#[derive(Debug, Default)]
struct Patterns {
    exact: HashMap<String, Rights>,
    /// Patterns without their `*`, the longest first.
    prefixes: Vec<(String, Rights)>,
}

impl Grants {
    /// The largest number of entries in a token.
    pub const ENTRIES_MAX: usize = 1000;

    /// Reads a token's `documents`: an object of patterns and permission words.
    ///
    /// A malformed entry grants no right for its pattern, and a value that is no object
    /// grants no right for any document, so that a mistake never gives access to a
    /// document. `None` if there are too many entries.
    pub(super) fn read(documents: &Value) -> Option<Self> {
        let mut patterns = Patterns::default();
        match documents {
            Value::Object(entries) if entries.len() > Self::ENTRIES_MAX => return None,
            Value::Object(entries) => {
                for (pattern, word) in entries {
                    patterns.add(pattern, word.as_str().and_then(granted));
                }
            }
            _ => patterns.add("*", None),
        }
        let length = |(prefix, _): &(String, Rights)| std::cmp::Reverse(prefix.len());
        patterns.prefixes.sort_by_key(length);
        Some(Self(Some(Arc::new(patterns))))
    }

    /// Whether there are no grants, so that the roles decide for every document.
    pub fn is_empty(&self) -> bool {
        let none =
            |patterns: &Arc<Patterns>| patterns.exact.is_empty() && patterns.prefixes.is_empty();
        self.0.as_ref().is_none_or(none)
    }

    /// The rights granted for `room`, by its exact name or else by the longest matching
    /// prefix; `None` if there is no grant, and the roles decide.
    pub fn find(&self, room: &RoomName) -> Option<Rights> {
        let (patterns, room) = (self.0.as_ref()?, room.as_str());
        let longest = || {
            let mut prefixes = patterns.prefixes.iter();
            prefixes.find(|(prefix, _)| room.starts_with(prefix.as_str()))
        };
        let exact = patterns.exact.get(room);
        exact
            .or_else(|| longest().map(|(_, rights)| rights))
            .copied()
    }
}

impl Patterns {
    fn add(&mut self, pattern: &str, rights: Option<Rights>) {
        let rights = rights.unwrap_or(Rights::NONE);
        match pattern.strip_suffix('*') {
            Some(prefix) => self.prefixes.push((prefix.to_owned(), rights)),
            None => {
                self.exact.insert(pattern.to_owned(), rights);
            }
        }
    }
}

#[cfg(test)]
mod tests;
